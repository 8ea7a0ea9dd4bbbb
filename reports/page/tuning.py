"""The report on a search for settings as files: tune.json, the figure, and a page that needs nothing else."""

from pathlib import Path

import msgspec
from markupsafe import Markup

from reports.figures.timeline import svg
from reports.figures.tuning import tuned_alt_text, tuned_figure
from reports.rundir.files import replacing
from reports.text import templating
from reports.tuning.result import Tuning
from reports.tuning.text import tuned_page

RESULT, PAGE, FIGURE = "tune.json", "tune.html", "tune.svg"


def write_tuning(found: Tuning, directory: Path) -> tuple[Path, Path]:
    """Writes tune.json, tune.svg and tune.html into `directory`; returns the paths of the first and last."""
    directory.mkdir(parents=True, exist_ok=True)
    drawing = svg(tuned_figure(found), tuned_alt_text(found))
    for name, text in (
        (RESULT, msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"),
        (FIGURE, f'<?xml version="1.0" encoding="utf-8"?>\n{drawing}'),
        (PAGE, render_html(found, drawing)),
    ):
        with replacing(directory / name) as stream:
            stream.write(text)
    return directory / RESULT, directory / PAGE


def render_html(found: Tuning, drawing: str) -> str:
    """The page; `drawing` is an `<svg>` element. Everything else is escaped."""
    # matplotlib has escaped the names that are in the figure.
    return (
        templating.html()
        .get_template("tuned.html.j2")
        .render(page=tuned_page(found), drawing=Markup(drawing))  # noqa: S704
    )
