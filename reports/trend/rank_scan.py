"""Does the level of a series change once, and where?

- Whether: the statistic of a place is the improbability of the sum of the ranks before it, were it the only
  place (Mann & Whitney; over all places, Pettitt 1979). For sides of a few values it has the exact
  distribution, because the normal one has far too much weight at their extremes. p is the share of random
  orders of the same values in which some place has a statistic at least as high as the highest one. So p
  allows for the search, needs no distribution, and is right for few values and for ties. A value that never
  came, which is infinite, has its rank above all others; one wild value weighs no more than any other.
- Where: the place at which the values are nearest to the medians on both sides, by the sum of their
  distances. Ranks alone cannot tell a place near an end from its neighbour.

Permutations are drawn from a fixed seed: the same series has the same p every time.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from math import comb, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_SIDE = 3
"""Values that a level needs: one or two wild ones are no change."""
MOST_EXACT = 8
"""Values of a side up to which its distribution is exact."""
PERMUTATIONS, BATCH = 10_000, 250
ENOUGH_ABOVE = 50
"""Where so many random orders reach the statistic, p is known well enough (Besag & Clifford 1991)."""

Values = NDArray[np.float64]
Places = NDArray[np.intp]


def best_place(part: Values) -> int:
    """Where the level changes, if it changes once; `part` has at least twice `LEAST_SIDE` values."""
    finite = part[np.isfinite(part)]
    # What never came is above all others by as much as they differ.
    top = 2 * finite.max() - finite.min() + 1 if len(finite) else 0.0
    values = np.where(np.isfinite(part), part, top)
    before, sums = _before(_ranks(part))
    left_over = np.array([_deviations(values[:place]) + _deviations(values[place:]) for place in before])
    best = left_over <= left_over.min() * (1 + 1e-9)
    return LEAST_SIDE + int(np.argmax(np.where(best, _distances(sums, before, len(part)), -1.0)))


def change_p(part: Values) -> float:
    """How often values without a change look as if they changed as clearly, at any place."""
    ranks = _ranks(part)
    return _share_above(ranks, float(_at_places(ranks).max()), _at_places)


def best_stretch(part: Values) -> tuple[int, int, float]:
    """The first place of the stretch that differs most from all the rest, the place after it, and its p.

    `part` has at least three times `LEAST_SIDE` values."""
    ranks = _ranks(part)
    starts, ends = _stretches(len(part))
    best = int(np.argmax(_distances(_inside(ranks, starts, ends), ends - starts, len(part))))
    statistics = partial(_of_stretches, starts=starts, ends=ends)
    p = _share_above(ranks, float(statistics(ranks)[best]), statistics)
    return int(starts[best]), int(ends[best]), p


def _deviations(values: Values) -> float:
    """The sum of the distances from the median."""
    return float(np.abs(values - np.median(values)).sum())


def _ranks(part: Values) -> Values:
    """Twice the midrank of each value, less their mean: whole numbers."""
    ordered = np.sort(part)
    twice = np.searchsorted(ordered, part) + np.searchsorted(ordered, part, side="right") + 1
    return np.asarray(twice - (len(part) + 1), np.float64)


def _at_places(ranks: Values) -> Values:
    """The statistic of each place from `LEAST_SIDE` on; `ranks` may be a table with one order a row."""
    before, sums = _before(ranks)
    return _surprise(sums, before, ranks)


def _of_stretches(ranks: Values, starts: Places, ends: Places) -> Values:
    """The statistic of each stretch."""
    return _surprise(_inside(ranks, starts, ends), ends - starts, ranks)


def _before(ranks: Values) -> tuple[Places, Values]:
    """Places, and the sums of the ranks before them."""
    before = np.arange(LEAST_SIDE, ranks.shape[-1] - LEAST_SIDE + 1)
    return before, np.cumsum(ranks, axis=-1)[..., before - 1]


def _inside(ranks: Values, starts: Places, ends: Places) -> Values:
    """The sums of the ranks in stretches."""
    sums = np.cumsum(ranks, axis=-1)
    return np.asarray(sums[..., ends - 1] - sums[..., starts - 1], np.float64)


def _distances(sums: Values, widths: Places, length: int) -> Values:
    """In standard deviations, but for a factor that is the same in every order of the ranks."""
    return np.asarray(np.abs(sums) / np.sqrt(widths * (length - widths)), np.float64)


def _stretches(length: int) -> tuple[Places, Places]:
    """First places, and places after the last, of stretches inside so many values.

    Of every width there would be too many: each is a quarter wider than the one before, or by one."""
    widths, width = [], LEAST_SIDE
    while width <= length - 2 * LEAST_SIDE:
        widths.append(width)
        width = max(width + 1, width * 5 // 4)
    pairs = [
        (first, first + width)
        for width in widths
        for first in range(LEAST_SIDE, length - LEAST_SIDE - width + 1)
    ]
    table = np.array(pairs, np.intp).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _surprise(sums: Values, widths: Places, ranks: Values) -> Values:
    """-log p of sums of so many ranks, each as if it were the only one that is looked at."""
    length = ranks.shape[-1]
    squares = float(np.square(ranks.reshape(-1, length)[0]).sum())
    if not squares:
        return np.zeros_like(sums)
    high = np.abs(sums)
    z = _distances(sums, widths, length) / sqrt(squares / (length * (length - 1)))
    # The tail of the normal distribution: φ(z) · 4 ÷ (3 z + √(z² + 8)) is within 1 % of it where it matters.
    found = np.asarray(z**2 / 2 + np.log(sqrt(2 * pi) / 8 * (3 * z + np.sqrt(z**2 + 8))), np.float64)
    short = np.minimum(widths, length - widths)
    for count in range(LEAST_SIDE, min(MOST_EXACT, int(short.max())) + 1):
        columns = short == count
        tail = _exact_tail(count, length)
        places = ((high[..., columns] + count * (length - 1)) / 2).astype(np.intp)
        found[..., columns] = tail[np.minimum(places, len(tail) - 1)]
    return found


@lru_cache(maxsize=512)
def _exact_tail(count: int, length: int) -> Values:
    """By the sum of `count` of the ranks below `length`: -log p of one as far from the middle or farther."""
    ways = np.zeros((count + 1, count * length))
    ways[0, 0] = 1
    for rank in range(length):
        ways[1:, rank:] += ways[:-1, : count * length - rank].copy()
    above = np.cumsum(ways[count][::-1])[::-1]
    most = count * (2 * length - count - 1) // 2
    shares = np.minimum(1.0, 2 * above[: most + 1] / comb(length, count))
    return np.asarray(-np.log(shares), np.float64)


def _share_above(ranks: Values, reached: float, statistics: Callable[[Values], Values]) -> float:
    """The share of random orders of which the largest statistic reaches this."""
    if not ranks.any():
        return 1.0
    # The same sum has the same statistic, but for rounding.
    least = reached - 1e-9
    rng: Any = np.random.default_rng(len(ranks))
    above, drawn = 0, 0
    while drawn < PERMUTATIONS and above < ENOUGH_ABOVE:
        orders = rng.permuted(np.tile(ranks, (BATCH, 1)), axis=1)
        above += int((statistics(orders).max(axis=1) >= least).sum())
        drawn += BATCH
    # The order that was found is one of them (Phipson & Smyth 2010).
    return (1 + above) / (1 + drawn)
