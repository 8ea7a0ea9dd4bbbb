"""Reads a configuration, and a template of one as far as that is possible."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from scenarios.lint.finding import LintError
from scenarios.lint.placeholders import has_placeholders, readings

_Read = TypeVar("_Read")


def text_of(file: Path) -> str:
    """The text of a file; what is not UTF-8 in it is replaced."""
    return file.read_text(encoding="utf-8-sig", errors="replace")


def first_readable(text: str, alone: str, parse: Callable[[str], _Read]) -> _Read:
    """What the first reading of a template says that can be read. Raises LintError where none can be.

    alone: what a line becomes that is nothing but a placeholder.
    """
    failed: LintError | None = None
    for reading in readings(text, alone):
        try:
            return parse(reading)
        except LintError as error:
            failed = failed or error
    hint = "; this looks like a template: fill it in first" if has_placeholders(text) else ""
    raise LintError(f"{failed}{hint}") from None
