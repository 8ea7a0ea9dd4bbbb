"""What the report on a rehearsal says, in order, as plain text: writers only lay it out.

The chapters of a rehearsal's report, in the order in which somebody in a hurry wants them.
"""

from collections.abc import Callable

from reports.rehearsal import evidence, findings, story
from reports.rehearsal.blocks import Block, Chapter, Picture, RehearsalPage
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


FIGURE = "figure"
ON_ONE_CLOCK = "On one clock"

CHAPTERS: dict[str, Callable[[Facts], tuple[Block, ...]]] = {
    "Hypothesis": story.hypothesis,
    ON_ONE_CLOCK: lambda _: (),
    "Steady state before and after": story.steady_state,
    "Blast radius": story.blast_radius,
    "Timeline": story.timeline,
    "Impact": story.impact,
    "Wrong fix, real fix": story.wrong_and_real_fix,
    "Clients that share an address": story.nat_victims,
    "Was a storm to be expected?": evidence.stability,
    "Objectives": evidence.objectives,
    "Pre-checks": evidence.prechecks,
    "The operator’s decisions": evidence.decisions,
    "Validity": evidence.validity,
    "Surprises": findings.surprises_chapter,
    "Findings": findings.findings_chapter,
    "Action items": findings.actions_chapter,
    "Conditions": evidence.configurations,
}
"""Every chapter by its heading; the figure is put in by `chapters`."""


def chapters(found: Facts, alt: str) -> tuple[Chapter, ...]:
    """All chapters of one rehearsal.

    alt: what the figure shows, for who cannot see it.
    """
    picture = Picture(FIGURE, alt, story.CAPTION)
    return tuple(
        Chapter(heading, (picture,) if heading == ON_ONE_CLOCK else write(found))
        for heading, write in CHAPTERS.items()
    )
