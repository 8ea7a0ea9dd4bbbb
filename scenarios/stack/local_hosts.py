"""This machine as a host: pods and nginx are children of this process, on the cores that it may use."""

import asyncio
import signal
import sys
from pathlib import Path

import msgspec
import psutil

from gateway_stub.protocol import SETTINGS_VARIABLE, Settings
from scenarios.stack.hosts import CpuReading, PodHost
from scenarios.stack.machine import free_ports
from scenarios.stack.nginx import check_syntax, executable
from scenarios.stack.processes import LocalChild, StackError, start

_POLLS = 100
_POLL_S = 0.05
_ANY = "0.0.0.0"  # noqa: S104


class LocalPodHost:
    """A place on this machine."""

    clock_ahead_ns = 0
    reading: CpuReading | None = None

    def __init__(
        self, *, port: int, control_port: int, cores: tuple[int, ...] = (), listen: str = "127.0.0.1"
    ) -> None:
        self.address = self.listen = listen
        self.port = port
        self.control_port = control_port
        self._cores = cores

    async def start(self, settings: Settings, *, log: Path, descriptors: int) -> LocalChild:
        """Starts a pod, which then gets ready."""
        return await start(
            settings.name,
            [sys.executable, "-m", "gateway_stub"],
            log=log,
            cores=self._cores,
            descriptors=descriptors,
            environment={SETTINGS_VARIABLE: msgspec.json.encode(settings).decode()},
            pipe_output=True,
        )


class LocalPodHosts:
    """As many places as are asked for, each with ports of its own."""

    def __init__(self, cores: tuple[int, ...] = ()) -> None:
        self._cores = cores

    def free(self, count: int) -> list[PodHost]:
        """So many places, on ports that nobody listens on."""
        ports = free_ports(2 * count)
        pairs = zip(ports[::2], ports[1::2], strict=True)
        return [LocalPodHost(port=port, control_port=control, cores=self._cores) for port, control in pairs]

    def give_back(self, host: PodHost) -> None:
        """Its ports are not used again."""


class LocalNginxHost:
    """nginx as a child of this process; configuration and logs are in one folder."""

    def __init__(
        self,
        *,
        port: int,
        directory: Path,
        cores: tuple[int, ...] = (),
        binary: Path | None = None,
        listen: str = "127.0.0.1",
        trusted: tuple[str, ...] = ("127.0.0.1",),
    ) -> None:
        self.port = port
        self.listen = f"{listen}:{port}"
        self.trusted = trusted
        self.directory = self.logs = directory.resolve()
        self._reach = "127.0.0.1" if listen == _ANY else listen
        self.url = f"http://{self._reach}:{port}"
        self._cores = cores
        self._binary = binary or executable()
        self._configuration = self.directory / "gateway.conf"
        self._child: LocalChild | None = None

    async def configure(self, text: str) -> None:
        """Writes the configuration and lets nginx check it."""
        self._configuration.write_text(text, encoding="utf-8")
        complaint = check_syntax(self._configuration, self._binary)
        if complaint:
            raise StackError(f"nginx does not accept {self._configuration}: {complaint}")

    async def start(self, *, descriptors: int) -> LocalChild:
        """Starts nginx; returns once the port answers."""
        self._child = child = await start(
            "nginx",
            [
                *(str(self._binary), "-p", str(self.directory), "-c", str(self._configuration)),
                *("-g", "daemon off;"),
            ],
            log=self.directory / "error.log",
            cores=self._cores,
            descriptors=descriptors,
            # SIGTERM, so that the master ends its workers too.
            death_signal=signal.SIGTERM,
        )
        try:
            await self._await_port(child)
        except BaseException:
            await child.stop()
            raise
        return child

    async def reload(self) -> None:
        """Makes it read its configuration again; returns once new workers are there."""
        assert self._child is not None  # noqa: S101 - who reloads has started it
        try:
            master = psutil.Process(self._child.pid)
            before = {worker.pid for worker in master.children()}
            self._child.process.send_signal(signal.SIGHUP)
            for _ in range(_POLLS):
                if {worker.pid for worker in master.children()} - before:
                    return
                await asyncio.sleep(_POLL_S)
        except psutil.NoSuchProcess:
            raise self._child.ended_by_itself() from None
        log = self.directory / "error.log"
        raise StackError(f"nginx did not reload within {_POLLS * _POLL_S:g} s; see {log}")

    async def _await_port(self, child: LocalChild) -> None:
        for _ in range(_POLLS):
            if error := child.ended():
                raise error
            try:
                _, writer = await asyncio.open_connection(self._reach, self.port)
            except OSError:
                await asyncio.sleep(_POLL_S)
            else:
                writer.close()
                await writer.wait_closed()
                return
        raise StackError(f"nginx did not listen on port {self.port} within {_POLLS * _POLL_S:g} s")
