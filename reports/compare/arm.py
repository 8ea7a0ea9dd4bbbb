"""One arm of a comparison: its runs taken together, and how two arms stand to each other."""

from collections.abc import Mapping, Sequence
from math import inf

from msgspec import Struct

from reports.analysis.judgement import Judgement, judgement_of
from reports.analysis.verdict import RANKED, VerdictName
from reports.compare.comparable import setting
from reports.compare.ip_groups import IpGroup, ip_groups
from reports.compare.measures import AVAILABILITY, BY_KEY, TIME_TO_RECOVER
from reports.compare.ranges import Range, range_of
from reports.compare.statistics import ALPHA, rank_test, smallest_p
from reports.rundir.reader import Run

Standing = tuple[int, float, float]
"""Sorts runs and arms from best to worst: verdict, time to recover, what was not available."""


class RunResult(Struct, frozen=True):
    """What is needed to say which of two valid runs went better."""

    verdict: VerdictName
    time_to_recover_s: int | None
    availability: float | None


class ArmResult(Struct, frozen=True, kw_only=True):
    """One arm."""

    name: str
    settings: dict[str, str]
    """Its value of each variable under study."""
    runs: int
    valid: int
    verdict: VerdictName
    """Of its middle valid run, the worse one of two middle ones; INVALID where no run is valid."""
    verdicts: tuple[VerdictName, ...]
    """Of every run, in order."""
    reasons: tuple[str, ...]
    """For each of these verdicts."""
    results: tuple[RunResult, ...]
    """Of the valid runs, in order."""
    ranges: dict[str, Range]
    """By the key of the measure, over the valid runs; over all of them where none is valid."""
    at_least_s: int | None
    """Seconds within which none of the runs that did not recover can have recovered."""
    by_ip: tuple[IpGroup, ...] = ()
    """Clients alone on an IP, and clients behind a shared IP."""
    predicted: bool = False
    """By the simulator."""

    def median(self, key: str) -> float | None:
        """The median of a measure; None where there is none."""
        found = self.ranges.get(key)
        return found.median if found else None

    @property
    def recovered_s(self) -> float:
        """Median time to recover in seconds, infinite where it did not."""
        median = self.median(TIME_TO_RECOVER)
        return inf if median is None else median


def arm_result(name: str, runs: Sequence[Run], variables: Sequence[str]) -> ArmResult:
    """Takes the runs of one arm together; `variables` are the keys in which arms differ."""
    judged = [judgement_of(run) for run in runs]
    trusted = [judgement for judgement in judged if judgement.validity.valid]
    summaries = [judgement.summary for judgement in trusted or judged]
    ranked = sorted((judgement.verdict.name for judgement in trusted), key=RANKED.index)
    bounds = [summary.recovery.at_least_s for summary in summaries]
    ranges = {key: range_of(measure, summaries) for key, measure in BY_KEY.items()}
    return ArmResult(
        name=name,
        settings={key: setting(runs[0], key) for key in variables},
        runs=len(judged),
        valid=len(trusted),
        verdict=ranked[len(ranked) // 2] if ranked else "INVALID",
        verdicts=tuple(judgement.verdict.name for judgement in judged),
        reasons=tuple(judgement.verdict.reason for judgement in judged),
        results=tuple(map(_result, trusted)),
        ranges={key: found for key, found in ranges.items() if found is not None},
        at_least_s=min((bound for bound in bounds if bound is not None), default=None),
        by_ip=ip_groups([summary.shared_ips for summary in summaries]),
        predicted=runs[0].info.predicted,
    )


def standing(arm: ArmResult) -> Standing:
    """Sorts arms from best to worst, by their verdicts and medians."""
    return _standing(arm.verdict, arm.recovered_s, arm.median(AVAILABILITY))


def decidable(a: ArmResult, b: ArmResult) -> bool:
    """Whether both arms have valid runs enough for a rank test to tell them apart: four and four will do."""
    return min(a.valid, b.valid) > 0 and smallest_p(a.valid, b.valid) <= ALPHA


def order_p(a: ArmResult, b: ArmResult) -> float:
    """The p of a rank test of whole runs, each ranked by verdict, time to recover and availability.

    One test, so nothing is to be corrected. Both arms need a valid run.
    """
    of_a, of_b = ([_run_standing(result) for result in arm.results] for arm in (a, b))
    ranks = {standing: float(rank) for rank, standing in enumerate(sorted({*of_a, *of_b}))}
    return rank_test([ranks[standing] for standing in of_a], [ranks[standing] for standing in of_b])


def alike(a: ArmResult, b: ArmResult) -> bool:
    """Whether two arms cannot be told apart.

    With runs enough for a rank test they can be where it says so and the difference is one that matters. With
    fewer they can be where verdicts differ, or ranges of time to recover or availability lie apart; with a
    single run on one side, where the difference is one that matters.
    """
    if not (a.valid and b.valid):
        return False
    if decidable(a, b):
        return order_p(a, b) > ALPHA or not differs_enough(a, b)
    if standing(a)[0] != standing(b)[0]:
        return False
    if min(a.valid, b.valid) > 1 and _overlap(a, b, TIME_TO_RECOVER) and _overlap(a, b, AVAILABILITY):
        return True
    return not differs_enough(a, b)


def differs_enough(a: ArmResult, b: ArmResult) -> bool:
    """Whether verdict, median time to recover or median availability differ by so much that it matters."""
    served = [arm.median(AVAILABILITY) or 0.0 for arm in (a, b)]
    return (
        standing(a)[0] != standing(b)[0]
        or BY_KEY[TIME_TO_RECOVER].effect.matters(a.recovered_s, b.recovered_s)
        or BY_KEY[AVAILABILITY].effect.matters(*served)
    )


def middle_run(runs: Sequence[Run]) -> Run:
    """The middle valid run by verdict, time to recover and availability, the worse one of two middle ones.

    Where no run is valid, the first one.
    """
    valid = [run for run in runs if judgement_of(run).validity.valid]
    if not valid:
        return runs[0]
    return sorted(valid, key=lambda run: standing(arm_result(run.info.arm, [run], ())))[len(valid) // 2]


def middle_runs(arms: Mapping[str, Sequence[Run]]) -> dict[str, Run]:
    """The middle run of each arm, by the arm's name, with the round where there are several."""
    chosen = {name: middle_run(group) for name, group in arms.items()}
    return {
        f"{name}, round {run.info.round}" if len(arms[name]) > 1 else name: run
        for name, run in chosen.items()
    }


def _result(judgement: Judgement) -> RunResult:
    summary = judgement.summary
    return RunResult(
        judgement.verdict.name,
        summary.recovery.time_to_recover_s,
        summary.storm.availability if summary.storm else None,
    )


def _run_standing(result: RunResult) -> Standing:
    time_s = result.time_to_recover_s
    return _standing(result.verdict, inf if time_s is None else time_s, result.availability)


def _standing(verdict: VerdictName, recovered_s: float, availability: float | None) -> Standing:
    rank = RANKED.index("METASTABLE" if verdict == "OUTAGE" else verdict)
    return rank, recovered_s, -(availability or 0.0)


def _overlap(a: ArmResult, b: ArmResult, key: str) -> bool:
    of_a, of_b = a.ranges.get(key), b.ranges.get(key)
    if of_a is None or of_b is None:
        return False
    return of_a.lowest <= of_b.highest and of_b.lowest <= of_a.highest
