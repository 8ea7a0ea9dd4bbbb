"""Where an element of a table stands in the array that has it."""

from typing import Any

import numpy as np

from scenarios.simulator.loop.parts import hot


@hot
def u(place: int) -> int:
    """A place that is not negative: the compiler need not look whether it counts from the end."""
    return np.uint64(place)  # type: ignore[return-value]


@hot
def one(w: Any, table: int, place: int) -> int:
    """An element of a table with one index."""
    return int(w.s[table] + place)


@hot
def item(w: Any, table: int, place: int) -> int:
    """The first element of a row."""
    return int(w.s[table] + place * w.s[table + 1])


@hot
def spot(w: Any, table: int, place: int, second: int) -> int:
    """An element of a table with two indices, or the first of a row."""
    return int(w.s[table] + place * w.s[table + 1] + second * w.s[table + 2])


@hot
def deep(w: Any, table: int, place: int, second: int, third: int) -> int:
    """An element of a table with three indices."""
    return int(w.s[table] + place * w.s[table + 1] + second * w.s[table + 2] + third)
