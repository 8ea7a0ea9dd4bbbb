"""Control groups of version 2 for programs that fork: the kernel counts the CPU of all their processes."""

import contextlib
import itertools
import os
import time
from pathlib import Path

_MOUNTS = Path("/proc/self/mounts")
_OWN = Path("/proc/self/cgroup")
_REMOVE_TURNS, _REMOVE_TURN_S = 20, 0.005
"""A process that was killed leaves its group a moment later."""
_numbers = itertools.count()


def new_group(name: str) -> Path | None:
    """An empty control group below that of this process; None where none can be made.

    Needs no controller: every group of version 2 has the CPU time of its processes, ended ones included.
    """
    own = own_folder()
    if own is None:
        return None
    folder = own / f"reconnect-storm-{os.getpid()}-{next(_numbers)}-{name}"
    try:
        folder.mkdir()
    except OSError:
        return None
    if (folder / "cpu.stat").exists() and os.access(folder / "cgroup.procs", os.W_OK):
        return folder
    with contextlib.suppress(OSError):
        folder.rmdir()
    return None


def remove_group(folder: Path) -> None:
    """Kills what is left in a group, and removes it; nothing where it has been removed."""
    with contextlib.suppress(OSError):
        (folder / "cgroup.kill").write_text("1", encoding="ascii")
    for _ in range(_REMOVE_TURNS):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(_REMOVE_TURN_S)


def own_folder(mounts: Path = _MOUNTS, own: Path = _OWN) -> Path | None:
    """The folder of this process's control group; None without version 2."""
    try:
        lines = mounts.read_text(encoding="utf-8").splitlines()
        groups = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    roots = [fields[1] for line in lines if (fields := line.split())[2] == "cgroup2"]
    paths = [line.removeprefix("0::") for line in groups if line.startswith("0::")]
    return Path(roots[0]) / paths[0].lstrip("/") if roots and paths else None
