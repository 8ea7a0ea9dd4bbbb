"""Where a series changes its level: divisive, rank-based and tested by permutation.

The structure is that of E-divisive (Matteson & James 2014) with the two passes of Hunter (Fleming et al.
2023):

1. Divide. Where a change is significant, both sides of its place are divided in the same way. This pass is
   lenient, so that a change cannot hide another one. Where none is significant, the stretch that differs most
   from all the rest is tested: a change may have been taken back (as in circular binary segmentation, Olshen
   et al. 2004).
2. Merge. Each change is searched and tested again, between its neighbours. The weakest one is removed until
   all are significant and large enough: a slope, which was cut into small steps, becomes one large step.

The tests are those of `rank_scan`: they allow for the search over all places.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from msgspec import Struct

from reports.trend.rank_scan import LEAST_SIDE, Values, best_place, best_stretch, change_p

LENIENT = 10.0
"""By what factor the level of the first pass is higher."""
MOST_LENIENT = 0.05
SHARE_OF_STRETCHES = 0.2
"""Of the level, what the test of stretches adds to it."""
MOST_MOVES = 5

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
    alpha /= 1 + SHARE_OF_STRETCHES
    places = _divided(series, 0, len(series), alpha)
    tested: dict[tuple[int, int], float] = {}
    while places:
        places = _moved(series, places)
        edges = [0, *places, len(series)]
        spans = list(zip(edges, places, edges[2:], strict=False))
        for start, _, end in spans:
            if (start, end) not in tested:
                tested[start, end] = change_p(series[start:end])
        p_values = [tested[start, end] for start, _, end in spans]
        sizes = [size(values[start:at], values[at:end]) for start, at, end in spans]
        if max(p_values) > alpha:
            del places[int(np.argmax(p_values))]
        elif min(sizes) < 1:
            del places[int(np.argmin(sizes))]
        else:
            return tuple(Cut(at, p) for at, p in zip(places, p_values, strict=True))
    return ()


def _divided(series: Values, start: int, end: int, alpha: float) -> list[int]:
    length = end - start
    if length < 2 * LEAST_SIDE:
        return []
    part = series[start:end]
    found: tuple[int, ...] = ()
    if change_p(part) <= max(alpha, min(LENIENT * alpha, MOST_LENIENT)):
        found = (best_place(part),)
    elif length >= 3 * LEAST_SIDE:
        first, after, p = best_stretch(part)
        found = (first, after) if p <= alpha * SHARE_OF_STRETCHES else ()
    if not found:
        return []
    edges = [start, *(start + one for one in found), end]
    divided = [_divided(series, a, b, alpha) for a, b in pairwise(edges)]
    return [
        *divided[0],
        *(place for a, part in zip(edges[1:], divided[1:], strict=False) for place in (a, *part)),
    ]


def _moved(series: Values, places: list[int]) -> list[int]:
    """Each place moved to where the level between its neighbours changes.

    The first pass looked for it in a longer part, in which there are other changes."""
    for _ in range(MOST_MOVES):
        edges = [0, *places, len(series)]
        for index in range(1, len(edges) - 1):
            start, end = edges[index - 1], edges[index + 1]
            edges[index] = start + best_place(series[start:end])
        if edges[1:-1] == places:
            break
        places = edges[1:-1]
    return places
