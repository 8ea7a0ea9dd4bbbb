"""The measures that tables show: what each is called, where it comes from, and how it is written.

Add one: enter it in `MEASURES` or `EXPERIENCE`; every table and every comparison then has it.
"""

from collections.abc import Callable
from math import inf
from typing import Any

from msgspec import Struct

from reports import units
from reports.latency import Latency
from reports.metrics import PhaseSummary, Storm, Summary


class Measure(Struct, frozen=True):
    """One number of a run."""

    key: str
    group: str
    """Heading that it shares with its neighbours; empty where it stands alone."""
    heading: str
    of: Callable[[Summary], Latency | float | None]
    write: Callable[[float | None], str]
    """Turns a value into text with its unit; latencies are in milliseconds."""


class Range(Struct, frozen=True):
    """Median and extremes of one measure over the runs of an arm.

    None stands for a recovery that nobody saw; it counts as later than any that was seen.
    """

    median: float | None
    low: float | None
    high: float | None
    at_least: bool = False
    """The median is only a lower bound."""
    runs: int = 1

    @property
    def lowest(self) -> float:
        """The lowest value, infinite where nobody saw one."""
        return inf if self.low is None else self.low

    @property
    def highest(self) -> float:
        """The highest value, infinite where somebody did not see one."""
        return inf if self.high is None else self.high


TIME_TO_RECOVER = "time_to_recover_s"


def _phase(name: str, field: str) -> Callable[[Summary], Any]:
    def of(summary: Summary) -> Any:
        phase: PhaseSummary | None = getattr(summary, name)
        return getattr(phase, field) if phase else None

    return of


def _storm(field: str) -> Callable[[Summary], Any]:
    def of(summary: Summary) -> Any:
        storm: Storm | None = summary.storm
        return getattr(storm, field) if storm else None

    return of


def _outcome(name: str) -> Callable[[Summary], float | None]:
    return lambda summary: summary.storm.outcomes.get(name) if summary.storm else None


PHASES = ("before", "during", "after")

MEASURES: tuple[Measure, ...] = (
    *(
        Measure(
            f"effective_p99_{name}", "effective p99", name, _phase(name, "effective_p99"), units.milliseconds
        )
        for name in PHASES
    ),
    *(
        Measure(f"fanout_p99_{name}", "fan-out p99", name, _phase(name, "fanout_p99_ms"), units.milliseconds)
        for name in PHASES
    ),
    Measure("attempts_peak", "", "peak attempts", _storm("attempts_peak_per_s"), units.per_second),
    Measure("amplification", "", "attempts per drop", _storm("amplification"), units.times),
    Measure("limited", "", "refusals", _storm("limited"), units.count),
    Measure("availability", "", "availability", _storm("availability"), units.percent),
    Measure("pod_cpu", "pod CPU", "during", _phase("during", "pod_cpu"), units.percent),
    Measure("pod_loop", "pod loop", "during", _phase("during", "pod_loop"), units.percent),
    Measure("nginx_cpu", "nginx CPU", "during", _phase("during", "nginx_cpu"), units.percent),
    Measure("generator_cpu", "generator CPU", "during", _phase("during", "generator_cpu"), units.percent),
    Measure(TIME_TO_RECOVER, "", "time to recover", lambda s: s.recovery.time_to_recover_s, units.seconds),
)
"""The columns of the main table, in order."""

EXPERIENCE: tuple[Measure, ...] = (
    Measure("disconnects", "", "disconnects", _storm("disconnects"), units.count),
    Measure("stale", "", "by the client itself, for want of ticks", _storm("stale"), units.count),
    Measure("missed", "", "ticks missed while away", _storm("missed"), units.count),
    Measure("attempts", "", "tries to connect", _storm("attempts"), units.count),
    *(
        Measure(f"outcome_{name}", "", f"tries that {ended}", _outcome(name), units.count)
        for name, ended in (
            ("joined", "joined"),
            ("limited", "a limit refused"),
            ("refused", "were refused otherwise, or met a bad gateway"),
            ("timeout", "timed out"),
            ("reset", "lost their connection"),
            ("rejected", "the gateway rejected"),
            ("broken", "met a protocol error"),
            ("exhausted", "this machine could not begin"),
            ("abandoned", "were abandoned at the rescue"),
        )
    ),
    Measure("nginx_limited", "", "refusals in nginx's own log", _storm("nginx_limited"), units.count),
    Measure("burst_peak", "", "busiest 100 ms of tries ÷ mean", _storm("burst_peak"), units.times),
    Measure("burst_dispersion", "", "variance ÷ mean, per 100 ms", _storm("burst_dispersion"), units.plain),
    Measure("wasted_work", "", "handshakes wasted", _storm("wasted_work"), units.percent),
    Measure("tick_cpu", "", "CPU per delivered tick, before", lambda s: s.tick_cpu_s, units.microseconds),
)
"""What the clients and the gateway went through from the trigger to the end of `after`."""


def range_of(measure: Measure, summaries: list[Summary]) -> Range | None:
    """Median and extremes over runs; None where no run has a value."""
    if measure.key == TIME_TO_RECOVER:
        return _recovery_range([summary for summary in summaries if summary.storm])
    found = [measure.of(summary) for summary in summaries]
    there = sorted(
        (_number(value), isinstance(value, Latency) and value.at_least)
        for value in found
        if value is not None
    )
    if not there:
        return None
    values = [value for value, _ in there]
    # A bound above the middle may be as high as it likes: the median stays where it is.
    at_least = any(bound and value <= values[len(values) // 2] for value, bound in there)
    return Range(_median(values), values[0], values[-1], at_least, len(values))


def _recovery_range(summaries: list[Summary]) -> Range | None:
    if not summaries:
        return None
    times = [summary.recovery.time_to_recover_s for summary in summaries]
    ordered = sorted(inf if time is None else float(time) for time in times)
    median, low, high = (
        None if value == inf else value for value in (_median(ordered), ordered[0], ordered[-1])
    )
    return Range(median, low, high, runs=len(times))


def _median(ordered: list[float]) -> float:
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _number(value: Latency | float) -> float:
    return value.ms if isinstance(value, Latency) else float(value)
