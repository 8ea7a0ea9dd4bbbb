"""Writes files into a user's folder: never over one that is there, and all of them or none."""

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct


class Written(Struct, frozen=True):
    """What became of the files."""

    new: tuple[Path, ...]
    kept: tuple[Path, ...]
    """Those that were there."""


def write_new(files: Mapping[Path, str | bytes]) -> Written:
    """Writes those files that are not there yet. Raises OSError, and then none of them is left."""
    new: list[Path] = []
    made: list[Path] = []
    kept: list[Path] = []
    try:
        for path, content in files.items():
            if os.path.lexists(path):
                kept.append(path)
                continue
            made += _make(path.parent)
            data = content.encode() if isinstance(content, str) else content
            with path.open("xb") as stream:
                new.append(path)
                stream.write(data)
    except OSError:
        for path in new:
            path.unlink(missing_ok=True)
        for folder in reversed(made):
            folder.rmdir()
        raise
    return Written(tuple(new), tuple(kept))


def add_lines(path: Path, lines: tuple[str, ...]) -> tuple[str, ...]:
    """Appends those lines that a text file lacks; returns them. Raises OSError."""
    before = path.read_bytes() if path.exists() else b""
    there = {line.strip().strip("/") for line in before.decode(errors="replace").splitlines()}
    missing = tuple(line for line in lines if line.strip("/") not in there)
    if missing:
        gap = "\n" if before and not before.endswith(b"\n") else ""
        with path.open("ab") as stream:
            stream.write((gap + "".join(f"{line}\n" for line in missing)).encode())
    return missing


def _make(folder: Path) -> list[Path]:
    """Makes a folder and those above it; returns the new ones, the highest first."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir()
    return missing[::-1]
