"""HAProxy as a child of this process."""

import signal
from collections.abc import Mapping
from pathlib import Path

from scenarios.stack.haproxy_front import CONFIGURATION, check_syntax, executable
from scenarios.stack.local_front import LocalFront


class LocalHaproxy(LocalFront):
    """HAProxy in front of the pods; old workers keep the connections that they have when it is reloaded."""

    name = "haproxy"

    def __init__(
        self,
        *,
        port: int,
        directory: Path,
        cores: tuple[int, ...] = (),
        binary: Path | None = None,
    ) -> None:
        super().__init__(port=port, directory=directory, cores=cores, binary=binary or executable())
        self._configuration = self.directory / CONFIGURATION

    @property
    def log(self) -> Path:
        """Its access log goes to standard output, and what it says of itself beside it."""
        return self.directory / "access.log"

    def arguments(self) -> list[str]:
        """A master that stays a child of ours, and a worker."""
        return ["-W", "-db", "-f", str(self._configuration)]

    async def configure(self, files: Mapping[str, str]) -> None:
        """Writes the configuration and lets HAProxy check it."""
        self.write(CONFIGURATION, files[CONFIGURATION])
        self.accept(CONFIGURATION, check_syntax(self._configuration, self.binary))

    async def reload(self) -> None:
        """Makes it read its configuration again; returns once there is a new worker."""
        await self.renew_workers(signal.SIGUSR2)
