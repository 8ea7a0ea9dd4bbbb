"""A hostile server for clients in Python: each attempt gets the next step of a script."""

from collections.abc import Callable
from typing import Any

Step = dict[str, Any]


class OverError(Exception):
    """The last step of the script has ended."""


class Server:
    """What it does to the attempts of one client, and when they came."""

    def __init__(self, steps: list[Step], now_s: Callable[[], float]) -> None:
        self.steps = steps
        self.now_s = now_s
        self.attempts = 0
        self.ended_s: float | None = None
        self.delays_ms: list[float] = []

    @property
    def done(self) -> bool:
        return self.attempts >= len(self.steps) and self.ended_s is not None

    def attempt(self) -> Step:
        """The step of a new attempt."""
        if self.done:
            raise OverError
        if self.ended_s is not None:
            self.delays_ms.append((self.now_s() - self.ended_s) * 1000)
        self.ended_s = None
        self.attempts += 1
        return self.steps[self.attempts - 1]

    def ended(self) -> None:
        """An attempt or a session has ended just now."""
        self.ended_s = self.now_s()
