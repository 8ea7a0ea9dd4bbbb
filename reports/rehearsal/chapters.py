"""The chapters of a rehearsal's report, in the order in which somebody in a hurry wants them."""

from collections.abc import Callable

from reports.rehearsal import findings, proof, story
from reports.rehearsal.blocks import Block, Chapter, Picture
from reports.rehearsal.facts import Facts

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
    "Was a storm to be expected?": proof.stability,
    "Objectives": proof.objectives,
    "Pre-checks": proof.prechecks,
    "The operator’s decisions": proof.decisions,
    "Validity": proof.validity,
    "Surprises": findings.surprises_chapter,
    "Findings": findings.findings_chapter,
    "Action items": findings.actions_chapter,
    "Conditions": proof.configurations,
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
