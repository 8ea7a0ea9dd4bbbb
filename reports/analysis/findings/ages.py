"""Ages of sessions when they ended: most of them at one age is the mark of a time-out."""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

FEWEST_ENDS = 20
MOST = 0.7
"""Share of all ends that has to be at one age."""
WIDE, WIDE_S = 0.15, 0.1
"""Width of one age: a share of it, and what a busy host adds."""
APART = 3.0
"""Sessions that only began together end together: their ends have to lie further apart than their ages, by
this factor."""
APART_S = 3.0

Ends = Sequence[tuple[float, int]]
"""Age in seconds, and how many sessions ended at it."""


class AgeCluster(Struct, frozen=True, kw_only=True):
    """The age at which most sessions ended."""

    age_s: float
    """Median of those in the cluster."""
    low_s: float
    high_s: float
    ends: int
    share: float
    """Of all ends."""
    spread_out: bool
    """They ended at different moments: not one moment explains them all."""


def age_cluster(by_second: Mapping[int, Ends]) -> AgeCluster | None:
    """The narrow range of ages that holds most ends; None where there are few ends, or no such range.

    by_second: the sessions that ended in each second of the run.
    """
    rows = [(age_s, second, count) for second, ends in by_second.items() for age_s, count in ends]
    if not rows:
        return None
    table = np.array(sorted(rows), np.float64)
    ages, seconds, counts = table[:, 0], table[:, 1], table[:, 2]
    total = float(counts.sum())
    if total < FEWEST_ENDS:
        return None
    before = np.concatenate([[0.0], np.cumsum(counts)])
    ends = np.searchsorted(ages, ages * (1 + WIDE) + WIDE_S, side="right")
    inside = before[ends] - before[:-1]
    first = int(np.argmax(inside))
    if inside[first] < MOST * total:
        return None
    part = slice(first, int(ends[first]))
    low_s, age_s, high_s = _quantiles(ages[part], counts[part])
    order = np.argsort(seconds[part], kind="stable")
    from_s, _, to_s = _quantiles(seconds[part][order], counts[part][order])
    return AgeCluster(
        age_s=age_s,
        low_s=low_s,
        high_s=high_s,
        ends=int(inside[first]),
        share=float(inside[first]) / total,
        spread_out=to_s - from_s >= max(APART_S, APART * (high_s - low_s)),
    )


def _quantiles(values: NDArray[np.float64], counts: NDArray[np.float64]) -> tuple[float, float, float]:
    """5 %, 50 % and 95 % of sorted values."""
    sums = np.cumsum(counts)
    places = np.searchsorted(sums, np.array([0.05, 0.5, 0.95]) * sums[-1])
    low, middle, high = values[np.minimum(places, len(values) - 1)]
    return float(low), float(middle), float(high)
