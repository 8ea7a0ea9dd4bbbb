"""What is read of a user's project: few files, none of them large, and nothing that others wrote."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

MOST_BYTES = 400_000
"""A larger file is not looked at: it is data, or a bundle."""
MOST_FILES = 400
MOST_DEPTH = 4

_SUFFIXES = {".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".py"}
_NOT_OURS = {
    *("node_modules", "bower_components", "vendor", "site-packages", "venv", "env", "__pycache__"),
    *("dist", "build", "out", "coverage", "runs", "public", "static", "assets"),
    *("client", "frontend", "test", "tests", "__tests__", "e2e", "spec", "docs", "migrations"),
}
_TESTS = (".test.", ".spec.", ".config.", ".min.")


class Source(Struct, frozen=True):
    """A source file of the project."""

    name: str
    """Its path in the project."""
    text: str


def read(path: Path) -> str:
    """The text of a file; empty where there is none, or none that can be read."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def read_json(path: Path) -> dict[str, Any]:
    """A table of JSON; empty where there is none."""
    try:
        found = json.loads(read(path) or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def read_toml(path: Path) -> dict[str, Any]:
    """A table of TOML; empty where there is none."""
    try:
        return tomllib.loads(read(path))
    except (ValueError, RecursionError):
        return {}


def table(found: Any, *keys: str) -> dict[str, Any]:
    """The table at that place of a file; empty where there is none."""
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def sources(folder: Path) -> tuple[Source, ...]:
    """The source files of a project, those nearest to its top first."""
    found: list[Source] = []
    for path in _walk(folder):
        if text := read(path):
            found.append(Source(path.relative_to(folder).as_posix(), text))
        if len(found) == MOST_FILES:
            break
    return tuple(found)


def _walk(folder: Path) -> Iterator[Path]:
    level = [folder]
    for _ in range(MOST_DEPTH):
        below: list[Path] = []
        for each in level:
            try:
                entries = sorted(each.iterdir())
            except OSError:
                continue
            for entry in entries:
                if entry.name.startswith(".") or entry.is_symlink():
                    continue
                if entry.is_dir():
                    if entry.name.lower() not in _NOT_OURS:
                        below.append(entry)
                elif entry.suffix in _SUFFIXES and not _is_test(entry.name):
                    yield entry
        level = below


def _is_test(name: str) -> bool:
    return name.startswith("test_") or name == "conftest.py" or any(part in name for part in _TESTS)
