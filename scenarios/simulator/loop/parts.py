"""Says of the loop's functions how they are to be compiled; here they stay the Python that they are.

`scenarios/simulator/machine/` compiles them. A function that is not named here cannot be called by others.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Part(NamedTuple):
    """A function of the loop."""

    function: Callable[..., Any]
    is_hot: bool
    """Whether it becomes a part of those that call it."""


PARTS: list[Part] = []
"""All of them, in the order of their definitions: each stands behind those that it calls."""


def inner(function: _Function) -> _Function:
    """A function that others call; those that it calls itself are defined before it."""
    PARTS.append(Part(function, is_hot=False))
    return function


def hot(function: _Function) -> _Function:
    """The same, for a small one that is called at every attempt."""
    PARTS.append(Part(function, is_hot=True))
    return function


def prefetch(_array: Any, _place: int) -> None:
    """Asks the processor to have an element of an array ready; changes nothing."""
