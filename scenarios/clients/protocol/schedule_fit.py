"""Fits a schedule to the numbers and stamps of ticks: tick k is due at a + b·k.

A stamp is the due time plus the lateness of whoever sent the tick, so the line follows the earliest stamps.
Its slope is the median of many slopes, which a quarter of late stamps does not move; its height is a low
percentile of what the stamps are above it.
"""

from typing import Any

import numpy as np
from msgspec import Struct

FEWEST = 20
"""Ticks that a fit needs."""
SHORTEST_NS = 3_000_000_000
"""Time between the first and the last of them."""
MOST_KEPT = 4_096
LOWEST, HIGHEST = 5, 95
"""Percentiles of the lateness: the line is at the one, and the spread reaches to the other."""
UNSTEADY = 0.25
"""Share of a period from which on the typical distance from the line says that it is none."""
_STEPS = 16
_SAME_RATE_ERRORS = 2.0
# Standard error of the slope of n evenly spaced values is sqrt(12) · deviation / n^1.5; that of the median of
# slopes is about 1.25 times as much. A normal distribution has 1.35 deviations between its quartiles.
_SLOPE_ERROR = 1.25 * 12**0.5
_QUARTILES = 1.35


class Fit(Struct, frozen=True):
    """A line through the due times of ticks."""

    first_seq: int
    first_due_ns: int
    period_ns: float
    spread_ns: int
    """Between a low and a high percentile of the lateness of the stamps."""
    ticks: int
    """How many it was fitted to."""

    def due_ns(self, seq: int) -> int:
        """When the tick of that number is due."""
        # Only what is relative is multiplied: nanoseconds since boot have more digits than a float.
        return self.first_due_ns + round((seq - self.first_seq) * self.period_ns)

    @property
    def rate_hz(self) -> float:
        """Ticks per second."""
        return 1e9 / self.period_ns


def fit(seqs: Any, stamps_ns: Any, rate_hz: float) -> Fit | None:
    """The schedule behind these ticks; None where they are too few, or too unsteady to have one.

    seqs, stamps_ns: int64 arrays of the same length, seqs ascending and without doubles. rate_hz: the rate
    that is expected. Where the stamps cannot tell theirs from it, it is taken: it has no error that grows
    with time.
    """
    seqs, stamps_ns = np.asarray(seqs, np.int64), np.asarray(stamps_ns, np.int64)
    if len(seqs) < FEWEST or stamps_ns[-1] - stamps_ns[0] < SHORTEST_NS:
        return None
    first_seq, first_ns = int(seqs[0]), int(stamps_ns[0])
    x, y = (seqs - first_seq).astype(np.float64), (stamps_ns - first_ns).astype(np.float64)
    # Far apart, and differently far: stamps that are cut to milliseconds repeat a pattern.
    steps = np.unique(np.linspace(len(x) // 4, 3 * len(x) // 4, _STEPS, dtype=np.int64))
    slopes = [(y[step:] - y[:-step]) / (x[step:] - x[:-step]) for step in steps]
    period = float(np.median(np.concatenate(slopes)))
    if period <= 0:
        return None
    expected = 1e9 / rate_hz
    if abs(period - expected) <= _SAME_RATE_ERRORS * _slope_error(x, y - period * x):
        period = expected
    lateness = y - period * x
    low, quarter, most, high = np.percentile(lateness, [LOWEST, 25, 75, HIGHEST])
    if most - quarter > UNSTEADY * period:
        return None
    return Fit(first_seq, first_ns + round(low), period, round(high - low), len(seqs))


def _slope_error(x: Any, residuals: Any) -> float:
    quarter, most = np.percentile(residuals, [25, 75])
    mean_step = x[-1] / (len(x) - 1)
    return float(_SLOPE_ERROR * (most - quarter) / _QUARTILES / len(x) ** 1.5 / mean_step)


class Fitter:
    """Collects the ticks of one numbering, and fits them each time that there are twice as many."""

    def __init__(self, rate_hz: float) -> None:
        self.fit: Fit | None = None
        self.ticks = 0
        """How many it has taken."""
        self._rate_hz = rate_hz
        self._seqs: list[int] = []
        self._stamps_ns: list[int] = []
        self._step = 1
        self._next_fit = FEWEST

    def add(self, seq: int, stamp_ns: int) -> None:
        """Takes a tick; one that is not newer than all others says nothing new."""
        if self._seqs and seq <= self._seqs[-1]:
            return
        self.ticks += 1
        if self.ticks % self._step:
            return
        self._seqs.append(seq)
        self._stamps_ns.append(stamp_ns)
        if len(self._seqs) == MOST_KEPT:
            del self._seqs[::2], self._stamps_ns[::2]
            self._step *= 2
        if self.ticks >= self._next_fit:
            self.refit()
            # Without a fit, each further tick may be the one that makes it.
            self._next_fit = 2 * self.ticks if self.fit else self.ticks + FEWEST // 4

    def refit(self) -> None:
        """Fits all that it has taken; keeps what there was where that is no longer possible."""
        self.fit = fit(self._seqs, self._stamps_ns, self._rate_hz) or self.fit
