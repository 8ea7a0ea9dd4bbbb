"""SLOs over several runs: met, violated, or inconclusive.

One run meets an SLO or violates it. Runs that all agree decide; where they do not, the exact 95 % interval
for the share of runs that violated it has to lie on one side of a half.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from reports.analysis.judgement import judgement_of
from reports.analysis.slo import evaluate, objectives_of
from reports.compare.statistics import share_interval
from reports.rundir.reader import Run


class SloDecision(Struct, frozen=True, kw_only=True):
    """One SLO, and the results of the runs."""

    rule: str
    """`availability ≥ 90 %, from the trigger on`."""
    found: tuple[str, ...]
    """What each run measured."""
    runs: int
    """Those for which the result is known."""
    violated: int
    """Of these, the ones that violated it."""
    answer: Literal["met", "violated", "inconclusive"]
    why: str


def slo_decisions(runs: Sequence[Run]) -> tuple[SloDecision, ...]:
    """The SLOs of these runs' scenario, over the valid ones of the runs. Raises RecordError."""
    judged = [(run, judgement_of(run)) for run in runs]
    valid = [(run, judgement) for run, judgement in judged if judgement.validity.valid]
    if not valid:
        return ()
    decisions = []
    for bound in objectives_of(valid[0][0]):
        results = [evaluate(bound, judgement.summary) for _, judgement in valid]
        answers = [result.met for result in results if result.met is not None]
        violated = answers.count(False)
        answer = _answer(len(answers), violated)
        texts = tuple(result.found_text for result in results)
        decisions.append(
            SloDecision(
                rule=results[0].rule,
                found=texts,
                runs=len(answers),
                violated=violated,
                answer=answer,
                why=_why(results[0].rule, texts, len(answers), violated),
            )
        )
    return tuple(decisions)


def _answer(runs: int, violated: int) -> Literal["met", "violated", "inconclusive"]:
    if not runs:
        return "inconclusive"
    if violated in {0, runs}:
        return "violated" if violated else "met"
    low, high = share_interval(violated, runs)
    return "violated" if low > 0.5 else "met" if high < 0.5 else "inconclusive"


def _why(rule: str, found: Sequence[str], runs: int, violated: int) -> str:
    shown = ", ".join(dict.fromkeys(found))
    if not runs:
        return f"SLO {rule}: not measured in any run"
    result = f"violated in {violated} of" if violated else "met in"
    return f"SLO {rule}: {result} {runs} runs (measured {shown})"
