"""Objectives during a run: a metric so far, and whether its SLO is met.

The report is based on more data: effective latencies become known only when clients return.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from reports.rundir.schema import Tag
from scenarios.runner.operator import Row
from scenarios.scenario.slo import Objective

State = Literal["met", "violated", "undecided"]

Percentile = Callable[[Tag, float], float | None]
"""A percentile of the same seconds, in milliseconds, by tag; None without data."""

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}


def state(objective: Objective, value: float | None) -> State:
    """Whether this value meets the objective."""
    if value is None:
        return "undecided"
    return "met" if _COMPARISONS[objective.operator](value, objective.bound) else "violated"


def measured(metric: str, rows: Sequence[Row], percentile: Percentile) -> float | None:
    """The metric over these seconds; None without data, and for metrics that only the end of a run gives."""
    if metric in _PERCENTILES:
        return percentile(*_PERCENTILES[metric])
    if metric in _QUOTIENTS:
        above, below = _QUOTIENTS[metric]
        whole = sum(_total(rows, name) for name in below)
        return sum(_total(rows, name) for name in above) / whole if whole else None
    values = [row[_COLUMNS.get(metric, metric)] for row in rows if _COLUMNS.get(metric, metric) in row]
    if not values:
        return None
    if metric in _MEANS:
        return float(sum(values) / len(values))
    return float(max(values) if metric in _HIGHEST else sum(values))


def recovery_state(objective: Objective, recovered_after_s: float | None, waited_s: float | None) -> State:
    """The state of a bound on the time to recover. An upper bound can be violated before the recovery."""
    if recovered_after_s is not None:
        return state(objective, recovered_after_s)
    late = objective.operator in {"<", "<="} and state(objective, waited_s) == "violated"
    return "violated" if late else "undecided"


def told(value: float | None) -> str:
    """A value as short text."""
    return "unknown" if value is None else f"{value:.4g}"


def _total(rows: Sequence[Row], name: str) -> float:
    return float(sum(row.get(name, 0.0) for row in rows))


_PERCENTILES: dict[str, tuple[Tag, float]] = {
    "effective_p99_ms": ("effective", 99),
    "fanout_p50_ms": ("fanout", 50),
    "fanout_p99_ms": ("fanout", 99),
    "staleness_p99_ms": ("staleness", 99),
}
_QUOTIENTS = {
    "availability": (("useful",), ("clients",)),
    "amplification": (("attempts",), ("disconnects",)),
    "wasted_work": (("gone_early", "short_sessions"), ("handshakes",)),
}
_COLUMNS = {"attempts_per_s": "attempts", "attempts_peak_per_s": "attempts"}
"""Metrics whose column has another name."""
_MEANS = ("attempts_per_s", "pod_cpu", "pod_loop", "nginx_cpu")
_HIGHEST = ("attempts_peak_per_s",)
