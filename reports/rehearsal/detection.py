"""When an alert would have fired: the first second in which a bound did not hold any more.

A bound over a phase or a storm is applied to single seconds here, as an alert would; counts are added up from
the start of the phase on. Which second that is can be read off series.csv.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import isnan, nan

from msgspec import Struct

from reports.analysis.metrics import unaided_stretch
from reports.analysis.slo import EFFECTIVE_P99, satisfies
from reports.rundir import series
from reports.rundir.reader import Run
from reports.rundir.series import Row
from reports.rundir.slo_metrics import SLO_METRICS, Bound, Highest, Mean, Quantile, Total
from reports.text.slo import limit_text, metric_name, write_against

LIVE_AVAILABILITY = Bound(metric="availability", operator=">=", bound=series.SERVED_WELL)
"""What is watched in any case."""


class Alert(Struct, frozen=True, kw_only=True):
    """A bound that did not hold in some second."""

    metric: str
    t_s: int
    """The first such second, from the trigger."""
    found: float
    """In that second, in the metric's own unit."""
    at_least: bool
    """Only a lower bound of it is known."""
    found_text: str
    """As it is written beside the limit."""
    limit: str
    objective: bool
    """One of the scenario's own; not the availability that is watched in any case."""

    @property
    def text(self) -> str:
        """`availability: expected ≥ 99 %, got 42 %`."""
        found = f"{'≥ ' if self.at_least else ''}{self.found_text}"
        return f"{metric_name(self.metric)}: expected {self.limit}, got {found}"


def alerts(run: Run, objectives: Sequence[Bound]) -> tuple[Alert, ...]:
    """Every bound that broke between the trigger and the rescue or the end, the first one first.

    None in a run without a trigger. Bounds over the time before it are left out, and those that mean nothing
    for a second.
    """
    stretch = unaided_stretch(run)
    if stretch is None:
        return ()
    watched = [(bound, True) for bound in objectives if bound.phase != "before"]
    found = [
        alert
        for bound, objective in [*watched, (LIVE_AVAILABILITY, False)]
        for alert in _first(run, bound, stretch, objective=objective)
    ]
    return tuple(sorted(found, key=lambda alert: (alert.t_s, not alert.objective)))


def _first(run: Run, bound: Bound, stretch: tuple[int, int], *, objective: bool) -> Iterator[Alert]:
    from_s, to_s = stretch
    phase = run.phase(bound.phase)
    if phase is not None:
        from_s, to_s = max(from_s, phase.from_s), min(to_s, phase.to_s)
    elif bound.phase != "storm":
        return
    rows = run.between(from_s, to_s)
    for row, value in zip(rows, _values(bound, rows), strict=True):
        if not isnan(value) and not satisfies(value, bound):
            yield Alert(
                metric=bound.metric,
                t_s=int(row["t_s"] or 0) - stretch[0],
                found=value,
                at_least=bound.metric == EFFECTIVE_P99 and bool(row.get("effective_at_least")),
                found_text=write_against(bound, value),
                limit=limit_text(bound),
                objective=objective,
            )
            return


def _values(bound: Bound, rows: Sequence[Row]) -> list[float]:
    """A value a second; NaN where it has none, or where the metric means nothing for a second."""
    if bound.metric == "availability":
        shares = series.shares(series.column(rows, "useful"), series.column(rows, "clients"))
        return [float(share) for share in shares]
    metric = SLO_METRICS.get(bound.metric)
    match metric.source if metric else None:
        case Quantile(column=column) | Mean(column=column) | Highest(column=column):
            return [float(value) for value in series.column(rows, column)]
        case Total(column=column):
            values = series.column(rows, column).tolist()
            return list(accumulate(0.0 if isnan(value) else value for value in values))
    return [nan] * len(rows)
