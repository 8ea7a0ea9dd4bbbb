"""Statistics of a few runs: intervals, a rank test, and what so few can decide at all.

The unit is a run. Everything is deterministic: resampling draws from a generator with a fixed seed. A value
that never came, such as a recovery that nobody saw, is infinite: ranks put it above all others, and an
interval that reaches it ends in infinity. Nothing here takes NaN.
"""

from collections.abc import Callable, Mapping, Sequence
from math import comb, inf, sqrt
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

ALPHA = 0.05
CONFIDENCE = 0.95
RESAMPLES = 9_999
SEED = 20_231_122
MOST_PERMUTATIONS = 20_000
"""Up to eight against eight runs: with ties, more than these are left to the normal approximation."""

Floats = NDArray[np.float64]
Statistic = Callable[..., Any]
"""A statistic as numpy has them: takes an array and `axis`."""


class Interval(Struct, frozen=True):
    """From the lowest to the highest plausible value; infinite where that is `never`."""

    low: float
    high: float


def bootstrap_interval(
    values: Sequence[float], statistic: Statistic = np.median, confidence: float = CONFIDENCE
) -> Interval:
    """The percentile bootstrap interval of a statistic, for one value or more (Efron 1979).

    It cannot reach beyond the extremes. For a median of three to five values it *is* the extremes, and those
    hold the true median in 75, 88 and 94 % of all cases only: see `extremes_confidence`.
    """
    return middle(_resampled(values, statistic, np.random.default_rng(SEED)), confidence)


