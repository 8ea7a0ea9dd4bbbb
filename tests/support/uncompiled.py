"""The simulator's loop as the Python that it is written in, so that each line can be traced.

An index out of bounds is an error there, and a number that does not fit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from scenarios.simulator import engine
from scenarios.simulator.loop import play
from scenarios.simulator.loop.world import World


class _Numbers:
    """An array whose numbers are whole numbers of Python's: none overflows."""

    __slots__ = ("_array",)

    def __init__(self, array: Any) -> None:
        self._array = array

    def __getitem__(self, place: int) -> Any:
        return self._array.item(int(place))

    def __setitem__(self, place: int, value: Any) -> None:
        self._array[int(place)] = value


class _Rows:
    """Rows of an order."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: tuple[int, int]) -> int:
        return int(self._rows[place])


class _Record:
    """A client or a pod."""

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
        return _Record(self._array[int(place)])


def plain(world: World) -> World:
    """The same arrays, as the loop takes them without the compiler."""
    return World(
        *(_Records(array) if array.dtype.names else _Numbers(array) for array in world),
    )


@contextmanager
def uncompiled() -> Iterator[None]:
    """Engines that are made meanwhile play without machine code."""

    def play_plain(world: World, order: int, number: int, rows: Any) -> None:
        play.play(world, order, number, _Rows(rows))

    with (
        patch.object(engine, "machine_play", lambda: play_plain),
        patch.object(engine.Engine, "_places", lambda self: plain(self.world)),
    ):
        yield
