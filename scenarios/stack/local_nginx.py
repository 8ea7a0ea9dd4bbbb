"""nginx as a child of this process."""

import signal
from collections.abc import Mapping
from pathlib import Path

from scenarios.stack.local_front import LocalFront
from scenarios.stack.nginx import CONFIGURATION, check_syntax, executable


class LocalNginx(LocalFront):
    """nginx in front of the pods; old workers keep the connections that they have when it is reloaded."""

    name = "nginx"

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
        super().__init__(
            port=port,
            directory=directory,
            cores=cores,
            binary=binary or executable(),
            listen=listen,
            trusted=trusted,
        )
        self._configuration = self.directory / CONFIGURATION

    def arguments(self) -> list[str]:
        """It stays a child of ours."""
        return ["-p", str(self.directory), "-c", str(self._configuration), "-g", "daemon off;"]

    async def configure(self, files: Mapping[str, str]) -> None:
        """Writes the configuration and lets nginx check it."""
        self.write(CONFIGURATION, files[CONFIGURATION])
        self.accept(CONFIGURATION, check_syntax(self._configuration, self.binary))

    async def reload(self) -> None:
        """Makes it read its configuration again; returns once new workers are there."""
        await self.renew_workers(signal.SIGHUP)
