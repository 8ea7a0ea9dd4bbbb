"""What the report on a rehearsal says, in order, as plain text: writers only lay it out."""

from reports.rehearsal.blocks import Chapter, RehearsalPage
from reports.rehearsal.chapters import ON_ONE_CLOCK, chapters
from reports.rehearsal.facts import Facts
from reports.rehearsal.outcome import alarms, outcome, tiles


def rehearsal_page(found: Facts, alt: str, held: Chapter | None = None) -> RehearsalPage:
    """The report on one rehearsal.

    alt: what its figure shows. held: the chapter on this one and earlier ones, where there are any.
    """
    info = found.run.info
    name = str(info.scenario.get("name") or info.arm)
    own = chapters(found, alt)
    before_figure = [chapter.heading for chapter in own].index(ON_ONE_CLOCK)
    how = "the operator decided" if found.rehearsal.interactive else "scripted"
    return RehearsalPage(
        title=f"Rehearsal: {name}",
        subtitle=f"{moment(info.started_utc)} · {how} · seed {info.seed}",
        about=str(info.scenario.get("summary", "")),
        outcome=outcome(found),
        alarms=alarms(found),
        tiles=tiles(found),
        chapters=(*own[:before_figure], *([held] if held else []), *own[before_figure:]),
    )


def moment(started_utc: str) -> str:
    """`2026-11-25 22:12 UTC` from an ISO 8601 time; anything else as it is."""
    date, separator, time = started_utc.partition("T")
    return f"{date} {time[:5]} UTC" if separator and len(date) == 10 else started_utc