def ratio_interval(a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """The percentile bootstrap interval of median(a) ÷ median(b), both resampled, for values of 0 or more.

    Where both medians are zero, or both never came, they are as large as each other: their ratio is 1.
    """
    return interval_of_ratios(*resampled_medians(a, b), confidence)


def interval_of_ratios(above: Floats, below: Floats, confidence: float = CONFIDENCE) -> Interval:
    """The same, from medians that were resampled before."""
    ratios = np.ones(len(above))
    with np.errstate(divide="ignore", over="ignore"):
        np.divide(above, below, out=ratios, where=above != below)
    return middle(ratios, confidence)


def resampled_medians(a: Sequence[float], b: Sequence[float]) -> tuple[Floats, Floats]:
    """Medians of `RESAMPLES` bootstrap samples of both, drawn independently of each other."""
    rng = np.random.default_rng(SEED)
    return _resampled(a, _medians, rng), _resampled(b, _medians, rng)


def middle(found: Floats, confidence: float = CONFIDENCE) -> Interval:
    """What is left of bootstrap results without the same share of them at either end."""
    # Between infinity and infinity nothing can be interpolated, so these are values that were drawn.
    ordered = np.sort(found)
    outside = int((1 - confidence) / 2 * len(ordered))
    return Interval(float(ordered[outside]), float(ordered[-1 - outside]))


def extremes_confidence(runs: int) -> float:
    """How often the extremes of so many runs hold the true median between them: 1 − 2^(1−n)."""
    return 1 - 0.5 ** (runs - 1)


def rank_test(
    a: Sequence[float], b: Sequence[float], *, a_open: Sequence[bool] = (), b_open: Sequence[bool] = ()
) -> float:
    """The two-sided p of the Mann–Whitney U test; exact for up to eight against eight values.

    `a_open` and `b_open` mark values that are only lower bounds. Each may be as large as it likes, so p is
    the larger one of the two extreme cases, and 1 where these point in opposite directions.
    """
    if not any((*a_open, *b_open)):
        return _mann_whitney(a, b)[1]
    a_top, b_top = _at_the_top(a, a_open), _at_the_top(b, b_open)
    cases = [_mann_whitney(a, b_top), _mann_whitney(a_top, b)]
    if cases[0][0] * cases[1][0] < 0:
        return 1.0
    return max(p for _, p in cases)


def greater_test(a: Sequence[float], b: Sequence[float], *, b_open: Sequence[bool] = ()) -> float:
    """The one-sided p of the Mann–Whitney U test: do the values of `a` tend to be greater than those of `b`?

    Exact whatever the ties and the number of values: the sums of all choices of len(a) midranks are counted
    by the shift algorithm (Streitberg & Röhmel 1986). scipy would try all permutations, and takes a hundred
    times as long. Where a value of `a` is only a lower bound, its bound is the case against it; one of `b`
    may be as large as it likes, and is taken to be larger than any.
    """
    together = np.array([*a, *_at_the_top(b, b_open)], np.float64)
    # Twice the midrank is a whole number: how many are smaller, and how many are not greater, and one more.
    ordered = np.sort(together)
    ranks = np.searchsorted(ordered, together) + np.searchsorted(ordered, together, side="right") + 1
    ways = np.zeros((len(a) + 1, int(ranks.sum()) + 1))
    ways[0, 0] = 1
    for rank in ranks:
        # From the whole table before this rank: each rank is taken once at the most.
        ways[1:, rank:] += ways[:-1, :-rank].copy()
    return float(ways[-1, ranks[: len(a)].sum() :].sum() / ways[-1].sum())


def smallest_p(a_runs: int, b_runs: int) -> float:
    """The smallest p that the exact rank test can give for so many runs: 0.1 for three against three."""
    return min(1.0, 2 / comb(a_runs + b_runs, a_runs))


def runs_needed(tests: int = 1, alpha: float = ALPHA) -> int:
    """How many runs each of two arms needs until one of so many tests can be decided after Holm."""
    runs = 1
    while tests * smallest_p(runs, runs) > alpha:
        runs += 1
    return runs


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Each p, adjusted for there being several (Holm 1979): below alpha, all of them hold together."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for index, key in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - index) * p_values[key]))
        adjusted[key] = highest
    return {key: adjusted[key] for key in p_values}


def wilson(hits: int, runs: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share, for one run or more (Wilson 1927)."""
    z = 1.959964
    share = hits / runs
    centre = share + z * z / (2 * runs)
    width = z * sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs))
    scale = 1 + z * z / runs
    return max(0.0, (centre - width) / scale), min(1.0, (centre + width) / scale)


def _resampled(values: Sequence[float], statistic: Statistic, rng: np.random.Generator) -> Floats:
    array = np.asarray(values, np.float64)
    draws = rng.integers(0, len(array), size=(RESAMPLES, len(array)))
    found: Floats = statistic(array[draws], axis=1)
    return found


def _medians(values: Floats, axis: int) -> Floats:
    """As numpy's own, which for a few values each takes three times as long."""
    ordered = np.sort(values, axis=axis)
    number = ordered.shape[axis]
    low, high = (np.take(ordered, place, axis=axis) for place in ((number - 1) // 2, number // 2))
    found: Floats = (low + high) / 2
    return found


def _at_the_top(values: Sequence[float], is_open: Sequence[bool]) -> Sequence[float]:
    if not is_open:
        return values
    return [inf if bound else value for value, bound in zip(values, is_open, strict=True)]


def _mann_whitney(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """How far U lies from its expectation, and p."""
    together = {*a, *b}
    if len(together) == 1:
        return 0.0, 1.0
    # It takes a second to import, and runs that nobody repeated need no test.
    from scipy.stats import PermutationMethod, mannwhitneyu  # noqa: PLC0415

    method: Any = "auto"
    if comb(len(a) + len(b), len(a)) <= MOST_PERMUTATIONS:
        # scipy's exact method knows nothing of ties. All permutations take care of them, but take longer.
        tied = len(together) < len(a) + len(b)
        method = PermutationMethod(n_resamples=MOST_PERMUTATIONS) if tied else "exact"
    found = mannwhitneyu(a, b, method=method)
    return float(found.statistic) - len(a) * len(b) / 2, float(found.pvalue)
