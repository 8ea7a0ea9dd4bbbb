"""Findings as text: for each kind, what every arm has of it, what it means, and what to change."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from reports.analysis.findings.finding import RunFinding
from reports.analysis.judgement import Judgement, judgement_of
from reports.rundir.reader import Run
from reports.text import units

MOST_ARMS = 4
"""Arms whose figures are written out."""


class FindingText(Struct, frozen=True, kw_only=True):
    """One kind of finding in all arms."""

    title: str
    figures: tuple[str, ...]
    meaning: str
    changes: tuple[str, ...]


def finding_texts(arms: Mapping[str, Sequence[Run]]) -> tuple[FindingText, ...]:
    """What was found in the valid runs of each arm, or in all of its runs where none is valid."""
    found: dict[str, dict[str, list[RunFinding]]] = {}
    trusted = {name: _trusted(runs) for name, runs in arms.items()}
    for name, judgements in trusted.items():
        for judgement in judgements:
            for finding in judgement.findings:
                found.setdefault(finding.id, {}).setdefault(name, []).append(finding)
    return tuple(
        _text(by_arm, {name: len(judgements) for name, judgements in trusted.items()})
        for by_arm in found.values()
    )


def finding_lines(arms: Mapping[str, Sequence[Run]]) -> tuple[str, ...]:
    """The same for a terminal: a line for each kind and arm, and one for what to change."""
    return tuple(
        line
        for text in finding_texts(arms)
        for line in (
            *(f"finding  {text.title}. {figures}" for figures in text.figures),
            *(f"         Change: {change}" for change in text.changes),
        )
    )


def _trusted(runs: Sequence[Run]) -> list[Judgement]:
    judged = [judgement_of(run) for run in runs]
    return [judgement for judgement in judged if judgement.validity.valid] or judged


def _text(by_arm: Mapping[str, Sequence[RunFinding]], runs: Mapping[str, int]) -> FindingText:
    first = next(iter(by_arm.values()))[0]
    figures = [_figures(name, found, runs) for name, found in by_arm.items()]
    if len(figures) > MOST_ARMS:
        figures = [*figures[:MOST_ARMS], f"The same in {len(figures) - MOST_ARMS} other arms."]
    return FindingText(
        title=first.title,
        figures=tuple(figures),
        meaning=first.meaning,
        changes=tuple(dict.fromkeys(each.change for found in by_arm.values() for each in found)),
    )


def _figures(arm: str, found: Sequence[RunFinding], runs: Mapping[str, int]) -> str:
    """Those of the first run that has it."""
    often = f"in {len(found)} of {runs[arm]} runs" if runs[arm] > 1 else ""
    whose = ", ".join(filter(None, (f"“{arm}”" if len(runs) > 1 else "", often)))
    return f"{units.capitalised(whose)}: {found[0].figures}" if whose else found[0].figures
