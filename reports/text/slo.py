"""Bounds on metrics as text: the same words and numbers during a run and in its report."""

from reports.rundir.slo_metrics import SIGNS, SLO_METRICS, Bound, Unit, period_text
from reports.text import units

_WRITERS: dict[Unit, units.Writer] = {
    "share": units.percent,
    "milliseconds": units.milliseconds,
    "seconds": units.seconds,
    "per second": units.per_second,
    "count": units.count,
    "times": units.times,
}


def metric_name(metric: str) -> str:
    """What a metric is called; its own name where it is not known here."""
    return SLO_METRICS[metric].name if metric in SLO_METRICS else metric


def write(metric: str, value: float | None) -> str:
    """A value of that metric, with its unit."""
    return _writer(metric)(value)


def write_against(bound: Bound, value: float) -> str:
    """A value with its unit, which reads differently from the bound unless it is equal to it."""
    return units.distinct(_writer(bound.metric), bound.bound, value)[1]


def limit_text(bound: Bound) -> str:
    """`≥ 90 %`."""
    return f"{SIGNS[bound.operator]} {write(bound.metric, bound.bound)}"


def rule_text(bound: Bound) -> str:
    """`availability ≥ 90 %, from the trigger on`."""
    return f"{metric_name(bound.metric)} {limit_text(bound)}, {period_text(bound.metric, bound.phase)}"


def _writer(metric: str) -> units.Writer:
    return _WRITERS[SLO_METRICS[metric].unit] if metric in SLO_METRICS else units.plain
