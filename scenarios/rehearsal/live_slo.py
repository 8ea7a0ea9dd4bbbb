"""Objectives during a run: a metric so far, and whether its SLO is met.

The report is based on more data: effective latencies become known only when clients return.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from reports.rundir.schema import Tag
from reports.rundir.slo_metrics import COMPARISONS, SLO_METRICS, Highest, Mean, Quantile, Ratio, Total
from scenarios.runner.operator import Row
from scenarios.scenario.slo import Objective

State = Literal["met", "violated", "undecided"]

Percentile = Callable[[Tag, float], float | None]
"""A percentile of the same seconds, in milliseconds, by tag; None without data."""


def state(objective: Objective, value: float | None) -> State:
    """Whether this value meets the objective."""
    if value is None:
        return "undecided"
    return "met" if COMPARISONS[objective.operator](value, objective.bound) else "violated"


def measured(metric: str, rows: Sequence[Row], percentile: Percentile) -> float | None:
    """The metric over these seconds; None where nothing is known, and for what only the end tells."""
    match SLO_METRICS[metric].source:
        case Quantile(tag=tag, percent=percent):
            return percentile(tag, percent)
        case Ratio(above=above, below=below):
            known = [row for row in rows if row.keys() >= {*above, *below}]
            whole = sum(_total(known, name) for name in below)
            return sum(_total(known, name) for name in above) / whole if whole else None
        case Mean(column=column):
            values = _values(rows, column)
            return sum(values) / len(values) if values else None
        case Highest(column=column):
            return max(_values(rows, column), default=None)
        case Total(column=column):
            values = _values(rows, column)
            return sum(values) if values else None
    return None


def recovery_state(objective: Objective, recovered_after_s: float | None, waited_s: float | None) -> State:
    """The state of a bound on the time to recover. An upper bound can be violated before the recovery."""
    if recovered_after_s is not None:
        return state(objective, recovered_after_s)
    late = objective.operator in {"<", "<="} and state(objective, waited_s) == "violated"
    return "violated" if late else "undecided"


def _total(rows: Sequence[Row], name: str) -> float:
    return float(sum(row[name] for row in rows))


def _values(rows: Sequence[Row], name: str) -> list[float]:
    return [float(row[name]) for row in rows if name in row]
