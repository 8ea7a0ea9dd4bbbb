"""Prints the oldest version of each dependency that pyproject.toml allows, as constraints for pip."""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def oldest(requirement: str) -> str:
    """`numpy==2.2` for `numpy>=2.2,<3`. Raises ValueError where there is no floor."""
    parts = re.fullmatch(r"([A-Za-z0-9-]+)>=([0-9.]+)(?:,<[0-9.]+)?", requirement)
    if parts is None:
        raise ValueError(
            f"{PROJECT.name}: dependencies: invalid value {requirement!r}: expected name>=version"
        )
    return f"{parts[1]}=={parts[2]}"


def main() -> None:
    """Writes a line for each dependency."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    sys.stdout.writelines(f"{oldest(requirement)}\n" for requirement in project["dependencies"])


if __name__ == "__main__":
    main()
