"""Where run directories are: found below a folder, the latest of them, and files replaced as a whole."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from reports.rundir.schema import RecordError


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """The run directories at or below each path, in order of their names. Raises RecordError if none."""
    found: list[Path] = []
    for path in paths:
        runs = sorted(file.parent for file in path.resolve().rglob("run.json")) if path.is_dir() else []
        if not runs:
            raise RecordError(f"{path}: no run directory: expected one, or a folder of them")
        found += runs
    return found


def point_latest(directory: Path, link: Path) -> None:
    """Makes `link` point to `directory`, in one step."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(directory, link.parent), target_is_directory=True)
    temporary.replace(link)


class replacing:  # noqa: N801 - used as a function
    """Opens a temporary file next to `path` and moves it there when all went well."""

    def __init__(self, path: Path, *, binary: bool = False) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}")
        self._binary = binary

    def __enter__(self) -> Any:
        if self._binary:
            self._stream: IO[Any] = self._temporary.open("wb")
        else:
            self._stream = self._temporary.open("w", newline="", encoding="utf-8")
        return self._stream

    def __exit__(self, kind: object, *_: object) -> None:
        self._stream.close()
        if kind is None:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink()
