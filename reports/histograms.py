"""Histograms as they are kept while a run is judged: the filled buckets alone.

An HdrHistogram of a second has 23,552 buckets, of which some dozens are filled; ten minutes of four of them a
second would fill 450 MB.
"""

from typing import Any, Self

import numpy as np
from hdrh.histogram import HdrHistogram
from msgspec import Struct
from numpy.typing import NDArray


class Buckets(Struct, frozen=True):
    """The filled buckets of an HdrHistogram of `record.new_histogram`; both arrays are equally long."""

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
        places, inverse = np.unique(np.concatenate([self.places, other.places]), return_inverse=True)
        numbers = np.zeros(len(places), np.int64)
        np.add.at(numbers, inverse, np.concatenate([self.numbers, other.numbers]))
        return type(self)(places, numbers)

    @property
    def total(self) -> int:
        """How many values there are."""
        return int(self.numbers.sum())
