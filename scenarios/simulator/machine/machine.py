"""The loop as a function that Python calls, ready to run.

Machine code that is kept is loaded by LLVM alone: importing Numba takes as long as a prediction of a thousand
clients.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from llvmlite import binding

from scenarios.simulator.machine import kept
from scenarios.simulator.machine.kept import Code

Play = Callable[[int, int, int, Any], None]
"""(address of the list of a world's arrays, order, number, rows): see `loop/play.py`."""

_COMPILER = "scenarios.simulator.machine.compiler"
"""Imported where there is something to compile: that takes as long as a small prediction."""
_FROM_C = ("ceil", "exp", "floor", "log", "memcpy", "memmove", "memset")
"""What the code may call."""
_NEVER_CALLED = ("NRT_Free", "NRT_MemInfo_call_dtor")
"""What Numba frees memory with: the loop allocates none."""

_LOADED: list[Any] = []
"""What has to be there for as long as the code runs: LLVM copies nothing, and the code writes to `said`."""


def is_made() -> bool:
    """Whether there is machine code from an earlier time."""
    path = kept.place()
    return path is not None and path.exists()


@cache
def machine_play() -> Play:
    """The loop; compiled where there is nothing from an earlier time."""
    path = kept.place()
    code = kept.read(path) if path else None
    if code is None:
        code = import_module(_COMPILER).compiled()
        if path:
            kept.write(path, code)
    return _loaded(code)


def _loaded(code: Code) -> Play:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    library = ctypes.CDLL(None)
    for name, function in (*zip(_FROM_C, _FROM_C, strict=True), *((name, "abort") for name in _NEVER_CALLED)):
        binding.add_symbol(name, ctypes.cast(library[function], ctypes.c_void_p).value)
    target = binding.Target.from_default_triple().create_target_machine(jit=True)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), target)
    engine.add_object_file(binding.ObjectFileRef.from_data(code.content))
    engine.finalize_object()
    # Numba's own convention: a status comes back, and behind the first two arguments what else is said.
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    call = ctypes.CFUNCTYPE(ctypes.c_int32, *[pointer] * 2, *[number] * 5)(
        engine.get_function_address(code.name)
    )
    said = (pointer * 2)()
    found, error = ctypes.addressof(said), ctypes.addressof(said) + ctypes.sizeof(pointer)
    _LOADED.append((engine, code.content, said))

    def play(places: int, order: int, argument: int, rows: Any) -> None:
        status = call(found, error, places, order, argument, rows.ctypes.data, len(rows))
        if status:
            raise RuntimeError(f"the loop ended with status {status}")

    return play
