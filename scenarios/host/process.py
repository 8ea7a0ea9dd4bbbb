"""Child processes: pinned, unable to outlive us, and stopped for certain."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from msgspec import Struct

LAUNCHER = str(Path(__file__).with_name("launcher.py"))
_GRACE_S = 2.0


class StackError(Exception):
    """A part of the stack could not be started, or ended when it should not have."""


class AbortedError(StackError):
    """An abort condition has ended the generator: nothing has failed, and the run is not complete."""


def first_of(error: BaseException) -> BaseException:
    """Of errors that tasks have raised together, the one to tell: a part that failed, if there is one."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    parts = [first_of(part) for part in error.exceptions]
    return next((part for part in parts if isinstance(part, StackError)), parts[0])


class Child(Protocol):
    """A child process, here or on another host, and what to call it."""

    name: str
    log: Path
    """Where its standard error can be read in the end."""

    async def kill(self) -> None:
        """Ends the child's whole process group at once, as a crash would."""

    async def stop(self, grace_s: float | None = None) -> None:
        """Asks the child to end, then makes its whole process group end.

        grace_s: the time between the two, instead of the one that the child has.
        """

    async def pause(self) -> None:
        """The child stands still until `resume`."""

    async def resume(self) -> None:
        """The child goes on, if it still is there."""

    async def wait(self) -> None:
        """Returns when it has ended."""

    def lines(self) -> AsyncIterator[bytes]:
        """The lines of its standard output, until it ends."""

    def ended(self) -> StackError | None:
        """The error to raise if the child has ended already."""

    def ended_by_itself(self) -> StackError:
        """The error that tells how a child ended that should not have."""


class LocalChild(Struct, eq=False):
    """A child process of this process."""

    name: str
    process: asyncio.subprocess.Process
    log: Path
    grace_s: float = _GRACE_S
    """From the order to end until its process group is killed."""

    @property
    def pid(self) -> int:
        """Process id; also that of its process group."""
        return self.process.pid

    async def kill(self) -> None:
        """Ends the child's whole process group at once, as a crash would."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        await self.process.wait()

    async def stop(self, grace_s: float | None = None) -> None:
        """Asks the child to end, then makes its whole process group end."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
                self.process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), self.grace_s if grace_s is None else grace_s)
        await self.kill()

    async def pause(self) -> None:
        """The child stands still until `resume`, if it still is there."""
        self._send(signal.SIGSTOP)

    async def resume(self) -> None:
        """The child goes on, if it still is there."""
        self._send(signal.SIGCONT)

    async def wait(self) -> None:
        """Returns when it has ended."""
        await self.process.wait()

    async def lines(self) -> AsyncIterator[bytes]:
        """The lines of its standard output, until it ends; nothing of it must go to the log."""
        assert self.process.stdout is not None  # noqa: S101
        while True:
            try:
                line = await self.process.stdout.readline()
            except ValueError:
                continue  # It was longer than the buffer, and is gone; the next ones can be read.
            if not line:
                return
            yield line

    def ended(self) -> StackError | None:
        """The error to raise if the child has ended already."""
        code = self.process.returncode
        return None if code is None else end_error(self.name, code, self.log)

    def ended_by_itself(self) -> StackError:
        """The error that tells how a child ended that should not have."""
        return end_error(self.name, self.process.returncode, self.log, by_itself=True)

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


_TELLING = re.compile(r"error|exception|fatal|denied|not found|cannot|failed", re.IGNORECASE)
_THROWN = re.compile(r"^[\w.]*(Error|Exception)\b[^:]*: \S")
_FRAME = re.compile(r"^\s+at ")
_LOOKED_AT = 30


def telling(lines: Sequence[str]) -> str:
    """Of the last lines of a log, the newest one that names an error, with what it says; else the last one.

    A stack trace of JavaScript ends with its frames, with the event that carried the error, and with the
    version of Node; a failed npm with the path of its own log.
    """
    last = [line for line in lines[-_LOOKED_AT:] if not _FRAME.match(line)]
    thrown = [line for line in last if _THROWN.match(line)]
    found = [line for line in last if _TELLING.search(line) and "A complete log of this run" not in line]
    return (thrown or found or last or lines)[-1].strip()


