"""A run, repeated while other load on this host invalidates it."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec.structs import replace

from reports.analysis.judgement import judge_run
from reports.rundir.files import find_runs
from scenarios.runner.plan import Plan
from scenarios.runner.progress import RunView
from scenarios.runner.run import run
from scenarios.runner.until_done import run_until_done


async def until_quiet(
    attempts: int, play: Callable[[int], Awaitable[str]], on_retry: Callable[[str], None]
) -> bool:
    """Plays until an attempt was not invalidated by other load; returns whether one was not.

    play(attempt): plays attempt 1, 2, …; returns why it was invalidated, or an empty text. on_retry(reason):
    called before each further attempt.
    """
    for attempt in range(1, attempts + 1):
        reason = await play(attempt)
        if not reason:
            return True
        if attempt < attempts:
            on_retry(reason)
    return False


def attempt_folder(folder: Path, attempt: int) -> Path:
    """The run directory of an attempt; the first one has no suffix."""
    return folder if attempt == 1 else folder.with_name(f"{folder.name}-attempt{attempt}")


def other_load(folder: Path) -> str:
    """Why other load invalidated the run in this folder; an empty text if it did not."""
    found = [judge_run(path).info.validity for path in find_runs([folder])]
    return "; ".join(
        problem for validity in found if validity["invalidated_by_host"] for problem in validity["problems"]
    )


def run_until_quiet(plan: Plan, retries: int, view: RunView) -> bool:
    """Runs a plan, and repeats it while other load invalidates it and there are retries left.

    Returns whether other load left the last attempt alone. Raises StackError, and CancelledError on Ctrl-C.
    """
    quiet = False

    async def play(attempt: int) -> str:
        folder = attempt_folder(plan.directory, attempt)
        await run(replace(plan, directory=folder), view.show)
        return other_load(folder)

    async def repeat() -> None:
        nonlocal quiet
        quiet = await until_quiet(retries + 1, play, view.repeat)

    run_until_done(repeat())
    return quiet
