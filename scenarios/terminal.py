"""What every command does with the terminal: exit statuses, complaints, and an end that cleans up."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NoReturn

from rich.console import Console

from scenarios.stack import machine

GOOD, BROKEN, USAGE, INVALID, INTERRUPTED = 0, 1, 2, 3, 130

console = Console()
errors = Console(stderr=True)


def run_until_done(work: Coroutine[Any, Any, object]) -> None:
    """Runs to the end, or until SIGINT or SIGTERM; either way everything is cleaned up before it returns."""

    async def guarded() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # Once only: a second Ctrl-C must not cut the cleaning up short.
            loop.add_signal_handler(number, _cancel_once(task))
        await work

    asyncio.run(guarded())


def _cancel_once(task: "asyncio.Task[Any]") -> Callable[[], None]:
    def cancel() -> None:
        if not task.cancelling():
            task.cancel()

    return cancel


def warn_of_leftovers() -> None:
    """Names processes of an earlier run: they would share the cores."""
    for process in machine.leftovers():
        complain(f"warning: a process of an earlier run is still there: {process}")


@contextlib.contextmanager
def usage_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Ends the program with status 2 and one line where one of these errors is raised."""
    try:
        yield
    except kinds as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """Ends the program with status 2."""
    complain(message)
    sys.exit(USAGE)


def complain(message: str) -> None:
    """Writes one line to standard error."""
    errors.print(f"reconnect-storm: {message}", markup=False, highlight=False, soft_wrap=True)
