"""Writes a report: Markdown for reviews and wikis, and one HTML file that needs nothing else."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from reports import units
from reports.page import Page, page
from reports.plots import alt_text, figure, svg
from reports.record import Run

TEMPLATES = Path(__file__).parent / "templates"
FIGURE = "figure.svg"

_LAYOUT: dict[str, Any] = {
    "loader": FileSystemLoader(TEMPLATES),
    "undefined": StrictUndefined,
    "trim_blocks": True,
    "lstrip_blocks": True,
    "keep_trailing_newline": True,
}

_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$])")


def write_report(runs: Sequence[Run], directory: Path) -> tuple[Path, Path]:
    """Writes report.md, report.html and figure.svg into `directory`; returns the paths of the first two.

    Raises ComparisonError where the runs must not be compared.
    """
    content = page(runs)
    alt = alt_text(runs)
    drawing = svg(figure(runs), alt)
    directory.mkdir(parents=True, exist_ok=True)
    markdown, html = directory / "report.md", directory / "report.html"
    (directory / FIGURE).write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{drawing}', encoding="utf-8")
    markdown.write_text(render_markdown(content, alt), encoding="utf-8")
    html.write_text(render_html(content, drawing), encoding="utf-8")
    return markdown, html


def render_html(content: Page, drawing: str) -> str:
    """The page as HTML; `drawing` is an `<svg>` element, everything else is escaped."""
    # matplotlib has escaped the names that are in the figure.
    return _html_template().render(page=content, drawing=Markup(drawing))  # noqa: S704


def render_markdown(content: Page, alt: str) -> str:
    """The page as Markdown, with every value escaped; links to figure.svg beside it."""
    return _markdown_template().render(page=content, alt=alt, figure=FIGURE)


@cache
def _html_template() -> Template:
    environment = Environment(autoescape=True, **_LAYOUT)
    environment.filters["unbroken"] = units.unbroken
    return environment.get_template("report.html.j2")


@cache
def _markdown_template() -> Template:
    # HTML's escapes are not Markdown's.
    environment = Environment(finalize=escape_markdown, **_LAYOUT)  # noqa: S701
    environment.filters["code"] = code_block
    return environment.get_template("report.md.j2")


def escape_markdown(value: Any) -> Any:
    """Text on one line with nothing in it that Markdown or HTML would act upon."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    line = " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN_SPECIAL.sub(r"\\\1", line)


def code_block(text: str) -> Markup:
    """Text as an indented code block, in which nothing is special."""
    return Markup("\n".join(f"    {line}" for line in text.splitlines()))  # noqa: S704
