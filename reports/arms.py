"""One arm of a comparison: its runs taken together, and how two arms stand to each other."""

from collections.abc import Sequence
from math import inf

from msgspec import Struct

from reports.comparable import label, settings
from reports.judgement import judgement_of
from reports.measures import EXPERIENCE, MEASURES, TIME_TO_RECOVER, Range, range_of
from reports.record import Run
from reports.verdict import RANKED, VerdictName

TIE_S = 2.0
TIE_AVAILABILITY = 0.02


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
    ranges: dict[str, Range]
    """By the key of the measure, over the valid runs; over all of them where none is valid."""
    at_least_s: int | None
    """Seconds within which none of the runs that did not recover can have recovered."""

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
    scenario = settings(runs[0])
    ranges = {measure.key: range_of(measure, summaries) for measure in (*MEASURES, *EXPERIENCE)}
    return ArmResult(
        name=name,
        settings={key: label(scenario.get(key)) for key in variables},
        runs=len(judged),
        valid=len(trusted),
        verdict=ranked[len(ranked) // 2] if ranked else "INVALID",
        verdicts=tuple(judgement.verdict.name for judgement in judged),
        reasons=tuple(judgement.verdict.reason for judgement in judged),
        ranges={key: found for key, found in ranges.items() if found is not None},
        at_least_s=min((bound for bound in bounds if bound is not None), default=None),
    )


def standing(arm: ArmResult) -> tuple[int, float, float]:
    """Sorts arms from best to worst: verdict, then time to recover, then availability."""
    rank = RANKED.index("METASTABLE" if arm.verdict == "OUTAGE" else arm.verdict)
    return rank, arm.recovered_s, -(arm.median("availability") or 0.0)


def alike(a: ArmResult, b: ArmResult) -> bool:
    """Whether two arms cannot be told apart: as good a verdict, neither sooner back nor better served.

    With several valid runs on both sides, ranges that overlap count as no difference; with fewer, medians
    that lie close together do.
    """
    if not (a.valid and b.valid) or standing(a)[0] != standing(b)[0]:
        return False
    if min(a.valid, b.valid) > 1 and _overlap(a, b, TIME_TO_RECOVER) and _overlap(a, b, "availability"):
        return True
    same_time = a.recovered_s == b.recovered_s or abs(a.recovered_s - b.recovered_s) < TIE_S
    served = [arm.median("availability") or 0.0 for arm in (a, b)]
    return same_time and abs(served[0] - served[1]) < TIE_AVAILABILITY


def _overlap(a: ArmResult, b: ArmResult, key: str) -> bool:
    ours, theirs = a.ranges.get(key), b.ranges.get(key)
    if ours is None or theirs is None:
        return False
    return ours.lowest <= theirs.highest and theirs.lowest <= ours.highest
