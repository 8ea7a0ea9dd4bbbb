"""Virtual time for asyncio: the clock jumps to the next timer as soon as nothing else is left to do."""

import asyncio
import selectors
from typing import Any


class NothingLeftError(Exception):
    """No timer is left: the client will not do anything again."""


class _Jump(selectors.DefaultSelector):
    """Waits for timers alone, by moving the clock."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise NothingLeftError
        self.loop.now_s += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that waits for no file, and whose time is virtual."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        selector = _Jump()
        selector.loop = self
        super().__init__(selector)
        # With the resolution of a real clock, a timer could be due before its time.
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self.now_s