def last_lines(log: Path, count: int = 5) -> list[str]:
    """The last lines of a log that are not empty."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 65_536))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]


class SignalMasks(NamedTuple):
    """Signals that a process has seen to: bit n - 1 is signal n."""

    caught: int
    blocked: int
    ignored: int


def signal_masks(pid: int) -> SignalMasks | None:
    """The masks of a process; None where the system does not tell, and of one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
        values = dict(line.split(":", 1) for line in lines)
        return SignalMasks(*(int(values[name], 16) for name in ("SigCgt", "SigBlk", "SigIgn")))
    except (OSError, KeyError):
        return None


def end_error(name: str, code: int | None, log: Path, *, by_itself: bool = False) -> StackError:
    """Tells how a child ended, and what it said last; its exit code is None while it runs."""
    lines = last_lines(log, _LOOKED_AT)
    how = "still runs" if code is None else exit_text(code)
    last_words = f"{log}: {telling(lines)}" if lines else f"{log} is empty"
    return StackError(f"{name} ended{' by itself' if by_itself else ''} ({how}); {last_words}")


class Watch:
    """Tells when a child ends of which nobody expected it."""

    def __init__(self) -> None:
        self._watchers: dict[object, asyncio.Task[None]] = {}
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def over(self, child: Child) -> None:
        """Watches a child from now on."""
        self._watchers[child] = asyncio.create_task(self._wait(child))

    def release(self, watched: object) -> None:
        """The child, or whatever it is, may end."""
        watcher = self._watchers.pop(watched, None)
        if watcher is not None:
            watcher.cancel()

    def also(self, failing: Coroutine[None, None, None]) -> None:
        """Watches something else: it never returns, and raises StackError when it has failed."""
        self._watchers[failing] = asyncio.create_task(self._await_failure(failing))

    async def failed(self) -> None:
        """Returns never; raises StackError when a watched child ends by itself."""
        await asyncio.shield(self._failure)

    async def stop(self) -> None:
        """Watches nobody any more."""
        watchers = list(self._watchers.values())
        self._watchers.clear()
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
        self._failure.cancel()

    async def _wait(self, child: Child) -> None:
        await child.wait()
        self.tell(child.ended_by_itself())

    async def _await_failure(self, failing: Coroutine[None, None, None]) -> None:
        try:
            await failing
        except StackError as error:
            self.tell(error)
        except Exception as error:  # An error that nobody expected ends what is watched all the same.
            self.tell(StackError(repr(error)))

    def tell(self, error: StackError) -> None:
        """Something has failed that is not a child watched here."""
        if not self._failure.done():
            self._failure.set_exception(error)


def is_there(program: str, folder: Path) -> bool:
    """Whether there is such a program: in the PATH or, with a slash in its name, below the folder."""
    return (folder / program).exists() if "/" in program else shutil.which(program) is not None


async def start(
    name: str,
    program: Sequence[str],
    *,
    log: Path,
    cores: Sequence[int] = (),
    descriptors: int = 1024,
    death_signal: int = signal.SIGKILL,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    pipe_output: bool = False,
    directory: Path | None = None,
    grace_s: float = _GRACE_S,
) -> LocalChild:
    """Starts a program, in `directory`, whose standard error (and output, unless piped) goes to `log`.

    grace_s: from the order to end until it is killed.
    """
    with log.open("ab") as stream:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", LAUNCHER),
            *(str(os.getpid()), str(int(death_signal)), ",".join(map(str, cores)) or "-", str(descriptors)),
            "--",
            *program,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if pipe_output else stream,
            stderr=stream,
            env={**os.environ, **(environment or {})},
            pass_fds=pass_fds,
            cwd=directory,
            # Ctrl-C in a terminal reaches us alone; we then end the others in order.
            start_new_session=True,
        )
    return LocalChild(name, process, log, grace_s)


def exit_text(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
