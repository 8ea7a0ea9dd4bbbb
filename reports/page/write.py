"""Writes a report: Markdown for reviews and wikis, and one HTML file that needs nothing else."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from reports.compare.control import under_control
from reports.figures.storm_map import map_alt_text, map_figure
from reports.figures.timeline import alt_text, svg
from reports.page.page import Page, page
from reports.page.per_second import as_json
from reports.page.timeline import Drawing, drawings, script, script_hash
from reports.rundir.reader import Run
from reports.text import templating

FIGURE, MAP = "figure.svg", "map.svg"


def write_report(runs: Sequence[Run], directory: Path) -> tuple[Path, Path]:
    """Writes report.md, report.html, figure.svg and, where there is one, map.svg into `directory`.

    Returns the paths of the first two.

    Raises ComparisonError where the runs must not be compared.
    """
    content = page(runs)
    runs = under_control(runs, content.comparison.controls)
    alt = alt_text(runs)
    drawn = drawings(runs, alt)
    directory.mkdir(parents=True, exist_ok=True)
    chart, chart_alt = "", ""
    if content.map:
        chart_alt = map_alt_text(content.map.found)
        # Both figures end up in one page, where no id may occur twice.
        chart = svg(map_figure(content.map.found), chart_alt, prefix="map-")
        _write_svg(directory / MAP, chart)
    markdown, html = directory / "report.md", directory / "report.html"
    _write_svg(directory / FIGURE, drawn[0].svg)
    markdown.write_text(render_markdown(content, alt, chart_alt), encoding="utf-8")
    html.write_text(render_html(content, drawn, chart), encoding="utf-8")
    return markdown, html


def render_html(content: Page, drawn: Sequence[Drawing], chart: str = "") -> str:
    """The page as HTML; `drawn` is the figure in every size, and `chart` the map as an `<svg>` element; no id
    occurs in two of them. Everything else is escaped."""
    return (
        templating.html()
        .get_template("report.html.j2")
        .render(
            page=content,
            drawings=drawn,
            # matplotlib has escaped the names that are in it.
            chart=Markup(chart),  # noqa: S704
            data=as_json(content.per_second),
            script=script(),
            script_hash=script_hash(),
        )
    )


def render_markdown(content: Page, alt: str, chart_alt: str = "") -> str:
    """The page as Markdown, with every value escaped; links to figure.svg and map.svg beside it."""
    return (
        templating.markdown()
        .get_template("report.md.j2")
        .render(page=content, alt=alt, figure=FIGURE, chart_alt=chart_alt, chart=MAP)
    )


def _write_svg(path: Path, drawing: str) -> None:
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{drawing}', encoding="utf-8")
