"""An event loop whose clock jumps to the next thing to do: hours pass as fast as they can be computed.

What happens meanwhile is computed before the clock jumps, up to the moment to which it does.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class _Jumping(selectors.SelectSelector):
    """Instead of waiting it moves the clock; there is nothing outside to wait for."""

    def __init__(self, go_to: Callable[[float], None]) -> None:
        super().__init__()
        self._go_to = go_to
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("deadlock: every task waits, and no timer is set")
        if timeout > 0:
            self.now_s += timeout
            self._go_to(self.now_s)
        return super().select(0)


def nothing_happens(_until_s: float) -> None:
    """While the clock jumps to that second."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Counts its seconds from 0; `asyncio.sleep` takes no time.

    go_to(t_s): computes what happens until then.
    """

    def __init__(self, go_to: Callable[[float], None] = nothing_happens) -> None:
        self._jumping = _Jumping(go_to)
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._jumping.now_s


def run_in_virtual_time(
    work: Coroutine[Any, Any, _Result], go_to: Callable[[float], None] = nothing_happens
) -> _Result:
    """Runs to the end, as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=partial(VirtualLoop, go_to)) as runner:
        return runner.run(work)
