"""Compiles the loop when it is first needed, and keeps the machine code for the next time.

The code is kept in a folder of the user's whose name tells the versions of everything that it was made from:
another version of this program, or of the compiler, never meets it. The folders that were used last are kept.
"""

import contextlib
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_name
from numba.core import cgutils, types

from gateway_stub import sliding_window
from reports.rundir import latency
from scenarios.host.caches import cache_folder
from scenarios.simulator.loop.handle import HANDLE, extension

_Function = TypeVar("_Function", bound=Callable[..., Any])
_SCENARIOS = Path(__file__).parents[2]

_KEPT_FOLDERS = 8
"""For so many installations, or versions of one, there is machine code on this machine."""


def sources() -> Iterator[Path]:
    """The files that the machine code is made from."""
    for folder in ("simulator/loop", "limits"):
        yield from sorted((_SCENARIOS / folder).rglob("*.py"))
    yield Path(sliding_window.__file__)
    yield Path(latency.__file__)


def _version() -> str:
    """Of what the machine code is made from, and of where and when that was written: Numba asks for it."""
    parts = (numba.__version__, np.__version__, platform.python_version(), get_host_cpu_name())
    digest = hashlib.sha256(" ".join(parts).encode())
    for source in sources():
        digest.update(f"{source} {source.stat().st_mtime_ns}".encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _bases() -> Iterator[Path]:
    """Where machine code may be kept, the best place first."""
    if said := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(said) / "reconnect-storm"
    with contextlib.suppress(OSError):
        yield cache_folder("simulator")
    yield Path(tempfile.gettempdir()) / f"reconnect-storm-of-{os.getuid()}"


def _folder() -> Path | None:
    """Where the machine code is kept; None where this user may write nowhere."""
    for base in _bases():
        folder = base / _version()
        try:
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            continue
        # Whoever may write there decides what this process runs.
        own = all(path.stat().st_uid == os.getuid() for path in (base, folder))
        if own and os.access(folder, os.W_OK):
            _leave_out_old_ones(folder)
            return folder
    return None


def _leave_out_old_ones(used: Path) -> None:
    """Notes that a folder is used now, and removes those that others have not been used for longest."""
    os.utime(used)
    for folder in sorted(used.parent.iterdir(), key=_used_at, reverse=True)[_KEPT_FOLDERS:]:
        shutil.rmtree(folder, ignore_errors=True)


def _used_at(folder: Path) -> float:
    """When a folder was used last; long ago where another process has just removed it."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


FOLDER = _folder()
if FOLDER is not None:
    numba.config.CACHE_DIR = str(FOLDER)
# What there would be to vectorise takes no time, and looking for it does.
numba.config.LOOP_VECTORIZE = 0


_INNER: list[tuple[Any, Any]] = []
"""Every function of the loop that others call, in the order of their definitions, and its signature."""

_KINDS = {int: types.int64, float: types.float64, bool: types.boolean}


def _signature(function: Callable[..., Any]) -> Any:
    """By its annotations; `w` is the world, and `rows` are those of an order."""
    own = {"w": HANDLE, "rows": types.int64[:, ::1]}
    hints = {name: kind for name, kind in function.__annotations__.items() if name != "return"}
    return tuple(own[name] if name in own else _KINDS[kind] for name, kind in hints.items())


def _added(function: Callable[..., Any], **more: Any) -> Any:
    made = numba.njit(function, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, **more)
    _INNER.append((made, _signature(function)))
    return made


def inner(function: _Function) -> _Function:
    """A function of the loop that others call; those that it calls itself are defined before it."""
    made: _Function = _added(function)
    return made


def hot(function: _Function) -> _Function:
    """The same, for a small one that is called at every attempt: it becomes a part of those that call it."""
    made: _Function = _added(function, forceinline=True)
    return made


def entry(function: _Function) -> _Function:
    """A function of the loop that Python calls."""
    made: _Function = numba.njit(function, error_model="numpy", cache=FOLDER is not None)
    return made


def plain(function: _Function) -> _Function:
    """A function of the loop as Python calls it."""
    made: _Function = getattr(function, "py_func", function)
    return made


def is_made() -> bool:
    """Whether there is machine code from an earlier time."""
    return FOLDER is not None and any(FOLDER.rglob("play.play-*.nbc"))


def make() -> None:
    """Compiles each function for the kinds of its arguments, and for no others.

    Otherwise there would be one more of it for each width of whole numbers that it is ever called with.
    """
    while _INNER:
        made, signature = _INNER.pop(0)
        made.compile(signature)
        made.disable_compile()


@extension
def prefetch(_context: Any, array: Any, _index: Any) -> Any:
    """Asks the processor to have an element of an array ready; changes nothing."""

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
