"""Versions whose set-up has finished, kept for the next gate in the user's cache folder.

    versions/KEY/files      the checkout, with what its set-up has installed
    versions/KEY/finished   there once the set-up has succeeded; its time is that of the last use
    versions/KEY.lock       locked by every gate that uses the version

A version is made where it stays: what a set-up installs, such as a virtual environment, does not survive
being moved. Without the file `finished` it is never used; it is removed and made again.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

MOST_KEPT = 5
_LAYOUT = 1
"""To be raised if a version has to be made otherwise than one that is kept already."""


class Place(Struct, frozen=True, kw_only=True):
    """A folder for one version."""

    folder: Path
    """For its files."""
    finished: bool
    """An earlier gate has made and set up what is in there."""
    finish: Callable[[], None]
    """To be called once its set-up has succeeded."""


def key_of(*parts: object) -> str:
    """The name of a version: a digest, so that no secret among the parts can be read."""
    return blake2b(msgspec.json.encode((_LAYOUT, *map(str, parts))), digest_size=16).hexdigest()


@contextlib.contextmanager
def temporary() -> Iterator[Place]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="reconnect-storm-") as folder:
        yield Place(folder=Path(folder), finished=False, finish=lambda: None)


@contextlib.contextmanager
def kept(key: str, on_wait: Callable[[], None] | None, cache: Path) -> Iterator[Place]:
    """The folder of a version in the cache; another gate neither changes nor removes it meanwhile.

    on_wait: called before it waits for another gate that sets up the same version; None: it does not wait.
    Raises OSError.
    """
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    home = cache / key
    finished = home / "finished"
    lock = _locked(cache, key, on_wait)
    try:
        found = finished.exists()
        if found:
            finished.touch()
        else:
            remove(home)
            (home / "files").mkdir(mode=0o700, parents=True)
        _remove_oldest(cache, but_not=key)

        def finish() -> None:
            finished.touch()
            # Others may use it now.
            fcntl.flock(lock, fcntl.LOCK_SH)

        yield Place(folder=home / "files", finished=found, finish=finish)
    finally:
        if not finished.exists():
            remove(home)
        os.close(lock)


def _locked(cache: Path, key: str, on_wait: Callable[[], None] | None) -> int:
    """The lock of a version: shared with others where it is finished, else for this gate alone."""
    path = cache / f"{key}.lock"
    while True:
        lock = _open(path)
        try:
            _take(lock, fcntl.LOCK_SH, on_wait)
            if _is_current(lock, path) and (cache / key / "finished").exists():
                return lock
            # The shared lock is given up first, so another gate may be faster: then it is looked at anew.
            _take(lock, fcntl.LOCK_EX, on_wait)
            if _is_current(lock, path) and not (cache / key / "finished").exists():
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _take(lock: int, kind: int, on_wait: Callable[[], None] | None) -> None:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        if on_wait is None:
            raise BlockingIOError("another gate, or the other side, sets it up") from None
        on_wait()
        fcntl.flock(lock, kind)


def _is_current(lock: int, path: Path) -> bool:
    """Whether this still is the lock: a gate that removes a version removes its lock as well."""
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except FileNotFoundError:
        return False


def _remove_oldest(cache: Path, but_not: str) -> None:
    """Removes all but the versions that were used last, and what a gate that was killed has left."""
    used = {}
    for lock in cache.glob("*.lock"):
        with contextlib.suppress(OSError):
            finished = cache / lock.stem / "finished"
            used[lock.stem] = finished.stat().st_mtime if finished.exists() else 0.0
    others = sorted(used.keys() - {but_not}, key=lambda key: -used[key])
    stale = [key for place, key in enumerate(others) if place >= MOST_KEPT - 1 or not used[key]]
    for key in stale:
        _remove_unused(cache, key)


def _remove_unused(cache: Path, key: str) -> None:
    lock = _open(cache / f"{key}.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # First what says that it can be used, in case the rest cannot be removed as a whole.
        (cache / key / "finished").unlink(missing_ok=True)
        remove(cache / key)
        (cache / f"{key}.lock").unlink(missing_ok=True)
    except OSError:
        return  # Another gate uses it, or it cannot be removed: that is no reason not to run this gate.
    finally:
        os.close(lock)


def remove(folder: Path) -> None:
    """Removes a folder of this program's own, with read-only folders in it. Raises OSError."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except PermissionError:
        for inner, _, _ in os.walk(folder):
            Path(inner).chmod(0o700)
        shutil.rmtree(folder)
