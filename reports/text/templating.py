"""Templates, and what makes any text harmless in the medium that it goes into."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports.text import units

TEMPLATES = Path(__file__).parents[1] / "templates"

_LAYOUT: dict[str, Any] = {
    "loader": FileSystemLoader(TEMPLATES),
    "undefined": StrictUndefined,
    "trim_blocks": True,
    "lstrip_blocks": True,
    "keep_trailing_newline": True,
}

_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$])")


@cache
def html() -> Environment:
    """Templates of HTML: every value is escaped."""
    environment = Environment(autoescape=True, **_LAYOUT)
    environment.filters |= {"unbroken": units.unbroken, "kind": _kind}
    return environment


@cache
def markdown() -> Environment:
    """Templates of Markdown: every value is escaped."""
    # HTML's escapes are not Markdown's.
    environment = Environment(finalize=escape_markdown, **_LAYOUT)  # noqa: S701
    environment.filters |= {"code": code_block, "kind": _kind}
    return environment


def escape_markdown(value: Any) -> Any:
    """Text on one line with nothing in it that Markdown or HTML would act upon."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    line = " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN_SPECIAL.sub(r"\\\1", line)


def code_block(text: str) -> Markup:
    """Text as an indented code block, in which nothing is special."""
    return Markup("\n".join(f"    {line}" for line in text.splitlines()))  # noqa: S704


def _kind(block: object) -> str:
    """Of which type a block is."""
    return type(block).__name__
