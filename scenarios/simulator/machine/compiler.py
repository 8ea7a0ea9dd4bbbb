"""Makes machine code of the loop, which takes a while.

Numba is given copies of the loop's functions that call each other's machine code, each for the kinds of its
arguments and for no others: otherwise there would be one more of it for each width of whole numbers that it
is ever called with. The functions themselves stay as they are.
"""

from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType
from typing import Any

import numba
from llvmlite import ir
from numba import carray
from numba.core import cgutils, types

from scenarios.simulator.loop import at, parts
from scenarios.simulator.loop.play import play
from scenarios.simulator.machine.handle import HANDLE, extension, handle
from scenarios.simulator.machine.kept import Code

_KINDS = {int: types.int64, float: types.float64, bool: types.boolean}
_OWN = {"w": HANDLE, "rows": types.int64[:, ::1]}
"""By name: the world, and the rows of an order."""
_LOOP = at.__name__.rpartition(".")[0]


@extension
def _prefetch(_context: Any, array: Any, _index: Any) -> Any:
    """`parts.prefetch` as the processor knows it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        made = context.make_array(kind)(context, builder, arguments[0])
        pointer = cgutils.get_item_pointer(context, builder, kind, made, [arguments[1]], wraparound=False)
        byte, number = cgutils.voidptr_t, cgutils.int32_t
        shape = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, shape, "llvm.prefetch.p0")
        builder.call(function, [builder.bitcast(pointer, byte), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@extension
def _pointer(_context: Any, _address: Any) -> Any:
    """What is at an address."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


def compiled() -> Code:
    """The whole loop."""
    # What there would be to vectorise takes no time, and looking for it does.
    numba.config.LOOP_VECTORIZE = 0
    made: dict[int, Any] = {id(parts.prefetch): _prefetch}
    for part in parts.PARTS:
        if id(part.function) not in made:
            made[id(part.function)] = _machine_code(part, made)
    whole = made[id(play)]

    def entry(places, order, number, rows, count):  # type: ignore[no-untyped-def] # whole numbers all
        whole(handle(places), order, number, carray(_pointer(rows), (count, 3), numba.int64))

    (code,) = _compiled(entry, (types.int64,) * 5).overloads.values()
    return Code(code.fndesc.llvm_func_name, code.library._get_compiled_object())


def _machine_code(part: parts.Part, made: Mapping[int, Any]) -> Any:
    function = part.function
    own = FunctionType(function.__code__, _with(made, function.__globals__), function.__name__)
    own.__module__, own.__qualname__ = function.__module__, function.__qualname__
    return _compiled(own, _signature(function), **({"forceinline": True} if part.is_hot else {}))


def _compiled(function: Callable[..., Any], signature: Any, **more: Any) -> Any:
    code = numba.njit(function, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, **more)
    code.compile(signature)
    code.disable_compile()
    return code


def _signature(function: Callable[..., Any]) -> Any:
    """By its annotations."""
    hints = {name: kind for name, kind in function.__annotations__.items() if name != "return"}
    return tuple(_OWN[name] if name in _OWN else _KINDS[kind] for name, kind in hints.items())


def _with(made: Mapping[int, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """The names of a module with machine code in place of functions, also in other modules of the loop."""
    return {name: made.get(id(value), _module(made, value)) for name, value in names.items()}


def _module(made: Mapping[int, Any], value: Any) -> Any:
    if not isinstance(value, ModuleType) or not value.__name__.startswith(f"{_LOOP}."):
        return value
    found = ModuleType(value.__name__)
    found.__dict__.update({name: made.get(id(each), each) for name, each in vars(value).items()})
    return found
