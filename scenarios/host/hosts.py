"""Where pods and the proxy run, as those see it who start them: this machine, or others with a host agent.

A host knows its addresses, ports and clock; what is started, and when, its user decides.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from gateway_stub.protocol import Settings
from scenarios.host.process import Child


class CpuReading(Struct, frozen=True, kw_only=True, tag=True):
    """What a host has used by some moment; differences of two readings are what counts."""

    t_ns: int
    """Monotonic, of the host."""
    cpu_ns: int
    """CPU time of the container, or of the processes where there is none."""
    throttled_ns: int = 0
    """How long a CPU quota has held it up."""


class PodHost(Protocol):
    """A place for one pod at a time."""

    address: str
    """Where nginx and the runner reach it."""
    listen: str
    """The address that the pod listens on."""
    port: int
    control_port: int
    clock_ahead_ns: int
    """This host's monotonic clock minus the runner's."""
    reading: CpuReading | None
    """The latest one; None where the pod's own account is all there is."""

    async def start(self, settings: Settings, *, log: Path, descriptors: int) -> Child:
        """Starts a pod, which then gets ready. Raises StackError."""


class PodHosts(Protocol):
    """All places for pods of a run."""

    def free(self, count: int) -> list[PodHost]:
        """So many places, in use from now on. Raises StackError where there are not enough."""

    def give_back(self, host: PodHost) -> None:
        """The place is free again: its pod has left for good."""


class ProxyHost(Protocol):
    """The place for nginx, or for another proxy."""

    url: str
    """Where clients reach it."""
    listen: str
    """Address and port that it listens on."""
    trusted: tuple[str, ...]
    """Networks whose PROXY protocol headers it believes, where it looks at that."""
    directory: Path
    """The folder of the run in which configuration and logs are in the end."""
    private: Path | None
    """A folder that is gone after the run, for keys; None where there is none."""

    @property
    def logs(self) -> Path:
        """The folder for its configuration, logs and pid file, on that host."""

    async def configure(self, files: Mapping[str, str]) -> None:
        """Puts a configuration in its place. Raises StackError where the proxy does not accept it."""

    async def start(self, *, descriptors: int) -> Child:
        """Starts the proxy; returns once it takes connections. Raises StackError."""

    async def reload(self) -> None:
        """Makes it read its configuration again; returns once that is in force. Raises StackError."""

    async def cut(self) -> bool:
        """Cuts all connections at once; returns False, and does nothing, where the proxy cannot."""
