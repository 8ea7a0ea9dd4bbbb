"""Fills in the templates of the pages."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


def rendered(template: str, **values: Any) -> str:
    """A template with its values; raises jinja2.UndefinedError where one is missing."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(  # noqa: S701 - Markdown is not HTML, and all values are our own
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["indented"] = indented
    return environment


def indented(text: str) -> str:
    """Text as a code block of Markdown."""
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())
