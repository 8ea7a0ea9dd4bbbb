"""The working gateways of `examples/`, as files to copy."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from reconnect_storm import code_root

NAMES = ("node", "python", "redis")

_LEFT_BEHIND = {"node_modules", "__pycache__", ".venv", "runs"}
"""What a storm leaves in a checkout."""
_OF_THE_CHECKOUT = re.compile(rb"\A#:schema \.\./[^\n]*\n\n?")
"""The first line of a scenario that names the schema of this repository."""


def example_files(name: str, target: Path) -> Mapping[Path, bytes]:
    """The files of an example, by their places below the target."""
    top = code_root() / "examples" / name
    found = {}
    for path in sorted(top.rglob("*")):
        below = path.relative_to(top)
        if path.is_file() and not _LEFT_BEHIND & {*below.parts}:
            found[target / below] = _OF_THE_CHECKOUT.sub(b"", path.read_bytes())
    if not found:
        raise FileNotFoundError(2, "the example is not part of this installation", str(top))
    return found


def executables(files: Mapping[Path, bytes]) -> list[Path]:
    """Those that a shell starts: an archive does not keep that they may be."""
    return [path for path, content in files.items() if content.startswith(b"#!")]


def in_the_way(files: Mapping[Path, bytes]) -> list[Path]:
    """The files that are there already."""
    return [path for path in files if os.path.lexists(path)]
