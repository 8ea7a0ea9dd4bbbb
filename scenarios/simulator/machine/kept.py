"""Machine code from an earlier time.

It is kept in a folder of the user's, as a file whose name tells everything that it was made from: another
version of this program, or of the compiler, never meets it. The files that were used last are kept.
"""

import contextlib
import hashlib
import os
import platform
import stat
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from llvmlite.binding import get_host_cpu_name

from gateway_stub import sliding_window
from reports.rundir import latency
from scenarios.host.caches import cache_folder

_COMPILER = tuple(version(name) for name in ("numba", "llvmlite"))
"""Where it has been left out, there are no predictions, also none by what is kept."""
_SCENARIOS = Path(__file__).parents[2]
_KEPT_FILES = 8
"""For so many versions of this program there is machine code on this machine."""


class Code(NamedTuple):
    """Machine code as a linker takes it."""

    name: str
    """Of the function that others call."""
    content: bytes


def sources() -> Iterator[Path]:
    """The files that the machine code is made from."""
    for folder in ("simulator/loop", "limits"):
        yield from sorted((_SCENARIOS / folder).rglob("*.py"))
    yield from (Path(__file__).with_name(name) for name in ("compiler.py", "handle.py"))
    yield Path(sliding_window.__file__)
    yield Path(latency.__file__)


def _version() -> str:
    """Of what the machine code is made from."""
    parts = (*_COMPILER, np.__version__, platform.python_version(), platform.machine(), get_host_cpu_name())
    digest = hashlib.sha256(" ".join(parts).encode())
    for source in sources():
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _folders() -> Iterator[Path]:
    """Where machine code may be kept, the best place first."""
    with contextlib.suppress(OSError):
        yield cache_folder("simulator")
    yield Path(tempfile.gettempdir()) / f"reconnect-storm-of-{os.getuid()}"


def place() -> Path | None:
    """The file of this version, there or not; None where this user may write nowhere."""
    for folder in _folders():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        # Whoever may write there decides what this process runs, and a link may lead to any folder.
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and os.access(folder, os.W_OK):
            return folder / f"{_version()}.o"
    return None


def read(path: Path) -> Code | None:
    """What is kept there, which counts as used now; None where there is nothing, or a part of it."""
    try:
        os.utime(path)
        digest, _, code = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if digest != _digest(code):
        return None
    name, _, content = code.partition(b"\n")
    return Code(name.decode(), content)


def _digest(code: bytes) -> bytes:
    return hashlib.sha256(code).hexdigest().encode()


def write(path: Path, code: Code) -> None:
    """Keeps machine code, whole or not at all, and removes what has not been used for longest."""
    with contextlib.suppress(OSError):
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as new:
            whole = code.name.encode() + b"\n" + code.content
            new.write(_digest(whole) + b"\n" + whole)
        Path(new.name).replace(path)
        for old in sorted(path.parent.glob("*.o"), key=_used_at, reverse=True)[_KEPT_FILES:]:
            old.unlink()


def _used_at(path: Path) -> float:
    """When a file was used last; long ago where another process has just removed it."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
