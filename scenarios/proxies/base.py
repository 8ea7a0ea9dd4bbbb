"""A proxy as a child of this process, whichever it is: its folder, its port, its start.

What proxies and sidecars have in common: a program, a template, and a validator of what came of it.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar

import jinja2
import psutil

from scenarios.host.process import LocalChild, StackError, signal_masks, start

POLLS = 400
POLL_S = 0.05
_GRACE_S = 15.0
"""To end: what it has still to write are refusals and connections that a run counts, also on a busy host.
SIGTERM ends a worker of HAProxy at once, whatever it has still to write."""
_ANY = "0.0.0.0"  # noqa: S104


class LocalProxy(ABC):
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
        self.private: Path | None = None
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
        """Puts a configuration in its place. Raises StackError where the proxy does not accept it."""

    @abstractmethod
    async def reload(self) -> None:
        """Makes it read its configuration again; returns once that is in force. Raises StackError."""

    async def cut(self) -> bool:
        """Nothing: not every proxy has workers that can be killed one by one."""
        return False

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
            grace_s=_GRACE_S,
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
            before = None
            for _ in range(POLLS):
                workers = {worker.pid for worker in master.children()}
                if before is None:
                    # Its port is open before that. HAProxy, which each reload executes anew, loses an earlier
                    # signal, or ends of it.
                    if _handles(master.pid, order):
                        before = workers
                        self.child.process.send_signal(order)
                elif workers - before:
                    return
                await asyncio.sleep(POLL_S)
        except psutil.NoSuchProcess:
            raise self.child.ended_by_itself() from None
        raise StackError(f"{self.name} did not reload within {POLLS * POLL_S:g} s; see {self.log}")

    def accept(self, name: str, complaint: str) -> None:
        """Raises StackError where the proxy complains of the file of that name."""
        if complaint:
            raise StackError(f"{self.name} rejects {self.directory / name}: {complaint}")

    def write(self, name: str, text: str) -> None:
        """Puts a file in the place of the one of that name, at once and whole."""
        draft = self.directory / f"{name}.part"
        draft.write_text(text, encoding="utf-8")
        draft.replace(self.directory / name)


def _handles(pid: int, number: signal.Signals) -> bool:
    """Whether the process catches this signal by now. True where the system does not tell."""
    masks = signal_masks(pid)
    return masks is None or bool((masks.caught & ~masks.blocked) >> (number - 1) & 1)


ADMINISTRATORS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where Debian and others install servers."""


@cache
def template(path: Path) -> jinja2.Template:
    """The template of a configuration, compiled once; a name that nobody has filled in is an error."""
    environment = jinja2.Environment(  # noqa: S701 - a configuration is not HTML
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(path.read_text(encoding="utf-8"))


def program(name: str) -> Path | None:
    """A program of the system; also one that is not on the PATH of whoever is no administrator."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), *ADMINISTRATORS])
    found = shutil.which(name, path=folders)
    return None if found is None else Path(found)


def made_executable(binary: Path) -> Path:
    """A program that came as a file of a package, which may have lost its permission on the way."""
    if not os.access(binary, os.X_OK):
        binary.chmod(binary.stat().st_mode | 0o111)
    return binary


def complaint(command: Sequence[str | Path]) -> str:
    """What a validator says against a configuration; empty when it accepts it."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return "\n".join(filter(None, (done.stderr.strip(), done.stdout.strip()))) if done.returncode else ""
