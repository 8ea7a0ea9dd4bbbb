"""A real proxy with settings of a scenario, and WebSockets that a test opens through it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil

from scenarios.host.machine import free_ports
from scenarios.host.process import LocalChild
from scenarios.proxies.registry import kind_of
from scenarios.scenario.validate import build
from tests.e2e.command_line import PATIENCE_S
from tests.support.server_bytes import HEAD, UPGRADE
from tests.support.serving import Serve, serving

SOCKETS = 240
TOGETHER = 8
"""Sockets that are opened at once."""


class Edge:
    """A running proxy, and the WebSockets that a test has opened through it."""

    def __init__(self, host: Any, child: LocalChild, *, workers: int) -> None:
        self._host, self._child, self._workers = host, child, workers
        self._readers: list[asyncio.StreamReader] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> bool:
        """Opens a WebSocket, and keeps it; whether there was room for it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._host.port)
        self._writers.append(writer)
        writer.write(UPGRADE.request)
        try:
            await reader.readuntil(b"\r\n\r\n")
        except (OSError, EOFError):
            return False
        self._readers.append(reader)
        return True

    async def is_upgraded(self) -> bool:
        """Opens a WebSocket, and keeps it; whether a pod has taken it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._host.port)
        self._writers.append(writer)
        writer.write(UPGRADE.request)
        with contextlib.suppress(OSError, EOFError):
            return b" 101 " in await reader.readuntil(b"\r\n\r\n")
        return False

    async def connect_many(self, count: int) -> int:
        """Opens WebSockets, some at a time; how many there was room for."""
        taken = 0
        for _ in range(count // TOGETHER):
            taken += sum(await asyncio.gather(*(self.connect() for _ in range(TOGETHER))))
        return taken

    async def connect_to_the_first_worker(self, count: int) -> int:
        """Opens WebSockets that wait when one worker wakes before the others; how many there was room for."""
        # The master listens before it has any.
        while len(workers := psutil.Process(self._child.pid).children()) < self._workers:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for worker in workers:
            worker.suspend()
        connecting = [asyncio.ensure_future(self.connect()) for _ in range(count)]
        while len(self._writers) < count:  # noqa: ASYNC110 - the kernel has taken them, no worker has
            await asyncio.sleep(0.01)
        workers[0].resume()
        taken = sum(await asyncio.gather(*connecting))
        for worker in workers[1:]:
            worker.resume()
        return taken

    async def connect_to_all_workers(self, count: int) -> int:
        """Opens WebSockets that wait when all workers wake together; how many there was room for.

        Where workers are woken by sockets that come one by one, the first may take all of them before the
        others get a core.
        """
        master = psutil.Process(self._child.pid)
        while len(master.children()) < self._workers:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        # They are one process group, which the kernel lets go on as a whole.
        os.killpg(self._child.pid, signal.SIGSTOP)
        while any(each.status() != psutil.STATUS_STOPPED for each in master.children()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        connecting = [asyncio.ensure_future(self.connect()) for _ in range(count)]
        while len(self._writers) < count:  # noqa: ASYNC110 - the kernel has taken them, no worker has
            await asyncio.sleep(0.01)
        os.killpg(self._child.pid, signal.SIGCONT)
        return sum(await asyncio.gather(*connecting))

    def speak(self) -> None:
        """One of the clients says something."""
        self._writers[0].write(b".")

    @property
    def open(self) -> int:
        """WebSockets that the proxy has not closed."""
        return sum(not reader.at_eof() for reader in self._readers)

    async def until_open(self, count: int) -> None:
        """Returns once no more are open than that."""
        while self.open > count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def status(self) -> int:
        """The answer to one more request."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._host.port)
        self._writers.append(writer)
        writer.write(UPGRADE.request)
        return int((await reader.readline()).split()[1])

    def sockets_per_worker(self) -> list[int]:
        """Open connections to clients of each worker, the largest number first."""
        workers = psutil.Process(self._child.pid).children()
        found = [
            sum(
                socket.status == psutil.CONN_ESTABLISHED and socket.laddr.port == self._host.port
                for socket in worker.net_connections("tcp4")
            )
            for worker in workers
        ]
        return sorted(found, reverse=True)

    @property
    def threads(self) -> int:
        """Those that carry traffic, of its worker process or its own; Envoy gives them a name."""
        processes = [self._child.pid, *(each.pid for each in psutil.Process(self._child.pid).children())]
        tasks = Path(f"/proc/{processes[-1]}/task").iterdir()
        names = [(task / "comm").read_text(encoding="utf-8") for task in tasks]
        workers = [name for name in names if name.startswith("wrk:worker")]
        return len(workers or names)

    async def reload(self) -> None:
        """The same configuration again."""
        await self._host.reload()

    async def reload_nginx(self) -> None:
        """Reloads the same configuration; returns once no old worker accepts."""
        old = psutil.Process(self._child.pid).children()
        await self._host.reload()
        while any(map(_accepts, old)):  # noqa: ASYNC110 - they are other processes
            await asyncio.sleep(0.02)

    def close(self) -> None:
        """Closes all WebSockets."""
        for writer in self._writers:
            writer.close()


def _accepts(worker: psutil.Process) -> bool:
    """Whether a worker of nginx is there and has not been told to leave; one without connections is gone."""
    try:
        return "shutting down" not in " ".join(worker.cmdline())
    except psutil.NoSuchProcess:
        return False


@contextlib.asynccontextmanager
async def edge(
    folder: Path, *pods: Serve | None, proxy: str = "nginx", clients: int = SOCKETS, **settings: Any
) -> AsyncIterator[Edge]:
    """The proxy with these keys of its own table.

    pods: what serves at each; None where nobody listens. clients: that the scenario says.
    """
    port, *pod_ports = free_ports(1 + len(pods))
    table = {
        "fleet": {"clients": clients},
        "gateway": {"balance": "round_robin"},
        "edge": {"proxy": proxy, proxy: settings},
    }
    folder.mkdir(exist_ok=True)
    scenario = build(table, source="test")
    kind = kind_of(scenario)
    host: Any = kind.host(port=port, directory=folder, cores=(), binary=None)
    addresses = [f"127.0.0.1:{pod_port}" for pod_port in pod_ports]
    async with asyncio.timeout(PATIENCE_S), contextlib.AsyncExitStack() as stops:
        for pod, pod_port in zip(pods, pod_ports, strict=True):
            if pod is not None:
                await stops.enter_async_context(serving(pod, pod_port))
        await host.configure(kind.render(scenario, host, addresses, None))
        child = await host.start(descriptors=4_096)
        stops.push_async_callback(child.stop)
        running = Edge(host, child, workers=settings.get("workers", 1))
        stops.callback(running.close)
        yield running


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A pod that takes every WebSocket, and then is quiet."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD)
    await reader.read()


async def shed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A pod that is too busy for anybody."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    await writer.drain()
