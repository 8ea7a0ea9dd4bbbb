"""Arms side by side. The unit is a run, never a sample: an arm is as many values as it has valid runs."""

from collections.abc import Sequence
from math import inf
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from reports.analysis.reference import reference_text
from reports.compare.arm import ArmResult, alike, arm_result, standing
from reports.compare.comparable import ComparisonError, by_arm, variables
from reports.compare.control import Control, controls, under_control
from reports.compare.fixes import fixes, price_of_best
from reports.compare.headline import believe, headline
from reports.compare.measures import BY_KEY, KEY_MEASURES, Measure, Names
from reports.compare.one_reference import FANOUT, is_mixed, on_one_reference, reference_warning
from reports.compare.ranges import Range
from reports.compare.statistics import ALPHA, CONFIDENCE, holm, rank_test, ratio_interval, smallest_p
from reports.rundir.reader import Run, is_external, proxy_name

__all__ = ["ArmResult", "Comparison", "ComparisonError", "Contrast", "compare"]

FEWEST_FOR_INTERVAL = 3
"""Of one or two runs all that can be said is what they were."""

Decision = Literal["better", "worse", "no difference", "inconclusive"]


class Contrast(Struct, frozen=True, kw_only=True):
    """One measure of one arm against the reference arm."""

    decision: Decision
    """`no difference`: one that matters is excluded in either direction; `inconclusive`: neither is shown."""
    ratio: float | None = None
    """Median ÷ the reference's median; None where that is no number, because one is nothing or never came."""
    bound: Literal["", "≥", "≤"] = ""
    """What is known of the ratio, where one of the medians is only a lower bound."""
    ratio_low: float | None = None
    """Its exact interval; None where there are too few runs, or where nothing is known."""
    ratio_high: float | None = None
    """None as well where the interval has no end."""
    ratio_never: bool = False
    """It has no end because runs of this arm never came to it."""
    coverage: float | None = None
    """In what share of all cases such an interval holds the true ratio, at the least."""
    p: float | None = None
    """Of the rank test, for key measures adjusted after Holm; None where so few runs cannot decide."""


class Comparison(Struct, frozen=True, kw_only=True):
    """What the arms say together. The first one is the reference."""

    arms: tuple[ArmResult, ...]
    variables: tuple[str, ...]
    """Keys of the scenario in which the arms differ."""
    contrasts: dict[str, dict[str, Contrast]]
    """By the other arms' names, then by the keys of measures of which more is better or worse."""
    controls: tuple[Control, ...]
    winners: tuple[str, ...]
    """The best arm, and those that cannot be told apart from it; empty where no run is valid."""
    names: Names
    """What the measures are called in these runs."""
    external: bool
    """An external target was tested, of which only the clients are known."""
    reference: str
    """What latencies count from; empty where no tick was received."""
    headline: str
    effects: tuple[str, ...]
    """Each fix: what it did, for whom, at what price, and how sure that is."""
    believe: str
    """How far all of this can be trusted."""


def compare(runs: Sequence[Run]) -> Comparison:
    """Compares runs by arm; works for a single one as well.

    Control runs are no arms; the arms of one that failed are INVALID. Raises ComparisonError where two
    runs must not be compared.
    """
    varied = variables(runs)
    found = controls(runs)
    mixed = is_mixed(runs)
    groups = by_arm(on_one_reference(under_control(runs, found)))
    arms = tuple(arm_result(name, group, varied) for name, group in groups.items())
    ranked = sorted((arm for arm in arms if arm.valid), key=standing)
    names = _names([run for group in groups.values() for run in group], mixed=mixed)
    winners = tuple(arm.name for arm in arms if ranked and alike(ranked[0], arm))
    return Comparison(
        arms=arms,
        variables=varied,
        contrasts={arm.name: contrasts(arm, arms[0]) for arm in arms[1:]},
        controls=found,
        winners=winners,
        names=names,
        external=any(map(is_external, runs)),
        reference=reference_text([run for group in groups.values() for run in group]),
        headline=" ".join(filter(None, [headline(arms, winners), price_of_best(arms, winners, names)])),
        effects=fixes(arms, varied, winners, names),
        believe=" ".join(filter(None, [believe(arms, winners, found), reference_warning(runs)])),
    )


