"""The simulator's loop as the Python that it is written in, and storms that are played with it.

    NUMBA_DISABLE_JIT=1 python -W error -m tests.support.uncompiled STORM…

plays storms line by line, so that each line can be traced. An index out of bounds is an error, and so is a
number that does not fit. It prints what `tests/support/watched_storms.py` has seen, as JSON.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import numba
import numpy as np


class _Record:
    """A client or a pod, whose numbers are as wide as those that the loop reckons with."""

    __slots__ = ("_row",)

    def __init__(self, row: Any) -> None:
        object.__setattr__(self, "_row", row)

    def __getattr__(self, name: str) -> Any:
        return self._row[name].item()

    def __setattr__(self, name: str, value: Any) -> None:
        self._row[name] = value


class _Records:
    """All of them."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __getitem__(self, place: int) -> _Record:
        return _Record(self._array[place])


def _wrapping(mixed: Callable[..., Any]) -> Callable[..., Any]:
    """The one function whose numbers are meant to overflow, as those of machine code do."""

    def wrapped(*numbers: Any) -> Any:
        with np.errstate(over="ignore"):
            return mixed(*map(np.int64, numbers))

    return wrapped


def leave_uncompiled() -> None:
    """What only the compiler knows gets a meaning in Python; to be called before the loop is imported."""
    if not numba.config.DISABLE_JIT:
        sys.exit("uncompiled: NUMBA_DISABLE_JIT is not set: expected 1")
    from scenarios.simulator.loop import clients, compiled, handle

    handle.handle = lambda world: world
    compiled.prefetch = lambda _array, _place: None
    compiled.is_made = lambda: True
    clients.mixed = _wrapping(clients.mixed)

    from scenarios.simulator.engine import Engine

    def world_of(self: Engine) -> Any:
        """The arrays themselves, in place of their addresses."""
        world = self.world
        return world._replace(clients=_Records(world.clients), pods=_Records(world.pods))

    Engine._places = world_of  # type: ignore[method-assign]


if __name__ == "__main__":
    leave_uncompiled()
    from tests.support.watched_storms import seen

    sys.stdout.write(json.dumps({name: seen(name) for name in sys.argv[1:]}))
