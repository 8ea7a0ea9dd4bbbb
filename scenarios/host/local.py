"""This machine as a host: pods are children of this process, on the cores that it may use."""

from pathlib import Path

import msgspec

from gateway_stub.protocol import SETTINGS_VARIABLE, Settings
from reconnect_storm.start import module_command
from scenarios.host.hosts import CpuReading, PodHost
from scenarios.host.machine import free_ports
from scenarios.host.process import LocalChild, start


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
            module_command("gateway_stub"),
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
