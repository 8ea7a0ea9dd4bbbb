"""Known values of the self-test, and the comparison with what was measured.

Everything here is arithmetic: how long a client was disconnected, how many attempts a leaky bucket refuses,
how old a tick becomes while the feed stalls. The measured values come from a run directory, which `checks.py`
reads.
"""

import math
import random
from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import Any, Literal

from msgspec import Struct

from scenarios.limits.leaky_bucket import BucketRule, LeakyBucket, decide

ALLOWED = 0.02
"""Error of a reading, as a share of what is known."""

STALE_S = 1.0
"""From this age on the newest tick counts as stale."""

Unit = Literal["ms", "clients", "attempts", "handshakes", "ticks", "client-s", "CPU-s"]


class Reading(Struct, frozen=True, kw_only=True):
    """One figure that is known beforehand, and what the measurement says it is."""

    check: str
    what: str
    unit: Unit
    known: float
    """Above 0."""
    found: float | None
    """None where the measurement has no such figure."""

    @property
    def error(self) -> float | None:
        """How far the measurement is off, as a share of what is known; None where it says nothing."""
        return None if self.found is None else self.found / self.known - 1

    @property
    def good(self) -> bool:
        """Whether that is within what is allowed."""
        return self.error is not None and abs(self.error) <= ALLOWED


def all_good(readings: Sequence[Reading]) -> bool:
    """Whether there are readings, and each of them is within what is allowed."""
    return bool(readings) and all(reading.good for reading in readings)


def as_dicts(readings: Iterable[Reading]) -> list[dict[str, Any]]:
    """The readings as JSON has them: with their errors, and whether they are allowed."""
    return [
        {
            "check": reading.check,
            "what": reading.what,
            "unit": reading.unit,
            "known": reading.known,
            "found": reading.found,
            "error": reading.error,
            "allowed": ALLOWED,
            "good": reading.good,
        }
        for reading in readings
    ]


def injected_delays_ns(count: int, *, median_ms: float, spread: float, rng: random.Random) -> list[int]:
    """Log-normal delays, evenly spaced quantiles in a random order; spread: of their natural logarithm."""
    scores = (NormalDist().inv_cdf((k + 0.5) / count) for k in range(count))
    delays = [round(median_ms * 1e6 * math.exp(spread * score)) for score in scores]
    rng.shuffle(delays)
    return delays


def percentile(percent: float, values: Iterable[float]) -> float:
    """The value at the rank that HdrHistogram takes, of at least one value."""
    ordered = sorted(values)
    rank = min(len(ordered), max(1, int(percent / 100 * len(ordered) + 0.5)))
    return ordered[rank - 1]


def refused_attempts(rule: BucketRule, *, clients: int, attempts: int, every_ms: int) -> int:
    """Refusals where so many clients behind one address try at the same moments until they are let in.

    The bucket is empty at first, and a client that was refused `attempts` times gives up.
    """
    bucket, outside, refused = LeakyBucket(), clients, 0
    for number in range(attempts):
        asking, outside = outside, 0
        for _ in range(asking):
            decision, (after,) = decide([rule], [bucket], number * every_ms)
            bucket = after or bucket
            outside += decision.refused_by is not None
        refused += outside
    return refused


class Absence(Struct, frozen=True, kw_only=True):
    """Clients that lose their connection at one moment and come back so long after it.

    Where in the feed's period each of them comes back is even chance, so that it waits half a period for its
    first tick, on average.
    """

    clients: int
    away_s: float
    period_s: float
    """Of the feed."""

    @property
    def lost_client_s(self) -> float:
        """Client-seconds without a useful connection."""
        return self.clients * (self.away_s + self.period_s / 2)

    @property
    def missed(self) -> float:
        """Ticks that were due meanwhile."""
        return self.clients * self.away_s / self.period_s

    @property
    def late(self) -> float:
        """Of these, the ones that were due a second or more before the tick that came in their place."""
        return max(0.0, self.missed - self.clients * (math.ceil(STALE_S / self.period_s) - 1))

    @property
    def stale_client_s(self) -> float:
        """Client-seconds with a stale newest tick; it was half a period old when the connection went."""
        return self.clients * max(0.0, self.away_s + self.period_s - STALE_S)


class Sawtooth(Struct, frozen=True, kw_only=True):
    """The age of everybody's newest tick where the feed goes on, but for one stall.

    It grows by a second a second, from `held_s` at the start of the stall on; the feed's own period is short
    beside the ages that are asked for.
    """

    clients: int
    stall_s: float
    held_s: float
    """Age of the newest tick when the stall began."""

    @property
    def highest_s(self) -> float:
        """Just before the feed goes on."""
        return self.held_s + self.stall_s

    @property
    def stale_client_s(self) -> float:
        """Client-seconds with a stale newest tick."""
        return self.clients * max(0.0, self.highest_s - STALE_S)

    def percentile_s(self, percent: float, window_s: float) -> float:
        """The age that so many per cent of a stretch of time around the stall stay below.

        Holds where that falls into the stall: a share of 1 − percent/100 of the time is above it.
        """
        return self.highest_s - (1 - percent / 100) * window_s


def burned_s(used_s: float, *, idle_share: float, span_s: float, burn_s: float) -> float:
    """What was burned, of all the CPU-seconds that a process used within a span.

    While it burns it does nothing else; the rest of the span it uses CPU as it did before.
    """
    return used_s - idle_share * max(0.0, span_s - burn_s)
