"""Histograms as they are kept while a run is judged: the filled buckets alone.

An HdrHistogram of a second has 23,552 buckets, of which some dozens are filled; ten minutes of four of them a
second would fill 450 MB.
"""

from typing import Any, Self

import numpy as np
from hdrh.histogram import HdrHistogram
from msgspec import Struct
from numpy.typing import NDArray


class Histogram(HdrHistogram):  # type: ignore[misc] # the library has no types
    """An HdrHistogram that does not walk through its buckets one by one in search of a percentile."""

    def get_value_at_percentile(self, percentile: float) -> int:
        """The highest value that counts as equal to the one at that percentile; 0 where there is none."""
        counted = np.cumsum(np.frombuffer(self.counts, np.int64))
        place = int(np.searchsorted(counted, self.get_target_count_at_percentile(percentile)))
        if place == len(counted):
            return 0
        value = self.get_value_from_index(place)
        bound = self.get_highest_equivalent_value if percentile else self.get_lowest_equivalent_value
        return int(bound(value))

    def record_values(self, values: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        """Counts each of these values so many times."""
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self.record_value(value, count)

    def buckets(self) -> "Buckets":
        """The filled buckets, in order."""
        return Buckets.of(self)


def each_once(keys: NDArray[Any], numbers: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """(keys in order, each once, the sum of the numbers of each), all of shape (n,)."""
    if (keys[1:] > keys[:-1]).all():
        return keys, numbers
    order = np.argsort(keys, kind="stable")
    keys, numbers = keys[order], numbers[order]
    firsts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return keys[firsts], np.add.reduceat(numbers, firsts)


class Buckets(Struct, frozen=True):
    """The filled buckets of an HdrHistogram of `schema.new_histogram`; both arrays are equally long."""

    places: NDArray[np.int32]
    """Indices of the buckets, each once."""
    numbers: NDArray[np.int64]
    """How many values fell into each."""

    @classmethod
    def of(cls, histogram: Any) -> Self:
        """Those of a histogram, which is no longer needed then."""
        counts = np.frombuffer(histogram.counts, np.int64)
        places = np.flatnonzero(counts)
        return cls(places.astype(np.int32), counts[places])

    @classmethod
    def decode(cls, payload: str) -> Self:
        """Those of an encoded histogram, as latency.hlog has it. Raises ValueError."""
        return cls.of(HdrHistogram.decode(payload))

    def __add__(self, other: Self) -> Self:
        """The buckets of both together."""
        if not (len(self.places) and len(other.places)):
            return self if len(self.places) else other
        places = np.concatenate([self.places, other.places])
        return type(self)(*each_once(places, np.concatenate([self.numbers, other.numbers])))

    @property
    def total(self) -> int:
        """How many values there are."""
        return int(self.numbers.sum())


NOTHING = Buckets(np.zeros(0, np.int32), np.zeros(0, np.int64))
"""The buckets of an empty histogram."""
