"""SLOs over several runs: met, violated, or inconclusive.

One run meets an SLO, violates it, or leaves it undecided. Runs that all agree decide; where they do not, the
exact 95 % interval for the share of runs that violated it has to lie on one side of a half. Undecided runs
must not matter: the result has to be the same if all of them are the opposite.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from reports.analysis.judgement import judgement_of
from reports.analysis.slo import SloResult, evaluate, objectives_of
from reports.compare.statistics import share_interval
from reports.rundir.reader import Run

Answer = Literal["met", "violated", "inconclusive"]


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
    undecided: int = 0
    """The other runs: nothing was measured, or only a bound that does not tell."""
    answer: Answer
    why: str
    more: int | None = None
    """Further runs that would decide, where it is inconclusive and that can be estimated."""


def slo_decisions(runs: Sequence[Run]) -> tuple[SloDecision, ...]:
    """The SLOs of these runs' scenario, over the valid ones of the runs. Raises RecordError."""
    judged = [(run, judgement_of(run)) for run in runs]
    valid = [(run, judgement) for run, judgement in judged if judgement.validity.valid]
    if not valid:
        return ()
    decisions = []
    for bound in objectives_of(valid[0][0]):
        results = [evaluate(bound, judgement.summary) for _, judgement in valid]
        met = [result.met for result in results]
        decisions.append(_decided(results, met.count(False), met.count(None)))
    return tuple(decisions)


def of_too_few(decision: SloDecision, missing: int) -> SloDecision:
    """The same where so many runs are missing: those that are there may violate an SLO, but not meet it."""
    if decision.answer != "met":
        return decision
    expected = f"≥ {missing} more valid run{'s' if missing > 1 else ''} expected"
    return replace(decision, answer="inconclusive", why=f"{decision.why}; too few: {expected}", more=missing)


def _decided(results: Sequence[SloResult], violated: int, undecided: int) -> SloDecision:
    rule, found = results[0].rule, tuple(result.found_text for result in results)
    answer = _answer(len(results), violated, undecided)
    # Runs that disagree are as likely to disagree further; doubling their number is a fair guess. Where so
    # many are undecided that the share of violations may be a half, it would stay so.
    open_ended = undecided and 2 * violated <= len(results) <= 2 * (violated + undecided)
    return SloDecision(
        rule=rule,
        found=found,
        runs=len(results) - undecided,
        violated=violated,
        undecided=undecided,
        answer=answer,
        why=_why(rule, results, violated, undecided),
        more=len(results) if answer == "inconclusive" and not open_ended else None,
    )


def _answer(runs: int, violated: int, undecided: int) -> Answer:
    """Of all runs, the undecided ones among them."""
    best, worst = _share_answer(runs, violated), _share_answer(runs, violated + undecided)
    return best if best == worst else "inconclusive"


def _share_answer(runs: int, violated: int) -> Answer:
    if violated in {0, runs}:
        return "violated" if violated else "met"
    low, high = share_interval(violated, runs)
    return "violated" if low > 0.5 else "met" if high < 0.5 else "inconclusive"


def _why(rule: str, results: Sequence[SloResult], violated: int, undecided: int) -> str:
    runs = len(results)
    if all(result.found is None and result.met is None for result in results):
        return f"SLO {rule}: not measured in any run"
    shown = ", ".join(dict.fromkeys(result.found_text for result in results))
    if undecided == runs:
        counted = f"undecided in {runs} of {runs} runs"
    elif undecided:
        known = f"violated in {violated}" if violated else f"met in {runs - undecided}"
        counted = f"{known} of {runs} runs, undecided in {undecided}"
    else:
        counted = f"violated in {violated} of {runs} runs" if violated else f"met in {runs} runs"
    return f"SLO {rule}: {counted} (measured {shown})"