def _names(runs: Sequence[Run], *, mixed: bool) -> Names:
    if mixed:
        return Names(proxy=proxy_name(runs), fanout=FANOUT)
    spread = any(run.info.reference == "first receipt" for run in runs)
    return Names(proxy=proxy_name(runs), fanout="fan-out spread" if spread else "fan-out")


def contrasts(arm: ArmResult, reference: ArmResult) -> dict[str, Contrast]:
    """One arm against the reference in every measure that both have and that can be better or worse.

    The key measures are decided together: with Holm's correction, a difference in any of them is found where
    there is none in one of twenty comparisons at the most. All others are decided each for itself, and so is
    every `no difference`: its whole 95 % interval lies within what does not matter.
    """
    ranges = {
        key: (arm.ranges[key], reference.ranges[key])
        for key, measure in BY_KEY.items()
        if measure.effect.better != "neither" and key in arm.ranges and key in reference.ranges
    }
    p_values = {key: p for key, pair in ranges.items() if (p := _p(*pair)) is not None}
    trusted = bool(arm.valid and reference.valid)
    if not trusted:
        p_values = {}
    p_values |= holm({key: p_values[key] for key in KEY_MEASURES if key in p_values})
    return {
        key: _contrast(BY_KEY[key], ours, theirs, p_values.get(key), trusted=trusted)
        for key, (ours, theirs) in ranges.items()
    }


def _p(ours: Range, theirs: Range) -> float | None:
    if smallest_p(len(ours.values), len(theirs.values)) > ALPHA:
        return None
    return rank_test(ours.numbers, theirs.numbers, a_open=ours.bounds, b_open=theirs.bounds)


def _contrast(measure: Measure, ours: Range, theirs: Range, p: float | None, *, trusted: bool) -> Contrast:
    decision: Decision = _decision(measure, ours, theirs, p) if trusted else "inconclusive"
    if (
        ours.median is None
        or theirs.median is None
        or theirs.median <= 0
        or (ours.at_least and theirs.at_least)
    ):
        return Contrast(decision=decision, p=p)
    found = Contrast(
        decision=decision,
        p=p,
        ratio=ours.median / theirs.median,
        bound="≥" if ours.at_least else "≤" if theirs.at_least else "",
    )
    if min(len(ours.values), len(theirs.values)) < FEWEST_FOR_INTERVAL:
        return found
    interval = ratio_interval(ours.numbers, theirs.numbers, a_open=ours.bounds, b_open=theirs.bounds)
    if interval.low == 0 and interval.high == inf:
        return found
    ratio = ours.median / theirs.median
    # Of many runs whose distributions differ in shape, the quotient of medians may lie outside.
    high = max(interval.high, ratio)
    return replace(
        found,
        ratio_low=min(interval.low, ratio),
        ratio_high=None if high == inf else high,
        ratio_never=interval.never,
        coverage=interval.coverage,
    )


def _decision(measure: Measure, ours: Range, theirs: Range, p: float | None) -> Decision:
    mine, its = (inf if found.median is None else found.median for found in (ours, theirs))
    if p is not None and p <= ALPHA and measure.effect.matters(mine, its):
        return "better" if (mine < its) == (measure.effect.better == "lower") else "worse"
    excluded = max(_exclusion_p(measure, ours, theirs), _exclusion_p(measure, theirs, ours))
    return "no difference" if excluded <= (1 - CONFIDENCE) / 2 else "inconclusive"


def _exclusion_p(measure: Measure, ours: Range, theirs: Range) -> float:
    """The p of ours being worse than theirs by as much as matters."""
    return measure.effect.exclusion_p(
        theirs.numbers, ours.numbers, before_open=theirs.bounds, after_open=ours.bounds
    )
