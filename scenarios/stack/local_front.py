"""A front as a child of this process, whichever it is: its folder, its port, its start."""

import asyncio
import contextlib
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import psutil

from scenarios.stack.processes import LocalChild, StackError, start

POLLS = 100
POLL_S = 0.05
_ANY = "0.0.0.0"  # noqa: S104


class LocalFront(ABC):
    """Configuration and logs are in one folder.

    trusted: networks whose PROXY protocol headers it believes, where it looks at that.
    """

    name: ClassVar[str]

    def __init__(
        self,
        *,
        port: int,
        directory: Path,
        binary: Path,
        cores: tuple[int, ...] = (),
        listen: str = "127.0.0.1",
        trusted: tuple[str, ...] = ("127.0.0.1",),
    ) -> None:
        self.port = port
        self.listen = f"{listen}:{port}"
        self.trusted = trusted
        self.directory = self.logs = directory.resolve()
        self.url = f"http://{'127.0.0.1' if listen == _ANY else listen}:{port}"
        self.binary = binary
        self.child: LocalChild | None = None
        self._reach = "127.0.0.1" if listen == _ANY else listen
        self._cores = cores

    @property
    def log(self) -> Path:
        """What it says of itself."""
        return self.directory / "error.log"

    @abstractmethod
    async def configure(self, files: Mapping[str, str]) -> None:
        """Puts a configuration in its place. Raises StackError where the front does not accept it."""

    @abstractmethod
    async def reload(self) -> None:
        """Makes it read its configuration again; returns once that is in force. Raises StackError."""

    @abstractmethod
    def arguments(self) -> list[str]:
        """Its command line, after the program."""

    async def is_there(self) -> bool:
        """Whether it takes connections."""
        try:
            _, writer = await asyncio.open_connection(self._reach, self.port)
        except OSError:
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    async def start(self, *, descriptors: int) -> LocalChild:
        """Starts it; returns once it takes connections. Raises StackError."""
        self.child = child = await start(
            self.name,
            [str(self.binary), *self.arguments()],
            log=self.log,
            cores=self._cores,
            descriptors=descriptors,
            # SIGTERM, so that a master ends its workers too.
            death_signal=signal.SIGTERM,
        )
        try:
            for _ in range(POLLS):
                if error := child.ended():
                    raise error
                if await self.is_there():
                    return child
                await asyncio.sleep(POLL_S)
            raise StackError(
                f"{self.name} did not listen on port {self.port} within {POLLS * POLL_S:g} s; see {self.log}"
            )
        except BaseException:
            await child.stop()
            raise

    async def renew_workers(self, order: signal.Signals) -> None:
        """Sends a master the signal on which it takes new workers; returns once one is there."""
        assert self.child is not None  # noqa: S101 - who reloads has started it
        try:
            master = psutil.Process(self.child.pid)
            before = {worker.pid for worker in master.children()}
            self.child.process.send_signal(order)
            for _ in range(POLLS):
                if {worker.pid for worker in master.children()} - before:
                    return
                await asyncio.sleep(POLL_S)
        except psutil.NoSuchProcess:
            raise self.child.ended_by_itself() from None
        raise StackError(f"{self.name} did not reload within {POLLS * POLL_S:g} s; see {self.log}")

    def accept(self, name: str, complaint: str) -> None:
        """Raises StackError where the front complains of the file of that name."""
        if complaint:
            raise StackError(f"{self.name} does not accept {self.directory / name}: {complaint}")

    def write(self, name: str, text: str) -> None:
        """Puts a file in the place of the one of that name, at once and whole."""
        draft = self.directory / f"{name}.part"
        draft.write_text(text, encoding="utf-8")
        draft.replace(self.directory / name)
