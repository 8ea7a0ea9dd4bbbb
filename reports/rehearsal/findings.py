"""Surprises, findings, and the action items that they ask for."""

from collections.abc import Iterator

from reports.rehearsal.blocks import Block, Points, Table, Words
from reports.rehearsal.facts import Facts
from reports.rehearsal.fixes import fix_sentences
from reports.rehearsal.outcome import GOOD_VERDICTS, HYPOTHESIS_RESULTS
from reports.text import units
from reports.text.tables import TextTable

QUESTION, OWNER, TICKET, RETEST = "question", "owner", "ticket", "re-test on"


def surprises_chapter(found: Facts) -> tuple[Block, ...]:
    """What the rules found."""
    if not found.surprises:
        return (Words("No surprises."),)
    return (Points(tuple(f"{units.capitalised(name)}. {one.text}" for name, one in found.surprises.items())),)


def findings_chapter(found: Facts) -> tuple[Block, ...]:
    """The findings."""
    return (Points(finding_sentences(found)),)


def actions_chapter(found: Facts) -> tuple[Block, ...]:
    """Action items, with blanks for people to fill in."""
    table = TextTable(
        label="Action items, to be filled in",
        headings=("no.", QUESTION, OWNER, TICKET, RETEST),
        rows=tuple(
            (str(number), text, "", "", "") for number, text in enumerate([*questions(found), ""], start=1)
        ),
        words=frozenset({QUESTION, OWNER, TICKET, RETEST}),
    )
    return (
        Words("To be filled in by the team; the empty line is for anything that the rules miss."),
        Table(table, blank=frozenset({QUESTION, OWNER, TICKET, RETEST})),
    )


def finding_sentences(found: Facts) -> tuple[str, ...]:
    """Verdict, hypothesis, SLOs that were not met, mitigations, settings and surprises, each in its words."""
    return tuple(_findings(found))


def questions(found: Facts) -> tuple[str, ...]:
    """The questions to be answered."""
    return tuple(_questions(found))


def _findings(found: Facts) -> Iterator[str]:
    verdict, hypothesis = found.judgement.verdict, found.hypothesis
    yield f"{verdict.name}: {verdict.reason}."
    if hypothesis is not None:
        result = HYPOTHESIS_RESULTS[hypothesis.met]
        yield f"Hypothesis {result}: expected {hypothesis.rule}; got {hypothesis.found_text}."
    for slo in found.objectives:
        if slo.met is not True:
            yield f"SLO {slo.answer}: expected {slo.rule}; got {slo.found_text}."
    yield from fix_sentences(found.fixes, found.judgement.summary)
    for finding in found.judgement.findings:
        yield f"{finding.title}: {finding.figures} {finding.meaning}"
    yield from (surprise.text for surprise in found.surprises.values())


def _questions(found: Facts) -> Iterator[str]:
    if not found.judgement.validity.valid:
        yield "The measurement is invalid: what has to change before the rehearsal is repeated?"
    if found.hypothesis is not None and found.hypothesis.met is False:
        yield f"What has to change to confirm the hypothesis: {found.hypothesis.rule}?"
    for slo in found.objectives:
        if slo.met is False:
            yield f"What has to change to meet this SLO: {slo.rule}?"
    if found.judgement.verdict.name not in GOOD_VERDICTS and found.judgement.validity.valid:
        yield "The service did not recover: what would recover it, and who is authorised to do it on call?"
    for finding in found.judgement.findings:
        yield f"{finding.title}: is this to be changed? {finding.change}"
    yield from (surprise.consider for surprise in found.surprises.values())
