"""What the report on a rehearsal says, in order, as plain text: writers only lay it out.

The chapters of a rehearsal's report, in the order in which somebody in a hurry wants them.
"""

from collections.abc import Callable

from reports.page import notes
from reports.rehearsal import evidence, findings, story
from reports.rehearsal.blocks import Block, Chapter, Picture, RehearsalPage
from reports.rehearsal.facts import Facts
from reports.rehearsal.outcome import alarms, outcome, tiles


def rehearsal_page(found: Facts, alt: str, previous: Chapter | None = None) -> RehearsalPage:
    """The report on one rehearsal.

    alt: what its figure shows. previous: the comparison with previous rehearsals, where there are any.
    """
    info = found.run.info
    name = str(info.scenario.get("name") or info.arm)
    own = chapters(found, alt)
    before_figure = [chapter.heading for chapter in own].index(TIMELINE)
    how = "interactive" if found.rehearsal.interactive else "scripted"
    return RehearsalPage(
        title=f"Rehearsal: {name}",
        subtitle=f"{moment(info.started_utc)} · {how} · seed {info.seed}",
        about=str(info.scenario.get("summary", "")),
        outcome=outcome(found),
        alarms=alarms(found),
        tiles=tiles(found),
        chapters=(*own[:before_figure], *([previous] if previous else []), *own[before_figure:]),
    )


def moment(started_utc: str) -> str:
    """`2026-11-25 22:12 UTC` from an ISO 8601 time; anything else as it is."""
    date, separator, time = started_utc.partition("T")
    return f"{date} {time[:5]} UTC" if separator and len(date) == 10 else started_utc


FIGURE = "figure"
TIMELINE = "Timeline"

CHAPTERS: dict[str, Callable[[Facts], tuple[Block, ...]]] = {
    "Hypothesis": story.hypothesis,
    TIMELINE: lambda _: (),
    "Steady state before and after": story.steady_state,
    "Blast radius": story.blast_radius,
    "Time to detection": story.detection,
    "Events and alerts": story.timeline,
    "Client impact": story.impact,
    "Effect of each mitigation": story.mitigations,
    "Clients by shared IP": story.shared_ips,
    "Stability estimate": evidence.stability,
    "SLOs": evidence.objectives,
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

    alt: what the figure shows, for those who cannot see it.
    """
    picture = Picture(FIGURE, alt, notes.FIGURE)
    return tuple(
        Chapter(heading, (picture,) if heading == TIMELINE else write(found))
        for heading, write in CHAPTERS.items()
    )
