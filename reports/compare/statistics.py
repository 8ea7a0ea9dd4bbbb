"""Statistics of a few runs: intervals, rank tests, and what so few can decide at all.

The unit is a run. Everything is exact, so nothing is drawn at random: an interval says itself in how many
of all cases it holds what it is meant to hold, which for a few runs is not what one would like. A value
that never came, such as a recovery, is infinite: ranks put it above all others. A value
that is only a lower bound may be as large as it likes. Nothing here takes NaN.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from math import comb, erfc, exp, inf, lgamma, log, log1p, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

ALPHA = 0.05
CONFIDENCE = 0.95
MOST_RANKS = 60
"""So many values of both sides together have all their choices counted; more are left to the normal
approximation, which is as good by then."""

Floats = NDArray[np.float64]
Counts = NDArray[np.intp]


class Interval(Struct, frozen=True, kw_only=True):
    """From one value to another, and how sure that is."""

    low: float
    high: float
    """Infinite where nothing is known of an upper end, or where it is `never`."""
    coverage: float
    """In what share of all cases such an interval holds the true value, at the least: 0.95 and more where
    there are runs enough, and the most that so few allow where there are not."""
    never: bool = False
    """The upper end is infinite because values never came, and not because it is unknown."""


def median_interval(values: Sequence[float], is_open: Sequence[bool] = ()) -> Interval:
    """The interval of order statistics for the true median, for one value or more.

    Whatever the distribution, n values hold the median between the k-th lowest and the k-th highest unless
    fewer than k of them lie on one side of it, which is a matter of coins. Up to eight values, k is 1.
    """
    runs = len(values)
    beyond = 1
    while 2 * _coins(beyond + 1, runs) <= 1 - CONFIDENCE:
        beyond += 1
    lowest, highest = sorted(values), sorted(at_the_top(values, is_open))
    return Interval(
        low=lowest[beyond - 1],
        high=highest[-beyond],
        coverage=1 - 2 * _coins(beyond, runs),
        never=sorted(_at_the_bottom(values, is_open))[-beyond] == inf,
    )


def ratio_interval(
    a: Sequence[float], b: Sequence[float], *, a_open: Sequence[bool] = (), b_open: Sequence[bool] = ()
) -> Interval:
    """By what factor the values of `a` are those of `b`, for one value of 0 or more on either side.

    The factors that the exact rank test of Mann and Whitney does not reject (Hodges and Lehmann 1963, on
    logarithms): from the k-th smallest to the k-th largest of all quotients of a pair. Ties make it hold
    the true factor more often. Nothing ÷ nothing may be any number, and so may never ÷ never. A value that
    is only a lower bound is taken for the case that makes the interval wider.
    """
    beyond = 1
    while 2 * _rank_sums_below(beyond + 1, len(a), len(b)) <= 1 - CONFIDENCE:
        beyond += 1
    lowest = np.sort(_quotients(a, at_the_top(b, b_open), unknown=0.0))
    highest = np.sort(_quotients(at_the_top(a, a_open), b, unknown=inf))
    certain = np.isinf(_at_the_bottom(a, a_open))[:, None] & np.isfinite(np.array(b, np.float64))[None, :]
    return Interval(
        low=float(lowest[beyond - 1]),
        high=float(highest[-beyond]),
        coverage=1 - 2 * _rank_sums_below(beyond, len(a), len(b)),
        never=int(certain.sum()) >= beyond,
    )


def share_interval(hits: int, runs: int) -> tuple[float, float]:
    """The exact 95 % interval of a share, for one run or more (Clopper and Pearson 1934)."""
    return (
        1 - _highest_share(runs - hits, runs) if hits else 0.0,
        _highest_share(hits, runs) if hits < runs else 1.0,
    )


def rank_test(
    a: Sequence[float], b: Sequence[float], *, a_open: Sequence[bool] = (), b_open: Sequence[bool] = ()
) -> float:
    """The two-sided p of the Mann–Whitney U test; exact whatever the ties for up to `MOST_RANKS` values.

    `a_open` and `b_open` mark values that are only lower bounds. Each may be as large as it likes, so p is
    the larger one of the two extreme cases, and 1 where these point in opposite directions.
    """
    if not any((*a_open, *b_open)):
        return _mann_whitney(a, b)[1]
    a_top, b_top = at_the_top(a, a_open), at_the_top(b, b_open)
    cases = [_mann_whitney(a, b_top), _mann_whitney(a_top, b)]
    if cases[0][0] * cases[1][0] < 0:
        return 1.0
    return max(p for _, p in cases)


def greater_test(a: Sequence[float], b: Sequence[float], *, b_open: Sequence[bool] = ()) -> float:
    """The one-sided p of the Mann–Whitney U test: do the values of `a` tend to be greater than those of `b`?

    Exact whatever the ties and the number of values. Where a value of `a` is only a lower bound, its bound
    is the case against it; one of `b` may be as large as it likes, and is taken to be larger than any.
    """
    ranks = _double_ranks(a, at_the_top(b, b_open))
    ways = _ways(ranks, len(a))
    return float(ways[ranks[: len(a)].sum() :].sum() / ways.sum())


def below_test(values: Sequence[float], limits: Sequence[float], *, steps: bool = False) -> float:
    """The p of values that are as high as the limits: small where that can be excluded.

    `limits` are values of other runs, each raised to where a rise would matter. It is the one-sided rank
    test of the limits against the values. That test is exact for a rise of all runs; one that occurs in
    some of them may hide among the others. Where such a rise is known, because values never came, or
    because `steps` says that they are steps of a ladder, medians have to lie apart as well, by sign tests
    of both sides. Nothing is higher than what never came: an infinite limit cannot be reached.
    """
    top = 1 + max((value for value in (*values, *limits) if value < inf), default=0.0)
    ours = [min(value, top) for value in values]
    theirs = [top + 1 if limit == inf else limit for limit in limits]
    p = greater_test(theirs, ours)
    if not steps and inf not in values:
        return p
    middle, limit = sorted(ours)[len(ours) // 2], sorted(theirs)[(len(theirs) - 1) // 2]
    reached = _coins(sum(value >= limit for value in ours) + 1, len(ours))
    passed = _coins(sum(one <= middle for one in theirs) + 1, len(theirs))
    return max(p, reached, passed)


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


def _coins(beyond: int, runs: int) -> float:
    """How likely it is that of so many coins fewer than `beyond` show heads."""
    return sum(comb(runs, heads) for heads in range(beyond)) * 0.5**runs


def _highest_share(hits: int, runs: int) -> float:
    """The largest share with which so few hits, or fewer, still come in 2.5 % of all cases."""
    ways = [lgamma(runs + 1) - lgamma(n + 1) - lgamma(runs - n + 1) for n in range(hits + 1)]
    low, high = 0.0, 1.0
    for _ in range(40):
        share = (low + high) / 2
        logs = log(share), log1p(-share)
        chance = sum(exp(way + n * logs[0] + (runs - n) * logs[1]) for n, way in enumerate(ways))
        low, high = (share, high) if chance > (1 - CONFIDENCE) / 2 else (low, share)
    return high


def _rank_sums_below(beyond: int, a_runs: int, b_runs: int) -> float:
    """How likely it is that in fewer than `beyond` of all pairs the value of `a` is the higher one, where
    nothing tells the two sides apart."""
    return rank_sum_chances(a_runs, b_runs)[beyond - 1]


@lru_cache(maxsize=256)
def rank_sum_chances(a_runs: int, b_runs: int) -> tuple[float, ...]:
    """How likely it is that Mann and Whitney's U is no more than 0, 1, 2, …

    The numbers of ways are the coefficients of a Gaussian binomial: a product of (1 - q^(b+i)) ÷ (1 - q^i).
    """
    ways = [1] + [0] * (a_runs * b_runs)
    for number in range(1, a_runs + 1):
        for place in range(len(ways) - 1, b_runs + number - 1, -1):
            ways[place] -= ways[place - b_runs - number]
        for place in range(number, len(ways)):
            ways[place] += ways[place - number]
    every = sum(ways)
    return tuple(found / every for found in accumulate(ways))


def _quotients(above: Sequence[float], below: Sequence[float], unknown: float) -> Floats:
    """Every value above ÷ every one below; `unknown` where both are nothing, or never came."""
    over, under = np.array(above, np.float64)[:, None], np.array(below, np.float64)[None, :]
    found = np.full((len(above), len(below)), unknown)
    alike = ((over == 0) & (under == 0)) | (np.isinf(over) & np.isinf(under))
    with np.errstate(divide="ignore", over="ignore"):
        np.divide(over, under, out=found, where=~alike)
    return found.ravel()


def at_the_top(values: Sequence[float], is_open: Sequence[bool]) -> Sequence[float]:
    """The values, infinite where only a lower bound is known."""
    if not is_open:
        return values
    return [inf if bound else value for value, bound in zip(values, is_open, strict=True)]


def _at_the_bottom(values: Sequence[float], is_open: Sequence[bool]) -> list[float]:
    """What is known to be infinite stays so; a bound does not become it."""
    return [
        0.0 if bound else value for value, bound in zip(values, is_open or [False] * len(values), strict=True)
    ]


def _mann_whitney(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """How far U lies from its expectation, and p."""
    ranks = _double_ranks(a, b)
    found, chosen, others = int(ranks[: len(a)].sum()), len(a), len(b)
    off = (found - chosen * (chosen + others + 1)) / 2
    if len(ranks) <= MOST_RANKS:
        ways = _ways(ranks, chosen)
        return off, min(1.0, 2 * float(min(ways[found:].sum(), ways[: found + 1].sum()) / ways.sum()))
    # The variance of midranks, whatever the ties; and half a step, because U is a whole number.
    variance = float(ranks.var(ddof=1)) / 4 * chosen * others / len(ranks)
    return off, erfc(max(0.0, abs(off) - 0.5) / sqrt(2 * variance)) if variance else 1.0


def _double_ranks(a: Sequence[float], b: Sequence[float]) -> Counts:
    """Twice the midrank of each value, which is a whole number; those of `a` first."""
    together = np.array([*a, *b], np.float64)
    ordered = np.sort(together)
    return np.searchsorted(ordered, together) + np.searchsorted(ordered, together, side="right") + 1


def _ways(ranks: Counts, chosen: int) -> Floats:
    """How many choices of so many ranks have the sum 0, 1, 2, …: the shift algorithm of Streitberg and
    Röhmel (1986)."""
    ways = np.zeros((chosen + 1, int(ranks.sum()) + 1))
    ways[0, 0] = 1
    for rank in ranks:
        # From the whole table before this rank: each rank is taken once at the most.
        ways[1:, rank:] += ways[:-1, :-rank].copy()
    every: Floats = ways[-1]
    return every
