"""Where a series changes its level: divisive, rank-based and tested by permutation.

The structure is that of E-divisive (Matteson & James 2014) with the two passes of Hunter (Fleming et al.
2023):

1. Divide. The place at which the ranks on both sides differ most is tested; where it is significant, both
   sides are divided in the same way. This pass is lenient, so that a change cannot hide another one. Where
   no place is significant, the stretch that differs most from all the rest is tested: a change may have been
   taken back (as in circular binary segmentation, Olshen et al. 2004).
2. Merge. Each place is searched and tested again, between its neighbours. The weakest one is removed until
   all are significant and large enough: a slope, which was cut into small steps, becomes one large step.

The statistic is that of ranks, not of distances: of values before a place and after it, the difference of
the mean ranks divided by its standard deviation (Mann & Whitney; over all places, Pettitt 1979). So a value
that never came, which is infinite, has its rank above all others, and one wild value weighs no more than
any other.

p is the share of random orders of the same values whose largest statistic, over all places, is at least as
high as that of the tested place. So it allows for the search, needs no distribution, and is right for few
values and for ties. Permutations are drawn from a fixed seed: the same series has the same change points
every time.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

LEAST_SIDE = 3
"""Values that a level needs: one or two wild ones are no change."""
LENIENT = 10.0
"""By what factor the level of the first pass is higher."""
MOST_LENIENT = 0.05
SHARE_OF_STRETCHES = 0.2
"""Of the level, what the test of stretches adds to it."""
MOST_MOVES = 5
PERMUTATIONS, BATCH = 10_000, 1_000
ENOUGH_ABOVE = 50
"""Where so many random orders reach the statistic, p is known well enough (Besag & Clifford 1991)."""

Places = NDArray[np.intp]
Size = Callable[[Sequence[float], Sequence[float]], float]
"""The difference of the values before a place and after it, as a multiple of the smallest one that counts."""


class Cut(Struct, frozen=True):
    """A change of the level."""

    at: int
    """The first value of the new level."""
    p: float


def cuts(values: Sequence[float], alpha: float, size: Size) -> tuple[Cut, ...]:
    """Where the level changes, in order. `alpha`: how often a series without any change may have one."""
    series = np.asarray(values, np.float64)
    places = _divided(series, 0, len(series), alpha)
    tested: dict[tuple[int, int, int], float] = {}
    while places:
        places = _moved(series, places)
        edges = [0, *places, len(series)]
        spans = list(zip(edges, places, edges[2:], strict=False))
        for start, at, end in spans:
            if (start, at, end) not in tested:
                tested[start, at, end] = _p(series[start:end], at - start)
        p_values = [tested[span] for span in spans]
        sizes = [size(values[start:at], values[at:end]) for start, at, end in spans]
        if max(p_values) > alpha:
            del places[int(np.argmax(p_values))]
        elif min(sizes) < 1:
            del places[int(np.argmin(sizes))]
        else:
            return tuple(Cut(at, p) for at, p in zip(places, p_values, strict=True))
    return ()


def _divided(series: NDArray[np.float64], start: int, end: int, alpha: float) -> list[int]:
    length = end - start
    if length < 2 * LEAST_SIDE:
        return []
    part = series[start:end]
    place = LEAST_SIDE + int(np.argmax(_statistics(_ranks(part))))
    found: tuple[int, ...] = ()
    if _p(part, place) <= max(alpha, min(LENIENT * alpha, MOST_LENIENT)):
        found = (place,)
    elif length >= 3 * LEAST_SIDE:
        starts, ends = _stretches(length)
        best = int(np.argmax(_stretch_statistics(_ranks(part), starts, ends)))
        if _stretch_p(part, starts, ends) <= alpha * SHARE_OF_STRETCHES:
            found = int(starts[best]), int(ends[best])
    if not found:
        return []
    edges = [start, *(start + one for one in found), end]
    divided = [_divided(series, a, b, alpha) for a, b in pairwise(edges)]
    return [
        *divided[0],
        *(place for a, part in zip(edges[1:], divided[1:], strict=False) for place in (a, *part)),
    ]


def _moved(series: NDArray[np.float64], places: list[int]) -> list[int]:
    """Each place moved to where the ranks between its neighbours differ most.

    The first pass looked for it in a longer part, in which there are other changes."""
    for _ in range(MOST_MOVES):
        edges = [0, *places, len(series)]
        for index in range(1, len(edges) - 1):
            start, end = edges[index - 1], edges[index + 1]
            edges[index] = start + LEAST_SIDE + int(np.argmax(_statistics(_ranks(series[start:end]))))
        if edges[1:-1] == places:
            break
        places = edges[1:-1]
    return places


def _ranks(part: NDArray[np.float64]) -> NDArray[np.float64]:
    """Twice the midrank of each value, less their mean."""
    ordered = np.sort(part)
    twice = np.searchsorted(ordered, part) + np.searchsorted(ordered, part, side="right") + 1
    return np.asarray(twice - (len(part) + 1), np.float64)


def _statistics(ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each place from `LEAST_SIDE` on: how far the ranks before it are from their expectation.

    In standard deviations, but for a factor that depends on the ranks alone, and so is the same in every
    order of them. `ranks` may be a table with one order a row.
    """
    length = ranks.shape[-1]
    before = np.arange(LEAST_SIDE, length - LEAST_SIDE + 1)
    sums = np.cumsum(ranks, axis=-1)[..., before - 1]
    found: NDArray[np.float64] = np.abs(sums) / np.sqrt(before * (length - before))
    return found


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


def _stretch_statistics(ranks: NDArray[np.float64], starts: Places, ends: Places) -> NDArray[np.float64]:
    """As `_statistics`, of the ranks in each stretch."""
    sums, widths = np.cumsum(ranks, axis=-1), ends - starts
    inside = sums[..., ends - 1] - sums[..., starts - 1]
    found: NDArray[np.float64] = np.abs(inside) / np.sqrt(widths * (ranks.shape[-1] - widths))
    return found


def _p(part: NDArray[np.float64], place: int) -> float:
    """Of this place, among all places."""
    ranks = _ranks(part)
    return _share_above(ranks, float(_statistics(ranks)[place - LEAST_SIDE]), _statistics)


def _stretch_p(part: NDArray[np.float64], starts: Places, ends: Places) -> float:
    """Of the stretch that differs most."""
    ranks = _ranks(part)
    statistics = partial(_stretch_statistics, starts=starts, ends=ends)
    return _share_above(ranks, float(statistics(ranks).max()), statistics)


def _share_above(
    ranks: NDArray[np.float64],
    reached: float,
    statistics: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> float:
    """The share of random orders of which the largest statistic reaches this."""
    if not ranks.any():
        return 1.0
    # Sums of whole numbers are exact; only the root is not.
    least = reached * (1 - 1e-9)
    rng: Any = np.random.default_rng(len(ranks))
    above, drawn = 0, 0
    while drawn < PERMUTATIONS and above < ENOUGH_ABOVE:
        orders = rng.permuted(np.tile(ranks, (BATCH, 1)), axis=1)
        above += int((statistics(orders).max(axis=1) >= least).sum())
        drawn += BATCH
    # The order that was found is one of them (Phipson & Smyth 2010).
    return (1 + above) / (1 + drawn)
