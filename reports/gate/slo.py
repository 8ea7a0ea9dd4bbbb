"""Service-level objectives over several runs: kept, broken, or inconclusive.

One run keeps an objective or breaks it. Runs that all agree decide; where they do not, the exact 95 %
interval for the share of runs that broke it has to lie on one side of a half.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from reports.analysis.judgement import judgement_of
from reports.analysis.slo import evaluate, objectives_of
from reports.compare.statistics import share_interval
from reports.rundir.reader import Run


class Promise(Struct, frozen=True, kw_only=True):
    """One objective, and how the runs stand to it."""

    rule: str
    """`availability ≥ 90 %, from the trigger on`."""
    found: tuple[str, ...]
    """What each run measured."""
    runs: int
    """Of which it is known whether they kept it."""
    broken: int
    """Of these."""
    answer: Literal["kept", "broken", "inconclusive"]
    why: str


def promises(runs: Sequence[Run]) -> tuple[Promise, ...]:
    """The objectives of these runs' scenario, over those of them that are valid. Raises RecordError."""
    judged = [(run, judgement_of(run)) for run in runs]
    valid = [(run, judgement) for run, judgement in judged if judgement.validity.valid]
    if not valid:
        return ()
    found = []
    for bound in objectives_of(valid[0][0]):
        held = [evaluate(bound, judgement.summary) for _, judgement in valid]
        answers = [one.kept for one in held if one.kept is not None]
        broken = answers.count(False)
        answer = _answer(len(answers), broken)
        texts = tuple(one.found_text for one in held)
        found.append(
            Promise(
                rule=held[0].rule,
                found=texts,
                runs=len(answers),
                broken=broken,
                answer=answer,
                why=_why(held[0].rule, texts, len(answers), broken),
            )
        )
    return tuple(found)


def _answer(runs: int, broken: int) -> Literal["kept", "broken", "inconclusive"]:
    if not runs:
        return "inconclusive"
    if broken in {0, runs}:
        return "broken" if broken else "kept"
    low, high = share_interval(broken, runs)
    return "broken" if low > 0.5 else "kept" if high < 0.5 else "inconclusive"


def _why(rule: str, found: Sequence[str], runs: int, broken: int) -> str:
    shown = ", ".join(dict.fromkeys(found))
    if not runs:
        return f"{rule}: no run tells"
    return f"{rule}: {f'broken in {broken} of' if broken else 'kept in'} {runs} runs (found {shown})"
