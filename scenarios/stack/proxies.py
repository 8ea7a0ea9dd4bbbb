"""What fronts and sidecars have in common: a program, a template, and a validator of what came of it."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import jinja2

ADMINISTRATORS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where Debian and others install servers."""


def template(path: Path) -> jinja2.Template:
    """The template of a configuration; a name that nobody has filled in is an error."""
    environment = jinja2.Environment(  # noqa: S701 - a configuration is not HTML
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(path.read_text(encoding="utf-8"))


def program(name: str) -> Path | None:
    """A program of the system; also one that is not on the PATH of whoever is no administrator."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), *ADMINISTRATORS])
    found = shutil.which(name, path=folders)
    return None if found is None else Path(found)


def made_executable(binary: Path) -> Path:
    """A program that came as a file of a package, which may have lost its permission on the way."""
    if not os.access(binary, os.X_OK):
        binary.chmod(binary.stat().st_mode | 0o111)
    return binary


def complaint(command: Sequence[str | Path]) -> str:
    """What a validator says against a configuration; empty when it accepts it."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return "\n".join(filter(None, (done.stderr.strip(), done.stdout.strip()))) if done.returncode else ""
