"""Percentiles of histograms, with what is only known to have taken longer than it was watched.

Everything works on arrays of counts, one count per bucket of the histograms of `schema.new_histogram`:
adding histograms is adding arrays, and a percentile is one pass over one array.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from reports.rundir.histograms import Buckets
from reports.rundir.reader import Run
from reports.rundir.schema import new_histogram

Counts = NDArray[np.int64]
"""How many values fell into each bucket."""


class Latency(Struct, frozen=True):
    """A latency in milliseconds; with `at_least`, only a lower bound of it is known."""

    ms: float
    at_least: bool = False


def _layout() -> NDArray[np.int64]:
    """The highest value of each bucket in microseconds, by HdrHistogram's own layout."""
    layout = new_histogram()
    half, magnitude = layout.sub_bucket_half_count, layout.sub_bucket_half_count_magnitude
    index = np.arange(layout.counts_len)
    bucket = np.maximum((index >> magnitude) - 1, 0)
    sub_bucket = np.where(index < half, index, (index & (half - 1)) + half)
    highest: NDArray[np.int64] = ((sub_bucket + 1) << bucket) - 1
    return highest


_HIGHEST_US = _layout()


def highest_us(places: NDArray[np.int32]) -> NDArray[np.int64]:
    """The highest value of each of these buckets, in microseconds."""
    return _HIGHEST_US[places]


def lowest_us(places: NDArray[np.int32]) -> NDArray[np.int64]:
    """The lowest value of each of these buckets, in microseconds."""
    return np.where(places > 0, _HIGHEST_US[places - 1] + 1, 0)


def places_of(values_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """The bucket of each value of microseconds; what is too large goes into the last one."""
    places: NDArray[np.int64] = np.searchsorted(_HIGHEST_US, values_us)
    return np.minimum(places, len(_HIGHEST_US) - 1)


IN_TIME_US = 1_000_000
"""A tick whose effective latency is below this is in time."""
LATE_FROM_US = int(lowest_us(places_of(np.array([IN_TIME_US])).astype(np.int32))[0])
"""The lowest latency that counts as late: the bucket that reaches `IN_TIME_US` does so as a whole."""


def no_counts() -> Counts:
    """The counts of an empty histogram."""
    return np.zeros(len(_HIGHEST_US), np.int64)


def total(histograms: Iterable[Buckets]) -> Counts:
    """The counts of the sum of histograms."""
    result = no_counts()
    for histogram in histograms:
        result[histogram.places] += histogram.numbers
    return result


def percentile(percent: float, known: Counts, censored: Counts | None = None) -> Latency | None:
    """The percentile of all values together; None where there are none.

    `censored` counts values of which only a lower bound is known. They count as their bounds, so the result
    is a lower bound, too; it is exact where it would be the same if each of them were infinite, as it is
    wherever it lies below the smallest bound.
    """
    together = known if censored is None else known + censored
    values = int(together.sum())
    if not values:
        return None
    # The rank that HdrHistogram itself would take.
    rank = max(1, int(values * percent / 100 + 0.5))
    low_us = _value_at(rank, together)
    high_us = low_us if censored is None else _value_at(rank, known)
    return Latency(ms=low_us / 1000, at_least=high_us > low_us)


def percentile_of(percent: float, known: Buckets, censored: Buckets) -> Latency | None:
    """The same of the filled buckets alone: of a second they are few."""
    together = known + censored if len(censored.places) else known
    values = together.total
    if not values:
        return None
    rank = max(1, int(values * percent / 100 + 0.5))
    low_us = _value_in(rank, together)
    high_us = low_us if together is known else _value_in(rank, known)
    return Latency(ms=low_us / 1000, at_least=high_us > low_us)


def between(histograms: Mapping[int, Buckets], from_s: int, to_s: int) -> Counts:
    """The counts of all seconds in [from_s, to_s)."""
    return total(histogram for second, histogram in histograms.items() if from_s <= second < to_s)


def effective(
    run: Run, from_s: int, to_s: int, percent: float, *, group: int | None = None
) -> Latency | None:
    """A percentile of effective latency over the ticks due in [from_s, to_s); group: of its clients alone."""
    found = run.histograms if group is None else run.group_histograms.get(group, {})
    known, censored = found.get("effective", {}), found.get("censored", {})
    return percentile(percent, between(known, from_s, to_s), between(censored, from_s, to_s))


def effective_windows(
    run: Run, from_s: int, to_s: int, length_s: int, percent: float
) -> Iterator[Latency | None]:
    """The same for every window of `length_s` seconds within [from_s, to_s), by its start."""
    tags = [run.histograms.get("effective", {}), run.histograms.get("censored", {})]
    sums = [between(tag, from_s, from_s + length_s) for tag in tags]
    for start in range(from_s, to_s - length_s + 1):
        yield percentile(percent, *sums)
        for tag, window in zip(tags, sums, strict=True):
            if start in tag:
                window[tag[start].places] -= tag[start].numbers
            if start + length_s in tag:
                window[tag[start + length_s].places] += tag[start + length_s].numbers


def _value_at(rank: int, values: Counts) -> float:
    cumulated = np.cumsum(values)
    if cumulated[-1] < rank:
        return float("inf")
    return float(_HIGHEST_US[np.searchsorted(cumulated, rank)])


def _value_in(rank: int, buckets: Buckets) -> float:
    place = int(np.searchsorted(np.cumsum(buckets.numbers), rank))
    return float(_HIGHEST_US[buckets.places[place]]) if place < len(buckets.places) else float("inf")
