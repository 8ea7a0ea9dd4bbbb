"""The arrays of a `World` inside of the compiled loop: one address in place of nine arrays.

A function that is given an array is given seven numbers, and nine arrays at each call of each function take
longer than what most of them do. So the loop is given the address of the list of the arrays' addresses, and
looks there. That list does not change as long as the loop runs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray
from numba.core import types
from numba.extending import intrinsic, models, overload_attribute, register_model

from scenarios.simulator.loop.world import CLIENT, POD, World

_LONG = (1 << 40,)
"""Nobody asks how long an array is."""


class Handle(types.Type):
    """The compiler's type of a world."""

    def __init__(self) -> None:
        super().__init__(name="Handle")


HANDLE = Handle()


def extension(function: Callable[..., Any]) -> Any:
    """A function of the loop that says itself which instructions it is."""
    return intrinsic(function)


@register_model(Handle)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.IntType(64))


@extension
def handle(_context: Any, _places: Any) -> Any:
    """The world whose arrays' addresses are listed at that address."""

    def generate(_context: Any, _builder: Any, _signature: Any, arguments: Any) -> Any:
        return arguments[0]

    return HANDLE(types.int64), generate


@extension
def _place(_context: Any, _world: Any, _number: Any) -> Any:
    """Where an array is."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        listed = builder.inttoptr(arguments[0], word.as_pointer())
        address = builder.load(builder.gep(listed, [arguments[1]]))
        address.set_metadata("invariant.load", builder.module.add_metadata([]))
        return builder.inttoptr(address, ir.IntType(8).as_pointer())

    return types.voidptr(HANDLE, types.int64), generate


def _offer(name: str, number: int, kind: Any) -> None:
    def array(_world):  # type: ignore[no-untyped-def] # the compiler compares the two signatures
        return lambda _world: carray(_place(_world, number), _LONG, kind)

    overload_attribute(Handle, name)(array)


for _name, _number, _kind in zip(
    World._fields,
    range(len(World._fields)),
    (np.int64, np.float64, CLIENT, POD, np.int64, np.int64, np.int64, np.int64, np.int64),
    strict=True,
):
    _offer(_name, _number, _kind)
