"""Work that Ctrl-C or SIGTERM ends in order."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any


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
