"""Costs from CPU readings: a least-squares fit for each cycle, and a t-interval over the cycles.

A cycle is idle ─► ramp ─► steady ─► half are cut ─► steady ─► the rest is cut, and each part is a window:

    CPU of a window = idle·seconds + handshake·joins + tick·ticks + close·closes

The cycles are the independent observations; seconds of one cycle are not.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from math import atan, cos, inf, pi, sin, sqrt

import numpy as np
from msgspec import Struct

CONFIDENCE = 0.95
FEWEST_CYCLES = 3


class Window(Struct, frozen=True, kw_only=True):
    """Whole seconds of one part of a cycle, and what happened in them."""

    span_s: float
    cpu_s: float
    joins: int = 0
    ticks: int = 0
    """Delivered to clients."""
    closes: int = 0


class Estimate(Struct, frozen=True):
    """A cost and its 95 % interval, none of them below 0."""

    value: float
    low: float
    high: float

    @property
    def above_zero(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0

    def times(self, factor: float) -> "Estimate":
        """The same in another unit."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


class CpuCosts(Struct, frozen=True, kw_only=True):
    """CPU-seconds of each thing; None for what did not happen."""

    handshake_s: Estimate | None
    tick_s: Estimate | None
    close_s: Estimate | None
    idle: Estimate | None
    """CPU-seconds per second without clients."""


def cpu_costs(cycles: Sequence[Sequence[Window]]) -> CpuCosts:
    """The costs that explain the windows of these cycles, of which there are two at the least."""
    found = [cycle_costs(cycle) for cycle in cycles]

    def over_cycles(name: str) -> Estimate | None:
        known = [cost[name] for cost in found if name in cost]
        return t_interval(known) if len(known) == len(found) else None

    return CpuCosts(
        handshake_s=over_cycles("joins"),
        tick_s=over_cycles("ticks"),
        close_s=over_cycles("closes"),
        idle=over_cycles("span_s"),
    )


def t_interval(values: Sequence[float]) -> Estimate:
    """The mean of independent values with its 95 % interval, for two values or more; cut off at 0."""
    mean = float(np.mean(values))
    spread = float(np.std(values, ddof=1)) / sqrt(len(values))
    reach = t_quantile(len(values) - 1) * spread
    return Estimate(*(max(0.0, number) for number in (mean, mean - reach, mean + reach)))


def slope(points: Sequence[tuple[float, float]]) -> Estimate | None:
    """How much y grows with x, with the 95 % interval of a regression; None without three different x."""
    x, y = np.array(points, np.float64).T if points else (np.empty(0), np.empty(0))
    if len(np.unique(x)) < FEWEST_CYCLES:
        return None
    from_middle = x - x.mean()
    spread = float((from_middle**2).sum())
    found = float((from_middle * y).sum()) / spread
    left_over = y - y.mean() - found * from_middle
    reach = t_quantile(len(x) - 2) * sqrt(float((left_over**2).sum()) / (len(x) - 2) / spread)
    return Estimate(*(max(0.0, number) for number in (found, found - reach, found + reach)))


@cache
def t_quantile(freedom: int) -> float:
    """What |t| of Student's distribution is below in 95 % of all cases; freedom: one degree or more."""
    low, high = 0.0, 1.0
    while _t_within(high, freedom) < CONFIDENCE:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_within(middle, freedom) < CONFIDENCE else (low, middle)
    return high


def _t_within(t: float, freedom: int) -> float:
    """How likely |T| < t is: Abramowitz and Stegun (1964), 26.7.3 for odd and 26.7.4 for even numbers."""
    angle = atan(t / sqrt(freedom))
    odd = freedom % 2
    term = cos(angle) if odd else 1.0
    total = 0.0
    for power in range(1 + odd, freedom, 2):
        total += term
        term *= cos(angle) ** 2 * power / (power + 1)
    return 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total


def differ(a: Estimate, b: Estimate) -> bool:
    """Whether two intervals do not overlap."""
    return max(a.low, b.low) > min(a.high, b.high)


def width(estimate: Estimate) -> float:
    """Half the interval as a share of the value; infinite where the value is 0."""
    return (estimate.high - estimate.low) / 2 / estimate.value if estimate.value > 0 else inf


def cycle_costs(windows: Sequence[Window]) -> Mapping[str, float]:
    """CPU-seconds of each joined client, tick, close and second of one cycle, as far as there were any."""
    names = ("span_s", "joins", "ticks", "closes")
    columns = {name: np.array([getattr(one, name) for one in windows], np.float64) for name in names}
    used = [name for name in names if columns[name].any()]
    features = np.column_stack([columns[name] for name in used])
    # Columns of one size, so that the solution is as exact for ticks as for seconds.
    scale = np.abs(features).max(axis=0)
    solved, _, rank, _ = np.linalg.lstsq(
        features / scale, np.array([one.cpu_s for one in windows]), rcond=None
    )
    if rank < len(used):
        return {}
    return dict(zip(used, (float(cost) for cost in solved / scale), strict=True))
