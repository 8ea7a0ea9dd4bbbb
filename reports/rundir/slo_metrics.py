"""Bounds of SLOs and hypotheses, and the metrics that they may name: what each is called, its unit, and where
it is measured.

A scenario checks its bounds against this list, a live view computes the metrics from its rows, and a report
writes them with their names. Add one: enter it in `SLO_METRICS`.
"""

import operator
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from reports.rundir.schema import Tag

Operator = Literal["<", "<=", ">", ">="]
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

SIGNS: dict[str, str] = {"<": "<", "<=": "≤", ">": ">", ">=": "≥"}

TIME_TO_RECOVER = "time_to_recover_s"
TICKS = {f"ticks_{part}": part for part in ("in_time", "late", "never", "lost")}
"""Shares of the ticks that were due."""
TICKS_BY_IP = {"ticks_in_time_alone": False, "ticks_in_time_shared": True}
"""The share in time of the ticks due to clients alone on an IP, and to clients behind a shared IP."""
BACK = {f"back_{share}_s": share for share in (50, 95, 99, 100)}
"""Times until so many per cent of the disconnected clients were back."""
NEVER_RETURNED = "never_returned"

Unit = Literal["share", "milliseconds", "seconds", "per second", "count", "times"]
"""A `share` is from 0 to 1, or in cores; `times` are a factor."""


class Bound(Struct, frozen=True, kw_only=True):
    """A bound on a metric, as a scenario has it in `slo` or `hypothesis`.

    In run.json of another version, the metric may be one that is not known here.
    """

    metric: str
    """What is measured, such as `availability`."""
    phase: Literal["before", "during", "after", "storm"] = "storm"
    """When it is measured: in one phase, or in all of the `storm`, from the trigger to the end of
    `after`."""
    operator: Operator
    """How the measured value compares with the bound where the SLO is met."""
    bound: float
    """In the unit of the metric; a share is from 0 to 1."""


class Quantile(Struct, frozen=True):
    """A percentile of a histogram; `column` of series.csv has that of every second."""

    tag: Tag
    percent: float
    column: str


class Ratio(Struct, frozen=True):
    """The sum of some columns ÷ the sum of others."""

    above: tuple[str, ...]
    below: tuple[str, ...]


class Mean(Struct, frozen=True):
    """The mean of a column."""

    column: str


class Highest(Struct, frozen=True):
    """The highest value of a column."""

    column: str


class Total(Struct, frozen=True):
    """The sum of a column."""

    column: str


class SloMetric(Struct, frozen=True, kw_only=True):
    """One metric."""

    name: str
    unit: Unit
    source: Quantile | Ratio | Mean | Highest | Total | None
    """How it follows from the rows of series.csv; None where only the whole run tells."""
    phase: bool = False
    """It is measured in each phase separately."""
    storm: bool = False
    """It is measured from the trigger to the end of `after`; recoveries and returns may be later."""


SLO_METRICS: dict[str, SloMetric] = {
    "availability": SloMetric(
        name="availability", unit="share", source=Ratio(("useful",), ("clients",)), phase=True, storm=True
    ),
    "effective_p99_ms": SloMetric(
        name="effective p99",
        unit="milliseconds",
        source=Quantile("effective", 99, "effective_p99_ms"),
        phase=True,
    ),
    "fanout_p50_ms": SloMetric(
        name="fan-out p50", unit="milliseconds", source=Quantile("fanout", 50, "fanout_p50_ms"), phase=True
    ),
    "fanout_p99_ms": SloMetric(
        name="fan-out p99", unit="milliseconds", source=Quantile("fanout", 99, "fanout_p99_ms"), phase=True
    ),
    "staleness_p99_ms": SloMetric(
        name="staleness p99",
        unit="milliseconds",
        source=Quantile("staleness", 99, "staleness_p99_ms"),
        phase=True,
        storm=True,
    ),
    "attempts_per_s": SloMetric(
        name="connection attempts", unit="per second", source=Mean("attempts"), phase=True
    ),
    "attempts_peak_per_s": SloMetric(
        name="connection attempts in the busiest second",
        unit="per second",
        source=Highest("attempts"),
        phase=True,
        storm=True,
    ),
    "limited": SloMetric(name="refusals", unit="count", source=Total("limited"), phase=True, storm=True),
    "pod_cpu": SloMetric(name="CPU per pod", unit="share", source=Mean("pod_cpu"), phase=True),
    "pod_loop": SloMetric(
        name="event loop utilisation of the pods", unit="share", source=Mean("pod_loop"), phase=True
    ),
    "nginx_cpu": SloMetric(name="proxy CPU", unit="share", source=Mean("nginx_cpu"), phase=True),
    "stale_client_s": SloMetric(
        name="client-seconds with data older than 1 s",
        unit="count",
        source=Total("stale_client_s"),
        storm=True,
    ),
    "missed": SloMetric(name="ticks missed", unit="count", source=Total("missed"), storm=True),
    "amplification": SloMetric(
        name="reconnect attempts per disconnect",
        unit="times",
        source=Ratio(("attempts",), ("disconnects",)),
        storm=True,
    ),
    "gave_up": SloMetric(
        name="clients that gave up for good", unit="count", source=Total("gave_up"), storm=True
    ),
    "wasted_work": SloMetric(
        name="handshakes wasted",
        unit="share",
        source=Ratio(("gone_early", "short_sessions"), ("handshakes",)),
        storm=True,
    ),
    **{
        key: SloMetric(name=name, unit="share", source=None, storm=True)
        for key, name in (
            ("ticks_in_time", "ticks delivered in time"),
            ("ticks_late", "ticks delivered late"),
            ("ticks_never", "ticks never delivered"),
            ("ticks_lost", "ticks lost"),
            ("ticks_in_time_alone", "ticks delivered in time to clients alone on an IP"),
            ("ticks_in_time_shared", "ticks delivered in time to clients behind a shared IP"),
        )
    },
    **{
        key: SloMetric(name=f"{share} % of clients back after", unit="seconds", source=None, storm=True)
        for key, share in BACK.items()
    },
    NEVER_RETURNED: SloMetric(name="clients that never returned", unit="count", source=None, storm=True),
    TIME_TO_RECOVER: SloMetric(name="time to recover", unit="seconds", source=None, storm=True),
}

PHASE_METRICS = tuple(key for key, metric in SLO_METRICS.items() if metric.phase)
STORM_METRICS = tuple(key for key, metric in SLO_METRICS.items() if metric.storm)


def period_text(metric: str, phase: str) -> str:
    """Over which time a bound counts: `before`, `from the trigger on`."""
    if metric in {TIME_TO_RECOVER, *BACK}:
        return "from the trigger’s end"
    return "from the trigger on" if phase == "storm" else phase
