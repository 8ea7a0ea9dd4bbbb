"""Fits a schedule to the numbers and stamps of ticks: tick k is due at a + b·k.

A stamp is the due time plus the lateness of the pod or publisher that sent the tick. Lateness is never
negative, so the line follows the earliest stamps: it is the one of a low quantile (quantile regression), and
ticks that were late while the clients joined do not tilt it. Its slope is the expected rate unless the later
stamps exclude that. Its height is a low percentile of what the stamps are above it.
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
_QUANTILE = 0.1
"""Share of the stamps that are before the line by which a slope is found."""
_TILTED = 0.1
"""By what share of its value the median of the slopes may be off."""
_GOLDEN = (5**0.5 - 1) / 2
_PRECISE = 1e-11
"""To what share of its value the slope is found."""
_RAMP = 0.4
"""Share of the stamps that may be late because clients joined."""
_SAME_RATE_ERRORS = 3.0
"""A slope that is off the expected one by more standard errors is another one."""
_OTHER_RATE = 0.02
"""A slope that is off by such a share is another one, whatever its error is."""
# Standard error of the slope of n evenly spaced values is sqrt(12) · deviation / n^1.5; that of the line of a
# low quantile is about 1.25 times as much. A normal distribution has 1.35 deviations between its quartiles.
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
    middle = float(np.median(np.concatenate(slopes)))
    if middle <= 0:
        return None
    period = _period(x, y, middle, 1e9 / rate_hz)
    lateness = y - period * x
    quarter, most = np.percentile(lateness[_after_ramp(lateness) :], [25, 75])
    if most - quarter > UNSTEADY * period:
        return None
    low, high = np.percentile(lateness, [LOWEST, HIGHEST])
    return Fit(first_seq, first_ns + round(low), period, round(high - low), len(seqs))


def _period(x: Any, y: Any, middle: float, expected: float) -> float:
    """The slope: `expected`, unless the later stamps exclude it; else that of all, unless they exclude it.

    Earlier ones may be late because clients joined.
    """
    later = _after_ramp(x)
    x_later, y_later = x[later:] - x[later], y[later:] - y[later]
    slope = _low_slope(x_later, y_later, middle)
    error = _SAME_RATE_ERRORS * _slope_error(x_later, y_later - slope * x_later)
    if abs(slope - expected) <= min(error, _OTHER_RATE * expected) + 2 * _PRECISE * expected:
        return expected
    of_all = _low_slope(x, y, middle)
    return of_all if abs(of_all - slope) <= error else slope


def _after_ramp(values: Any) -> int:
    return int(_RAMP * len(values))


def _low_slope(x: Any, y: Any, middle: float) -> float:
    """The slope of the line that leaves a tenth of the values below it, near `middle`.

    The loss of quantile regression, at the best height for a slope, is convex in the slope: golden-section
    search.
    """

    def loss(slope: float) -> float:
        residuals = y - slope * x
        above = residuals - np.quantile(residuals, _QUANTILE)
        return float(np.maximum(_QUANTILE * above, (_QUANTILE - 1) * above).sum())

    low, high = (1 - _TILTED) * middle, (1 + _TILTED) * middle
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    of_left, of_right = loss(left), loss(right)
    while high - low > _PRECISE * middle:
        if of_left <= of_right:
            high, right, of_right = right, left, of_left
            left = high - _GOLDEN * (high - low)
            of_left = loss(left)
        else:
            low, left, of_left = left, right, of_right
            right = low + _GOLDEN * (high - low)
            of_right = loss(right)
    return (low + high) / 2


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
