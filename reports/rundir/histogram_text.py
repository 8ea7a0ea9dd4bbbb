"""Filled buckets in the format of latency.hlog, without the 23,552 counters of a whole HdrHistogram.

Source: HdrHistogram/HdrHistogram, src/main/java/org/HdrHistogram, the V2 format of AbstractHistogram.java and
ZigZagEncoding.java, as of 2.2.
"""

import base64
import struct
import zlib
from collections.abc import Iterator

from reports.rundir.histograms import Buckets
from reports.rundir.schema import HIGHEST_US, SIGNIFICANT_DIGITS

_COMPRESSED, _PLAIN = 0x1C849314, 0x1C849313
_OUTER, _INNER = struct.Struct(">II"), struct.Struct(">IIIIQQd")
_LOWEST_US = 1
_LONGEST = 9
"""Bytes of a number; the last one has eight bits of it."""


def encoded(buckets: Buckets) -> bytes:
    """The text of a histogram of `schema.new_histogram` with these buckets."""
    numbers = b"".join(map(_number, _counts(buckets)))
    head = _INNER.pack(_PLAIN, len(numbers), 0, SIGNIFICANT_DIGITS, _LOWEST_US, HIGHEST_US, 1.0)
    payload = zlib.compress(head + numbers)
    return base64.b64encode(_OUTER.pack(_COMPRESSED, len(payload)) + payload)


def _counts(buckets: Buckets) -> Iterator[int]:
    """The counts up to the last one that is not 0; those of 0 as how many they are, below 0."""
    after = 0
    for place, number in zip(buckets.places.tolist(), buckets.numbers.tolist(), strict=True):
        empty = place - after
        if empty:
            yield -empty
        yield number
        after = place + 1


def _number(value: int) -> bytes:
    """A whole number in seven bits a byte, lowest first; those below 0 lie between the others."""
    left = value << 1 if value >= 0 else (-value << 1) - 1
    if left < 0x80:
        return bytes((left,))
    found = bytearray()
    while left >= 0x80 and len(found) < _LONGEST - 1:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    found.append(left)
    return bytes(found)
