"""Histograms as OpenTelemetry's exponential ones.

Bucket i of scale s has the values in (b^i, b^(i+1)] with b = 2^(2^-s).
Source: OpenTelemetry metrics data model, “ExponentialHistogram”.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from reports.rundir.histograms import Buckets
from reports.rundir.latency import highest_us, lowest_us

MOST_BUCKETS = 160
"""As many as OpenTelemetry's own programs have unless told otherwise."""
HIGHEST_SCALE = 10
"""Its buckets are 0.07 % wide, as narrow as those of the HdrHistogram."""


class Exponential(Struct, frozen=True, kw_only=True):
    """An exponential histogram of seconds."""

    count: int
    sum_s: float
    min_s: float
    max_s: float
    scale: int
    zeros: int
    """Values of 0."""
    offset: int
    """Index of the first of `counts`."""
    counts: tuple[int, ...]


def exponential(buckets: Buckets) -> Exponential:
    """The same values in exponential buckets; each counts as the middle of its HdrHistogram bucket.

    buckets: filled ones, at least one. The scale is the highest with which `MOST_BUCKETS` are enough.
    """
    middle_s = (lowest_us(buckets.places) + highest_us(buckets.places)) / 2e6
    positive = middle_s > 0
    values_s, numbers = middle_s[positive], buckets.numbers[positive]
    scale = HIGHEST_SCALE
    places = _places(values_s, scale)
    while len(places) and places[-1] - places[0] >= MOST_BUCKETS:
        scale -= 1
        places = _places(values_s, scale)
    offset = int(places[0]) if len(places) else 0
    counts = np.zeros(int(places[-1]) - offset + 1 if len(places) else 0, np.int64)
    np.add.at(counts, places - offset, numbers)
    return Exponential(
        count=buckets.total,
        sum_s=float(middle_s @ buckets.numbers),
        min_s=float(middle_s[0]),
        max_s=float(middle_s[-1]),
        scale=scale,
        zeros=int(buckets.numbers[~positive].sum()),
        offset=offset,
        counts=tuple(counts.tolist()),
    )


def _places(values_s: NDArray[np.float64], scale: int) -> NDArray[np.int64]:
    """The bucket of each positive value; in order, as the values are."""
    return (np.ceil(np.log2(values_s) * 2.0**scale) - 1).astype(np.int64)
