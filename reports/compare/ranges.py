"""One measure over the runs of an arm: median, interval and extremes."""

from math import inf

from msgspec import Struct

from reports.analysis.metrics import Summary
from reports.compare.measures import TIME_TO_RECOVER, Measure
from reports.compare.statistics import median_interval
from reports.rundir.latency import Latency


class Range(Struct, frozen=True, kw_only=True):
    """One measure over the runs of an arm.

    None stands for a recovery that did not come; it counts as later than any other.
    """

    values: tuple[float | None, ...]
    """In the order of the runs, without those that have none."""
    bounds: tuple[bool, ...]
    """For each of these: only a lower bound of it is known."""
    median: float | None
    low: float | None
    """The lowest."""
    high: float | None
    interval_low: float | None
    """The interval of order statistics for the true median: up to eight runs, the extremes."""
    interval_high: float | None
    interval_open: bool = False
    """Its upper end is only a lower bound."""
    coverage: float = 0.0
    """In what share of all cases such an interval holds the true median, at the least."""
    at_least: bool = False
    """The median is only a lower bound."""

    @property
    def numbers(self) -> list[float]:
        """The values, infinite where there was no recovery."""
        return [inf if value is None else value for value in self.values]

    @property
    def lowest(self) -> float:
        """The lowest value, infinite where there was no recovery."""
        return inf if self.low is None else self.low

    @property
    def highest(self) -> float:
        """The highest value, infinite where a run has no recovery."""
        return inf if self.high is None else self.high


def range_of(measure: Measure, summaries: list[Summary]) -> Range | None:
    """One measure over runs; None where no run has a value."""
    if measure.key == TIME_TO_RECOVER:
        times = [summary.recovery.time_to_recover_s for summary in summaries if summary.storm]
        found = [(inf if time is None else float(time), False) for time in times]
    else:
        taken = [measure.of(summary) for summary in summaries]
        found = [_number(value) for value in taken if value is not None]
    return _range(found) if found else None


def _range(found: list[tuple[float, bool]]) -> Range:
    values, bounds = [value for value, _ in found], [bound for _, bound in found]
    ordered = sorted(values)
    interval = median_interval(values, bounds)
    is_open = interval.high == inf and not interval.never
    # Of an end that may be as high as it likes, this much is known.
    high = median_interval(values).high if is_open else interval.high
    return Range(
        values=tuple(map(_to_optional, values)),
        bounds=tuple(bounds),
        median=_to_optional(_median(ordered)),
        low=_to_optional(ordered[0]),
        high=_to_optional(ordered[-1]),
        interval_low=_to_optional(interval.low),
        interval_high=_to_optional(high),
        interval_open=is_open,
        coverage=interval.coverage,
        # A bound above the middle may be as high as it likes: the median stays where it is.
        at_least=any(bound and value <= ordered[len(ordered) // 2] for value, bound in found),
    )


def _median(ordered: list[float]) -> float:
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _to_optional(value: float) -> float | None:
    return None if value == inf else value


def _number(value: Latency | float) -> tuple[float, bool]:
    return (value.ms, value.at_least) if isinstance(value, Latency) else (float(value), False)
