"""A program of the user's own as a child of this process, with a keeper in between; see `host/keeper.py`."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psutil
from msgspec import Struct

from scenarios.host.control_group import new_group, remove_group
from scenarios.host.process import StackError, end_error, exit_text, last_lines, signal_masks
from scenarios.host.token import without_tokens
from scenarios.programs.placeholders import Invocation
from scenarios.scenario.program import Program

_KEEPER = str(Path(__file__).parents[1] / "host" / "keeper.py")
_KILLED_TIMEOUT_S = 10.0
_NO_LINES: tuple[bytes, ...] = ()


class KeptProgram(Struct, eq=False):
    """A running program: a `Child` whose orders go to the program; its end is that of its descendants."""

    name: str
    keeper: asyncio.subprocess.Process
    pid: int
    """Process id of the program itself."""
    log: Path
    stop_grace_s: float
    group: Path | None
    """Its control group; None where this process may not make one."""

    def processes(self) -> list[psutil.Process]:
        """The program and its descendants, as far as they are there now."""
        try:
            return psutil.Process(self.keeper.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    async def kill(self) -> None:
        """Ends the program and all its descendants at once."""
        self._to_keeper(signal.SIGUSR1)
        try:
            await asyncio.wait_for(self.keeper.wait(), _KILLED_TIMEOUT_S)
        except TimeoutError:
            for process in [*self.processes(), psutil.Process(self.keeper.pid)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            await self.keeper.wait()
        if self.group is not None:
            # Of a keeper that was killed itself, the group knows what is left.
            remove_group(self.group)

    async def stop(self, grace_s: float | None = None) -> None:
        """Sends the program its stop signal, and kills what is left after the time of grace."""
        if self.keeper.returncode is None:
            await self.resume()
            self._to_keeper(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.keeper.wait(), self.stop_grace_s if grace_s is None else grace_s)
        await self.kill()

    async def pause(self) -> None:
        """Freezes the program and its descendants until `resume`."""
        self._to_all(signal.SIGSTOP)

    async def resume(self) -> None:
        """The program and its descendants go on."""
        self._to_all(signal.SIGCONT)

    async def wait(self) -> None:
        """Returns once it has ended."""
        await self.keeper.wait()

    async def lines(self) -> AsyncIterator[bytes]:
        """None: what it says goes to its log."""
        await self.wait()
        for line in _NO_LINES:
            yield line

    def ended(self) -> StackError | None:
        """The error to raise if it has ended already."""
        return None if self.keeper.returncode is None else self.ended_by_itself()

    def ended_by_itself(self) -> StackError:
        """The error that tells how it ended, and what it said last."""
        return end_error(self.name, self.keeper.returncode, self.log, by_itself=True)

    @property
    def how_it_ended(self) -> str:
        """Its exit status, or the signal that has ended it."""
        return "still runs" if self.keeper.returncode is None else exit_text(self.keeper.returncode)

    def last_lines(self) -> list[str]:
        """The last lines of its log."""
        return last_lines(self.log)

    def send(self, number: int) -> None:
        """Sends a signal to the program; one that freezes or continues it, to all its descendants, too."""
        if number in {signal.SIGSTOP, signal.SIGCONT}:
            self._to_all(number)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, number)

    def handles(self, number: int) -> bool:
        """Whether the program has seen to a signal by now: it catches, blocks or ignores it.

        True where the system does not tell, and of a program that has ended.
        """
        try:
            words = Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return True
        masks = signal_masks(self.pid)
        if masks is None:
            return True
        # Until it executes the program, the process is a copy of the keeper, whose masks say nothing.
        return _KEEPER.encode() not in words and any(mask >> (number - 1) & 1 for mask in masks)

    def _to_all(self, number: int) -> None:
        # A fork between the two turns is in the second.
        for _ in range(2):
            for process in self.processes():
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    process.send_signal(number)

    def _to_keeper(self, number: int) -> None:
        if self.keeper.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.keeper.send_signal(number)


async def start_kept(
    name: str,
    program: Program,
    invocation: Invocation,
    *,
    folder: Path,
    log: Path,
    cores: Sequence[int] = (),
    descriptors: int = 1024,
) -> KeptProgram:
    """Starts a program without a shell. folder: what its working folder is relative to. Raises StackError."""
    directory = folder / program.directory
    if not directory.is_dir():
        raise StackError(f"{name}: cannot be started: the folder {directory} does not exist")
    group = new_group(name)
    reading, writing = os.pipe()
    try:
        with log.open("ab") as stream:
            keeper = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", _KEEPER, str(os.getpid())),
                *(",".join(map(str, cores)) or "-", str(descriptors), str(group or "-")),
                *(str(int(getattr(signal, program.stop_signal))), str(writing), "--"),
                *invocation.words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env={**without_tokens(os.environ), **invocation.environment},
                pass_fds=(writing,),
                cwd=directory,
                start_new_session=True,
            )
        os.close(writing)
        writing = -1
        told = await _told(keeper, reading)
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)
    if not told:
        await keeper.wait()
        raise end_error(name, keeper.returncode, log)
    pid, joined = told.split()
    if group is not None and joined == b"0":
        # This process may make a group, and move no other into it.
        remove_group(group)
        group = None
    return KeptProgram(name, keeper, int(pid), log, program.stop_grace_s, group)


async def _told(keeper: asyncio.subprocess.Process, reading: int) -> bytes:
    """The first words of the keeper; where nobody waits for them any more, the keeper ends everything."""
    try:
        return await asyncio.get_running_loop().run_in_executor(None, os.read, reading, 32)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            keeper.send_signal(signal.SIGUSR1)
        await asyncio.shield(keeper.wait())
        raise
