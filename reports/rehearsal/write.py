"""Writes the report on a rehearsal: HTML, Markdown, JSON and PDF, from one page and one drawing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from markupsafe import Markup
from matplotlib.figure import Figure
from msgspec import Struct
from msgspec.structs import replace

from reports.figures.timeline import alt_text, figure, svg
from reports.rehearsal.blocks import RehearsalPage
from reports.rehearsal.facts import Facts, facts
from reports.rehearsal.json import document
from reports.rehearsal.page import FIGURE, rehearsal_page
from reports.rehearsal.pdf import pdf
from reports.rehearsal.previous import FIGURE as COMPARED
from reports.rehearsal.previous import label_of, previous_chapter
from reports.rundir.files import replacing
from reports.rundir.reader import Run
from reports.rundir.schema import RecordError
from reports.text import templating

PICTURES = {FIGURE: "rehearsal.svg", COMPARED: "rehearsal-compared.svg"}
"""The files that the Markdown shows, by the name of the picture."""


class RehearsalFiles(Struct, frozen=True):
    """Where the report is."""

    html: Path
    markdown: Path
    json: Path
    pdf: Path


def write_rehearsal(run: Run, directory: Path) -> RehearsalFiles:
    """Writes the report on one judged run into `directory`. Raises RecordError where it is no rehearsal."""
    return write_rehearsals([run], directory)


def write_rehearsals(runs: Sequence[Run], directory: Path) -> RehearsalFiles:
    """Writes the report on the latest of the rehearsals, compared with the others. Raises RecordError."""
    found = sorted(map(facts, runs), key=lambda one: one.run.info.started_utc)
    if not found:
        raise RecordError("there is no rehearsal to report on")
    latest = found[-1]
    drawings = {FIGURE: figure([latest.run])}
    alt = {FIGURE: alt_text([latest.run])}
    previous = None
    if len(found) > 1:
        # As arms of one figure, each called by when it was.
        named = [_named(one.run, label_of(one, found)) for one in found]
        drawings[COMPARED], alt[COMPARED] = figure(named), alt_text(named)
        previous = previous_chapter(found, alt[COMPARED])
    page = rehearsal_page(latest, alt[FIGURE], previous)
    return _write(page, found, drawings, alt, directory)


def _write(
    page: RehearsalPage,
    found: Sequence[Facts],
    drawings: Mapping[str, Figure],
    alt: Mapping[str, str],
    directory: Path,
) -> RehearsalFiles:
    directory.mkdir(parents=True, exist_ok=True)
    # Several figures are in one page, where no id may occur twice.
    svgs = {name: svg(drawing, alt[name], prefix=f"{name}-") for name, drawing in drawings.items()}
    files = RehearsalFiles(
        *(directory / f"rehearsal.{ending}" for ending in ("html", "md", "json", "pdf")),
    )
    for name, drawing in svgs.items():
        _save(directory / PICTURES[name], f'<?xml version="1.0" encoding="utf-8"?>\n{drawing}')
    _save(files.html, render_html(page, svgs))
    _save(files.markdown, render_markdown(page))
    _save(
        files.json, msgspec.json.format(msgspec.json.encode(document(page, found)), indent=2).decode() + "\n"
    )
    with replacing(files.pdf, binary=True) as stream:
        stream.write(pdf(page, drawings, found[-1].run.info.started_utc))
    return files


def render_html(page: RehearsalPage, svgs: Mapping[str, str]) -> str:
    """The page as HTML; the drawings are `<svg>` elements without an id in common. All else is escaped."""
    # matplotlib has escaped the names that are in the figures.
    drawings = {name: Markup(drawing) for name, drawing in svgs.items()}  # noqa: S704
    return templating.html().get_template("rehearsal.html.j2").render(page=page, drawings=drawings)


def render_markdown(page: RehearsalPage) -> str:
    """The page as Markdown, with every value escaped; links to the figures beside it."""
    return templating.markdown().get_template("rehearsal.md.j2").render(page=page, pictures=PICTURES)


def _named(run: Run, name: str) -> Run:
    return replace(run, info=replace(run.info, arm=name))


def _save(path: Path, text: str) -> None:
    with replacing(path) as stream:
        stream.write(text)
