"""What a gate decides, and why: the reason first, in one sentence.

Any gauge that is worse, and any objective that is broken, makes a regression. To pass, all of them have to
exclude one. Everything between is inconclusive, and no side without a valid run is ever compared. A run that
is INVALID by itself is not left out: a candidate of which more runs are than of its baseline does not pass.

A run of the candidate during which a part of the stack failed makes the gate fail, whatever the other runs
show: a pod that crashes is no measurement that may be left out. So does any failure that ends the runs before
the gate was done with them. A recorded run of the baseline that failed is left out, and counted as not valid.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from reports.compare.statistics import ALPHA, greater_test
from reports.gate.effect import MOST_MORE, findings
from reports.gate.finding import Counted, Finding
from reports.gate.looks import runs_to_exclude, runs_to_tell, share_of_alpha
from reports.gate.measures import Gauge, Measured
from reports.gate.slo import Promise

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
    """Runs during which others used the machine's cores: they say nothing about the side."""
    failures: tuple[str, ...] = ()
    """What ended each run during which a part of the stack failed."""

    @property
    def counted(self) -> Counted:
        """Its runs but for the disturbed ones."""
        valid = len(self.measured)
        return Counted(valid, max(0, self.runs - valid - self.disturbed))


def side_of(name: str, runs: Sequence[Measured]) -> Side:
    """A side of runs that were measured; those that are INVALID failed by themselves."""
    valid = tuple(run for run in runs if run.verdict != "INVALID")
    return Side(name=name, runs=len(runs), measured=valid)


class Decision(Struct, frozen=True, kw_only=True):
    """The outcome, the reason for it, and what it rests on."""

    outcome: Outcome
    reason: str
    findings: tuple[Finding, ...]
    """None without a baseline."""
    promises: tuple[Promise, ...]
    baseline: Side | None
    candidate: Side
    look: int
    """Which look at the runs it was, from 0, and of how many; the tests are corrected for it. Below 0: there
    are too few runs yet for the first one."""
    looks: int
    excluded: tuple[str, ...]
    """Keys of the gauges of which this look or an earlier one has excluded a worsening."""
    doubts: tuple[str, ...]
    """What does not let it pass, whatever the gauges say."""
    more: int | None
    """How many more rounds would decide, where it is inconclusive and that can be told."""
    notes: tuple[str, ...] = ()
    """What the reader should know beside it."""


def decide(
    baseline: Side | None,
    candidate: Side,
    gauges: Sequence[Gauge],
    *,
    promises: Sequence[Promise] = (),
    look: int = 0,
    looks: int = 1,
    earlier: Decision | None = None,
    notes: Sequence[str] = (),
    broken_off: tuple[Outcome, str] | None = None,
) -> Decision:
    """Compares the two sides, and the candidate with what it promises; without a baseline, only that.

    `earlier` is what the look before this one decided; a look that has no more runs than that one may
    spend nothing. `broken_off`: the outcome, and its reason, where something has ended the runs before their
    time.
    """
    found: tuple[Finding, ...] = ()
    sides = [side for side in (baseline, candidate) if side is not None]
    empty = next((side for side in sides if not side.measured), None)
    if empty is None and baseline is not None:
        found = findings(
            baseline.measured,
            candidate.measured,
            gauges,
            0.0 if earlier is not None and look <= earlier.look else share_of_alpha(look, looks),
            counted=(baseline.counted, candidate.counted),
            excluded=earlier.excluded if earlier is not None else (),
        )
    doubts = tuple(_doubts(baseline, candidate))
    outcome, reason = _outcome(empty, found, promises, doubts, comparing=baseline is not None)
    if candidate.failures and (broken_off is None or broken_off[0] != "failed"):
        broken_off = "failed", _failed(candidate)
    outcome, reason = broken_off or (outcome, reason)
    more = _more(found, promises, candidate) if outcome == "inconclusive" and not doubts else None
    if outcome == "inconclusive" and not doubts:
        reason += _how_many_more(more)
    return Decision(
        outcome=outcome,
        reason=reason,
        findings=found,
        promises=tuple(promises),
        baseline=baseline,
        candidate=candidate,
        look=look,
        looks=looks,
        excluded=tuple(one.key for one in found if one.excluded),
        doubts=doubts,
        more=more,
        notes=tuple(notes),
    )


def look_of(baseline: Side | None, candidate: Side, first: int) -> int:
    """Which look this is, from 0, where the first one takes `first` runs a side. Runs that were disturbed are
    none, and use up nothing; those that failed are what is looked at."""
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
            f"others used the machine's cores in {candidate.disturbed} of {candidate.runs} runs, and in "
            f"{baseline.disturbed} of {baseline.runs} of the baseline: the change may have been what did"
        )


def _because(side: Side) -> str:
    return f": {side.problems[0]}" if side.problems else ""


def _outcome(
    empty: Side | None,
    found: Sequence[Finding],
    promises: Sequence[Promise],
    doubts: Sequence[str],
    *,
    comparing: bool,
) -> tuple[Outcome, str]:
    if empty is not None:
        return "invalid", f"{empty.name} has no valid run among {empty.runs}{_because(empty)}"
    if not found and not promises:
        what = "no measure was measured on either side" if comparing else "there is no objective to keep"
        return "invalid", what
    worse = [one.why for one in found if one.answer == "worse"]
    worse += [one.why for one in promises if one.answer == "broken"]
    if worse:
        return "regression", worse[0] + _and_more(worse)
    undecided = [*doubts, *(one.why for one in promises if one.answer == "inconclusive")]
    # What is nearest to a regression is named first.
    undecided += [one.why for one in sorted(found, key=_suspicion) if one.answer == "inconclusive"]
    if undecided:
        return "inconclusive", undecided[0] + _and_more(undecided)
    return "pass", _passed(found, promises)


def _failed(side: Side) -> str:
    return (
        f"a part of the stack failed in {len(side.failures)} of {side.runs} runs of {side.name}: "
        f"{side.failures[0]}"
    )


def _suspicion(finding: Finding) -> float:
    return 1.0 if finding.p is None else finding.p


def _and_more(reasons: Sequence[str]) -> str:
    return f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""


def _passed(found: Sequence[Finding], promises: Sequence[Promise]) -> str:
    parts = []
    if found:
        parts.append(f"none of {len(found)} measures is worse by as much as matters")
    if promises:
        parts.append(f"all objectives are kept ({len(promises)})")
    return ", and ".join(parts)


def _more(found: Sequence[Finding], promises: Sequence[Promise], candidate: Side) -> int | None:
    wanted = [one.more for one in found if one.answer == "inconclusive"]
    if any(one.answer == "inconclusive" for one in promises):
        # Runs that disagree are as likely to go on disagreeing; twice as many are a fair try.
        wanted.append(len(candidate.measured))
    numbers = [number for number in wanted if number is not None]
    return max(numbers) if len(numbers) == len(wanted) else None


def _how_many_more(more: int | None) -> str:
    if more is None:
        return f"; it would take more than {MOST_MORE} further rounds, if rounds can decide it at all"
    return f"; {more} more round{'s' if more != 1 else ''} would decide, as it looks now"
