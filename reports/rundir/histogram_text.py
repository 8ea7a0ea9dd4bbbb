"""Filled buckets in the format of latency.hlog, without the 23,552 counters of a whole HdrHistogram.

Source: HdrHistogram/HdrHistogram, src/main/java/org/HdrHistogram, the V2 format of AbstractHistogram.java and
ZigZagEncoding.java, as of 2.2.
"""

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from reports.rundir.histograms import Buckets
from reports.rundir.schema import HIGHEST_US, SIGNIFICANT_DIGITS

_COMPRESSED, _PLAIN = 0x1C849314, 0x1C849313
_OUTER, _INNER = struct.Struct(">II"), struct.Struct(">IIIIQQd")
_LOWEST_US = 1
_BYTES = np.arange(9, dtype=np.uint64)
"""Of a number: seven bits each, lowest first, and eight in the last one."""
_BITS = np.where(_BYTES < 8, 0x7F, 0xFF).astype(np.uint64)
_GOES_ON = np.uint64(0x80)


def encoded(buckets: Buckets) -> bytes:
    """The text of a histogram of `schema.new_histogram` with these buckets."""
    numbers = packed(_counts(buckets))
    head = _INNER.pack(_PLAIN, len(numbers), 0, SIGNIFICANT_DIGITS, _LOWEST_US, HIGHEST_US, 1.0)
    payload = zlib.compress(head + numbers)
    return base64.b64encode(_OUTER.pack(_COMPRESSED, len(payload)) + payload)


def _counts(buckets: Buckets) -> NDArray[np.int64]:
    """The counts up to the last one that is not 0; those of 0 as how many they are, below 0."""
    counts = np.empty(2 * len(buckets.places), np.int64)
    counts[0::2] = 1 + np.concatenate(([-1], buckets.places[:-1])) - buckets.places
    counts[1::2] = buckets.numbers
    some: NDArray[np.int64] = counts[counts != 0]
    return some


def packed(numbers: NDArray[np.int64]) -> bytes:
    """Whole numbers in seven bits a byte, lowest first; those below 0 lie between the others."""
    whole = ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)[:, None]
    longest = min(len(_BYTES), 1 + int(whole.max(initial=0)).bit_length() // 7)
    left = whole >> (7 * _BYTES[:longest])
    in_use = left > 0
    in_use[:, 0] = True
    found = left & _BITS[:longest]
    found[:, :-1][in_use[:, 1:]] |= _GOES_ON
    return found[in_use].astype(np.uint8).tobytes()
