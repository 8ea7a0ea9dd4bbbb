"""What settings of nginx do to sockets, asked of nginx itself; docs/edge.md says it in words."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from scenarios.host.machine import free_ports
from scenarios.proxies.nginx import CONFIGURATION, LocalNginx, full_workers, render
from scenarios.scenario.validate import build
from tests.e2e.command_line import PATIENCE_S
from tests.support.failing_pods import ANSWERS, ASKED, BAD_GATEWAY, DEAD, HOLDS, SHEDS, UP
from tests.support.server_bytes import HEAD, UPGRADE

pytestmark = pytest.mark.e2e

SOCKETS = 240
TOGETHER = 8
"""Sockets that are opened at once."""
WORKERS = 4


class Edge:
    """A running nginx, and the WebSockets that a test has opened through it."""

    def __init__(self, host: LocalNginx) -> None:
        self._host = host
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
        assert self._host.child is not None
        workers = psutil.Process(self._host.child.pid).children()
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

    def speak(self) -> None:
        """One of the clients says something."""
        self._writers[0].write(b".")

    @property
    def open(self) -> int:
        """WebSockets that nginx has not closed."""
        return sum(not reader.at_eof() for reader in self._readers)

    async def status(self) -> int:
        """The answer to one more request."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._host.port)
        self._writers.append(writer)
        writer.write(UPGRADE.request)
        return int((await reader.readline()).split()[1])

    def sockets_per_worker(self) -> list[int]:
        """Open connections to clients of each worker, the largest number first."""
        assert self._host.child is not None
        workers = psutil.Process(self._host.child.pid).children()
        found = [
            sum(
                socket.status == psutil.CONN_ESTABLISHED and socket.laddr.port == self._host.port
                for socket in worker.net_connections("tcp4")
            )
            for worker in workers
        ]
        return sorted(found, reverse=True)

    async def reload(self) -> None:
        """Reloads the same configuration; returns once no old worker accepts."""
        assert self._host.child is not None
        old = psutil.Process(self._host.child.pid).children()
        await self._host.reload()
        while any("shutting down" not in " ".join(worker.cmdline()) for worker in old):  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    def close(self) -> None:
        """Closes all WebSockets."""
        for writer in self._writers:
            writer.close()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def edge(folder: Path, *pods: Serve | None, **settings: Any) -> AsyncIterator[Edge]:
    """nginx with these keys of `[edge.nginx]`. pods: what serves at each; None where nobody listens."""
    port, *pod_ports = free_ports(1 + len(pods))
    table = {
        "fleet": {"clients": SOCKETS},
        "gateway": {"balance": "round_robin"},
        "edge": {"nginx": settings},
    }
    folder.mkdir(exist_ok=True)
    host = LocalNginx(port=port, directory=folder)
    addresses = [f"127.0.0.1:{pod_port}" for pod_port in pod_ports]
    text = render(build(table, source="test"), listen=host.listen, pods=addresses, directory=host.logs)
    async with asyncio.timeout(PATIENCE_S), contextlib.AsyncExitStack() as stops:
        for pod, pod_port in zip(pods, pod_ports, strict=True):
            if pod is not None:
                await stops.enter_async_context(await asyncio.start_server(pod, "127.0.0.1", pod_port))
        await host.configure({CONFIGURATION: text})
        child = await host.start(descriptors=4_096)
        stops.push_async_callback(child.stop)
        nginx = Edge(host)
        stops.callback(nginx.close)
        yield nginx


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A pod that takes every WebSocket, and then is quiet."""
    with contextlib.suppress(OSError, EOFError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        await reader.read()
    writer.close()


async def shed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A pod that is too busy for anybody."""
    with contextlib.suppress(OSError, EOFError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
    writer.close()


# -- case 11: sockets per worker --------------------------------------------------------------------


async def spread(
    folder: Path, connect: Callable[[Edge, int], Awaitable[int]] = Edge.connect_many, **settings: Any
) -> tuple[list[int], int]:
    """(sockets of each worker, sockets that there was room for)."""
    async with edge(folder, hold, workers=WORKERS, **settings) as nginx:
        taken = await connect(nginx, SOCKETS)
        return nginx.sockets_per_worker(), taken


def test_case_11_the_worker_that_wakes_first_takes_all_sockets_that_wait(tmp_path: Path) -> None:
    sockets, _ = asyncio.run(spread(tmp_path, Edge.connect_to_the_first_worker))
    assert sockets == [SOCKETS, 0, 0, 0]


@pytest.mark.parametrize("settings", [{"reuseport": True}, {"multi_accept": False}], ids=str)
def test_case_11_sockets_are_even(tmp_path: Path, settings: dict[str, Any]) -> None:
    sockets, _ = asyncio.run(spread(tmp_path, **settings))
    assert sum(sockets) == SOCKETS
    assert sockets[0] < SOCKETS / 2


ROOM = 200
"""Connections of each worker: four of them have room for 400 sockets, with two connections each."""


def test_case_11_a_full_worker_turns_sockets_away_while_others_have_room(tmp_path: Path) -> None:
    connect = Edge.connect_to_the_first_worker
    sockets, taken = asyncio.run(spread(tmp_path, connect, worker_connections=ROOM))
    assert taken == sum(sockets) < SOCKETS
    assert ROOM / 3 < sockets[0] <= ROOM / 2
    assert sockets[1:] == [0, 0, 0]
    assert full_workers(tmp_path) == f"{ROOM} worker_connections are not enough"


def test_case_11_even_workers_have_room_for_all(tmp_path: Path) -> None:
    _, taken = asyncio.run(spread(tmp_path, worker_connections=ROOM, reuseport=True))
    assert taken == SOCKETS


# -- cases 10 and 12: what cuts sockets -------------------------------------------------------------


async def survivors(folder: Path, act: Callable[[Edge], Awaitable[Any]], **settings: Any) -> int:
    """How many of some sockets are open after something has happened, and a new one has been opened."""
    async with edge(folder, hold, **settings) as nginx:
        await nginx.connect_many(TOGETHER)
        await act(nginx)
        return nginx.open


async def reloaded(nginx: Edge) -> None:
    """The old workers have half a second; what is left after another half is left for good."""
    await nginx.reload()
    await nginx.connect()
    await asyncio.sleep(1)


@pytest.mark.parametrize(("timeout_s", "left"), [(0.5, 1), (0, TOGETHER + 1)])
def test_case_10_sockets_from_before_a_reload_end_with_the_old_workers(
    tmp_path: Path, timeout_s: float, left: int
) -> None:
    assert asyncio.run(survivors(tmp_path, reloaded, worker_shutdown_timeout_s=timeout_s)) == left


@pytest.mark.parametrize(("timeout_s", "left"), [(0.5, 0), (3_600, TOGETHER)])
def test_case_12_quiet_sockets_end_together(tmp_path: Path, timeout_s: float, left: int) -> None:
    async def quiet(_nginx: Edge) -> None:
        await asyncio.sleep(1)

    assert asyncio.run(survivors(tmp_path, quiet, proxy_read_timeout_s=timeout_s)) == left


def test_case_12_what_a_client_says_counts_as_well(tmp_path: Path) -> None:
    async def one_speaks(nginx: Edge) -> None:
        for _ in range(25):
            nginx.speak()
            await asyncio.sleep(0.1)

    assert asyncio.run(survivors(tmp_path, one_speaks, proxy_read_timeout_s=1.5)) == 1


# -- ejection ---------------------------------------------------------------------------------------

SERVES: dict[str, Serve | None] = {HOLDS: hold, SHEDS: shed, DEAD: None}


@pytest.mark.parametrize(("pods", "settings", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_what_failures_do_to_the_next_requests(
    tmp_path: Path, pods: tuple[str, ...], settings: dict[str, Any], expected: dict[int, int]
) -> None:
    async def answers() -> Counter[int]:
        async with edge(tmp_path, *(SERVES[pod] for pod in pods), **settings) as nginx:
            return Counter([await nginx.status() for _ in range(ASKED)])

    assert asyncio.run(answers()) == expected


@pytest.mark.parametrize(("shared", "fewest", "most"), [(True, 1, 1), (False, 2, WORKERS)])
def test_each_worker_finds_a_dead_pod_by_itself_unless_they_count_together(
    tmp_path: Path, shared: bool, fewest: int, most: int
) -> None:
    settings = {"workers": WORKERS, "reuseport": True, "max_fails": 1, "upstream_zone": shared}

    async def bad_gateways() -> int:
        async with edge(tmp_path, hold, None, **settings) as nginx:
            return [await nginx.status() for _ in range(60)].count(BAD_GATEWAY)

    assert fewest <= asyncio.run(bad_gateways()) <= most


class ComesBack:
    """A pod that closes what it is asked, until it has come back; then it takes every WebSocket."""

    def __init__(self) -> None:
        self.is_back = False
        self.taken = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if not self.is_back:
            writer.close()
            return
        self.taken += 1
        await hold(reader, writer)


def test_a_pod_that_is_back_gets_a_single_request_in_each_fail_timeout_until_one_has_ended(
    tmp_path: Path,
) -> None:
    # tests/scenarios/simulator/edge/test_upstream.py has the same of the model.
    pod = ComesBack()

    async def taken() -> list[int]:
        found = []
        async with edge(tmp_path, hold, pod.serve, max_fails=1, fail_timeout_s=1) as nginx:
            assert BAD_GATEWAY in [await nginx.status() for _ in range(2)]
            pod.is_back = True
            for _ in range(2):
                # Whole seconds: the next one after the time-out may still be one of it.
                await asyncio.sleep(2.1)
                found.append(pod.taken)
                for _ in range(6):
                    assert await nginx.status() == UP
                found[-1] = pod.taken - found[-1]
        return found

    assert asyncio.run(taken()) == [1, 1]
