"""Writes a report: Markdown for reviews and wikis, and one HTML file that needs nothing else."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from reports import units
from reports.control import under_control
from reports.map_plot import map_alt_text, map_figure
from reports.page import Page, page
from reports.plots import alt_text, figure, svg
from reports.record import Run

TEMPLATES = Path(__file__).parent / "templates"
FIGURE, MAP = "figure.svg", "map.svg"

_LAYOUT: dict[str, Any] = {
    "loader": FileSystemLoader(TEMPLATES),
    "undefined": StrictUndefined,
    "trim_blocks": True,
    "lstrip_blocks": True,
    "keep_trailing_newline": True,
}

_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$])")


def write_report(runs: Sequence[Run], directory: Path) -> tuple[Path, Path]:
    """Writes report.md, report.html, figure.svg and, where there is one, map.svg into `directory`.

    Returns the paths of the first two.

    Raises ComparisonError where the runs must not be compared.
    """
    content = page(runs)
    runs = under_control(runs, content.comparison.controls)
    alt = alt_text(runs)
    drawing = svg(figure(runs), alt)
    directory.mkdir(parents=True, exist_ok=True)
    chart, chart_alt = "", ""
    if content.map:
        chart_alt = map_alt_text(content.map.found)
        # Both figures end up in one page, where no id may occur twice.
        chart = svg(map_figure(content.map.found), chart_alt, prefix="map-")
        _write_svg(directory / MAP, chart)
    markdown, html = directory / "report.md", directory / "report.html"
    _write_svg(directory / FIGURE, drawing)
    markdown.write_text(render_markdown(content, alt, chart_alt), encoding="utf-8")
    html.write_text(render_html(content, drawing, chart), encoding="utf-8")
    return markdown, html


def render_html(content: Page, drawing: str, chart: str = "") -> str:
    """The page as HTML; `drawing` and `chart`, which is the map, are `<svg>` elements without an id in
    common. Everything else is escaped."""
    # matplotlib has escaped the names that are in the figures.
    return _html_template().render(page=content, drawing=Markup(drawing), chart=Markup(chart))  # noqa: S704


def render_markdown(content: Page, alt: str, chart_alt: str = "") -> str:
    """The page as Markdown, with every value escaped; links to figure.svg and map.svg beside it."""
    return _markdown_template().render(page=content, alt=alt, figure=FIGURE, chart_alt=chart_alt, chart=MAP)


def _write_svg(path: Path, drawing: str) -> None:
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{drawing}', encoding="utf-8")


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
