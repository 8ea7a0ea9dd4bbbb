"""Commands of the user's own that a timeline runs: a deploy, a restart, a scale-out."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from scenarios.events.exec import commands_of
from scenarios.host.machine import MachineError
from scenarios.host.process import StackError, exit_text, is_there, last_lines, telling
from scenarios.programs.kept import KeptProgram, start_kept
from scenarios.programs.log_limit import cut_log
from scenarios.programs.placeholders import Invocation
from scenarios.scenario.model import Scenario
from scenarios.scenario.program import Program, line_of

_GRACE_S = 2.0
"""From SIGTERM until everything that is left is killed."""
_LOOK_S = 1.0
"""How often the length of the output is looked at."""
_LOOKED_AT = 30


def check_commands(scenario: Scenario, *, allow_exec: bool) -> None:
    """Raises MachineError where commands of events are not asked for, or do not exist; nothing is started."""
    folder = Path(scenario.folder)
    for place, event in commands_of(scenario.event):
        if not allow_exec:
            raise MachineError(
                f"event[{place}].do: exec would run a command on this machine: `{line_of(event.command)}`:"
                " expected --allow-exec, if that is wanted"
            )
        if not is_there(event.command[0], folder):
            where = folder.absolute() if "/" in event.command[0] else "the PATH"
            raise MachineError(f"event[{place}].command: {event.command[0]} was not found; looked in {where}")


async def run_command(words: Sequence[str], timeout_s: float, *, folder: Path, log: Path) -> None:
    """Runs a command without a shell, and returns once it has ended well.

    folder: its working folder. log: for what it prints. However this ends, nothing that the command has
    started is left. Raises StackError where it cannot be started, fails, or takes longer than `timeout_s`.
    """
    name = f"exec `{line_of(words)}`"
    log.parent.mkdir(exist_ok=True)
    program = Program(command=tuple(words), stop_grace_s=_GRACE_S)
    child = await start_kept("exec", program, Invocation(tuple(words), {}), folder=folder, log=log)
    try:
        async with asyncio.timeout(timeout_s):
            await _ended(child)
    except TimeoutError:
        await child.stop()
        raise StackError(f"{name}: timed out after {timeout_s:g} s (timeout_s); {_said(log)}") from None
    finally:
        await child.stop()
        cut_log(log)
    if child.keeper.returncode:
        how = exit_text(child.keeper.returncode)
        raise StackError(f"{name} failed ({how}); {_said(log)}")


async def _ended(child: KeptProgram) -> None:
    """Returns once it has ended; what it prints does not fill the disk meanwhile."""
    while True:
        try:
            async with asyncio.timeout(_LOOK_S):
                await child.wait()
        except TimeoutError:
            cut_log(child.log)
        else:
            return


def _said(log: Path) -> str:
    lines = last_lines(log, _LOOKED_AT)
    return f"{log}: {telling(lines)}" if lines else f"{log} is empty"
