"""Numbers with their units for a live view, as the report writes them."""

from math import floor

from reports.rundir.slo_metrics import SIGNS, SLO_METRICS, period_text

_UNITS = {"milliseconds": " ms", "seconds": " s", "per second": "/s", "count": "", "times": "×"}


def percent(share: float) -> str:
    """`7.9 %`, `42 %`, `99.6 %`; from 90 % on rounded down, so that a bound is not shown as reached early."""
    value = share * 100
    if 90 <= value < 100:
        return f"{floor(value * 10 + 1e-6) / 10:g} %"
    return f"{value:.1f} %" if 0 < value < 9.95 else f"{value:.0f} %"


def metric_value(metric: str, value: float | None) -> str:
    """A value of a metric with its unit."""
    if value is None:
        return "unknown"
    unit = SLO_METRICS[metric].unit
    return percent(value) if unit == "share" else f"{value:.4g}{_UNITS[unit]}"


def metric_limit(metric: str, operator: str, bound: float) -> str:
    """`≥ 90 %`."""
    return f"{SIGNS[operator]} {metric_value(metric, bound)}"


def metric_rule(metric: str, operator: str, bound: float, phase: str) -> str:
    """`availability ≥ 90 %, from the trigger on`."""
    limit = metric_limit(metric, operator, bound)
    return f"{SLO_METRICS[metric].name} {limit}, {period_text(metric, phase)}"
