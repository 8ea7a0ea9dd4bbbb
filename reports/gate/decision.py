"""The outcome of a gate, and its reason in one sentence.

Any measure that is worse, and any SLO that is violated, makes a regression. To pass, a regression has to be
excluded for all of them. Everything between is inconclusive, and no side without a valid run is ever
compared. Runs that are INVALID for their own reasons count: a candidate with more of them than its baseline
does not pass.

A run of the candidate during which a part of the stack failed makes the gate fail, whatever the other runs
show: a crashed pod is not a measurement to be left out. So does any failure that ends the runs too early. A
recorded run of the baseline that failed is left out, and counted as not valid.

A measure that somebody has accepted (`reports.gate.accepted`) decides nothing, and the reason names it first.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from reports.compare.statistics import ALPHA, greater_test
from reports.gate.accepted import marked, unused
from reports.gate.commit import Commit
from reports.gate.effect import findings
from reports.gate.finding import Counted, Finding
from reports.gate.looks import runs_to_exclude, runs_to_tell, share_of_alpha
from reports.gate.measures import Gauge, Measured
from reports.gate.slo import SloDecision, of_too_few

Outcome = Literal["pass", "regression", "inconclusive", "invalid", "failed"]

EXIT_STATUS: dict[Outcome, int] = {"pass": 0, "regression": 1, "invalid": 3, "inconclusive": 4, "failed": 5}


class Side(Struct, frozen=True, kw_only=True):
    """The baseline or the candidate."""

    name: str
    """Where its runs came from, as the user named it."""
    runs: int
    """How many were made or found, and how many should have been."""
    measured: tuple[Measured, ...]
    """Of the valid ones."""
    problems: tuple[str, ...] = ()
    """Why the others are not valid, each reason once."""
    disturbed: int = 0
    """Runs invalidated by other load on the host: they say nothing about the side."""
    failures: tuple[str, ...] = ()
    """What ended each run during which a part of the stack failed."""
    commit: Commit | None = None
    """Where it is known."""
    working_tree: bool = False
    """It is the working tree of the commit."""

    @property
    def counted(self) -> Counted:
        """Its runs without those that the host invalidated."""
        valid = len(self.measured)
        return Counted(valid, max(0, self.runs - valid - self.disturbed))


def side_of(name: str, runs: Sequence[Measured]) -> Side:
    """A side of measured runs; those that are INVALID failed for their own reasons."""
    valid = tuple(run for run in runs if run.verdict != "INVALID")
    return Side(name=name, runs=len(runs), measured=valid)


class Decision(Struct, frozen=True, kw_only=True):
    """The outcome, the reason for it, and what it rests on."""

    outcome: Outcome
    reason: str
    findings: tuple[Finding, ...]
    """None without a baseline."""
    slos: tuple[SloDecision, ...]
    baseline: Side | None
    candidate: Side
    look: int
    """Which interim analysis it was, from 0, and of how many; the tests are adjusted for it.

    Below 0: there are too few runs yet for the first one."""
    looks: int
    excluded: tuple[str, ...]
    """Keys of the measures for which this interim analysis or an earlier one excluded a regression."""
    doubts: tuple[str, ...]
    """Why it cannot pass, whatever the measures show."""
    more: int | None
    """Further rounds that would decide, where it is inconclusive and that can be estimated."""
    notes: tuple[str, ...] = ()
    """Notes for the reader."""


def decide(
    baseline: Side | None,
    candidate: Side,
    gauges: Sequence[Gauge],
    *,
    slos: Sequence[SloDecision] = (),
    look: int = 0,
    looks: int = 1,
    earlier: Decision | None = None,
    accepted: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    broken_off: tuple[Outcome, str] | None = None,
) -> Decision:
    """Compares the two sides, and the candidate with its SLOs; without a baseline, only these.

    With a `look` below 0 there are too few runs for an SLO to be met. `earlier` is the decision of the
    previous interim analysis; one with no more runs than that may spend nothing. `accepted`: why a measure
    may be worse, by its key. `broken_off`: the outcome, and its reason, where something ended the runs too
    early.
    """
    results: tuple[Finding, ...] = ()
    sides = [side for side in (baseline, candidate) if side is not None]
    empty = next((side for side in sides if not side.measured), None)
    if empty is None and baseline is not None:
        results = findings(
            baseline.measured,
            candidate.measured,
            gauges,
            0.0 if earlier is not None and look <= earlier.look else share_of_alpha(look, looks),
            counted=(baseline.counted, candidate.counted),
            excluded=earlier.excluded if earlier is not None else (),
        )
    results = marked(results, accepted or {})
    slos = [of_too_few(slo, -look) for slo in slos] if look < 0 else slos
    doubts = tuple(_doubts(baseline, candidate))
    outcome, reason = _outcome(empty, results, slos, doubts, comparing=baseline is not None)
    if candidate.failures and (broken_off is None or broken_off[0] != "failed"):
        broken_off = "failed", _failed(candidate)
    outcome, reason = broken_off or (outcome, reason)
    more = _more(results, slos) if outcome == "inconclusive" and not doubts else None
    if outcome == "inconclusive" and not doubts:
        reason += _how_many_more(more)
    return Decision(
        outcome=outcome,
        reason=reason,
        findings=results,
        slos=tuple(slos),
        baseline=baseline,
        candidate=candidate,
        look=look,
        looks=looks,
        excluded=tuple(result.key for result in results if result.excluded),
        doubts=doubts,
        more=more,
        notes=(*notes, *unused(results, accepted or {})),
    )


def look_of(baseline: Side | None, candidate: Side, first: int) -> int:
    """Which interim analysis this is, from 0, where the first one takes `first` runs a side.

    Runs that the host invalidated do not count; those that failed do."""
    sides = [side for side in (baseline, candidate) if side is not None]
    return min(side.runs - side.disturbed for side in sides) - first


def fewest_rounds(gauges: Sequence[Gauge], rounds: int, most_rounds: int) -> int:
    """How many runs a side needs before these gauges can pass, or be called worse, in a gate that has
    `rounds` at least and `most_rounds` at the most, and first looks at them then; more than `most_rounds`
    where it never can."""
    number = max(rounds, runs_to_exclude())
    while True:
        share = share_of_alpha(0, max(1, most_rounds - number + 1))
        if max(runs_to_exclude(share), runs_to_tell(len(gauges), share)) <= number:
            return number
        number += 1


def _doubts(baseline: Side | None, candidate: Side) -> Iterator[str]:
    if baseline is None:
        failed = candidate.counted.failed
        if failed:
            yield f"{failed} of {candidate.runs} runs failed{_because(candidate)}"
        return
    disturbed = [
        [1.0] * side.disturbed + [0.0] * (side.runs - side.disturbed) for side in (candidate, baseline)
    ]
    if candidate.disturbed and greater_test(*disturbed) <= ALPHA:
        yield (
            f"the host invalidated {candidate.disturbed} of {candidate.runs} runs of the candidate and "
            f"{baseline.disturbed} of {baseline.runs} of the baseline: the change itself may be the cause"
        )


def _because(side: Side) -> str:
    return f": {side.problems[0]}" if side.problems else ""


def _outcome(
    empty: Side | None,
    results: Sequence[Finding],
    slos: Sequence[SloDecision],
    doubts: Sequence[str],
    *,
    comparing: bool,
) -> tuple[Outcome, str]:
    if empty is not None:
        return "invalid", f"{empty.name} has no valid run among {empty.runs}{_because(empty)}"
    if not results and not slos:
        what = "no measure has a value on either side" if comparing else "there is no SLO to check"
        return "invalid", what
    accepted = [result for result in results if result.accepted]
    results = [result for result in results if not result.accepted]
    worse = [result.why for result in results if result.answer == "worse"]
    worse += [slo.why for slo in slos if slo.answer == "violated"]
    if worse:
        return "regression", worse[0] + _and_more(worse)
    undecided = [*doubts, *(slo.why for slo in slos if slo.answer == "inconclusive")]
    # What is nearest to a regression is named first.
    undecided += [result.why for result in sorted(results, key=_suspicion) if result.answer == "inconclusive"]
    if undecided:
        return "inconclusive", undecided[0] + _and_more(undecided)
    return "pass", _passed(results, slos, accepted)


def _failed(side: Side) -> str:
    return (
        f"a part of the stack failed in {len(side.failures)} of {side.runs} runs of {side.name}: "
        f"{side.failures[0]}"
    )


def _suspicion(finding: Finding) -> float:
    return 1.0 if finding.p is None else finding.p


def _and_more(reasons: Sequence[str]) -> str:
    return f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""


def _passed(results: Sequence[Finding], slos: Sequence[SloDecision], accepted: Sequence[Finding]) -> str:
    parts = []
    for answer, what in (("worse", "accepted regression"), ("inconclusive", "accepted inconclusive measure")):
        known = [f"{one.why}, accepted: {one.accepted}" for one in accepted if one.answer == answer]
        if known:
            counted = f"{len(known)} {what}{'s' if len(known) > 1 else ''}"
            parts.append(f"{counted}: {known[0]}{_and_more(known)}")
    if results:
        others = "other " if accepted else ""
        parts.append(f"no regression ≥ the minimum effect in any of {len(results)} {others}measures")
    if slos:
        parts.append(f"all SLOs met ({len(slos)})")
    return ", and ".join(parts)


def _more(results: Sequence[Finding], slos: Sequence[SloDecision]) -> int | None:
    needed = [result.more for result in results if result.answer == "inconclusive" and not result.accepted]
    needed += [slo.more for slo in slos if slo.answer == "inconclusive"]
    known = [number for number in needed if number is not None]
    return max(known) if len(known) == len(needed) else None


def _how_many_more(more: int | None) -> str:
    if more is None:
        return "; more rounds are unlikely to decide it"
    return f"; about {more} more round{'s' if more != 1 else ''} needed to decide"
