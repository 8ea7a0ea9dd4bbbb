"""When alert rules would have fired in a recorded run: the time to detection."""

from collections.abc import Iterator
from math import ceil, floor

import numpy as np
from msgspec import Struct

from reports.alerts.rules import ALERT_RULES, EVALUATION_INTERVAL_S, SCRAPE_INTERVAL_S, AlertRule, Truth
from reports.analysis.metrics import unaided_stretch
from reports.rundir import series
from reports.rundir.reader import Run
from reports.rundir.series import Row

_STEPS = 4
"""Moments in a second: their times are exact in binary."""


class Detection(Struct, frozen=True, kw_only=True):
    """When an alert rule would have fired, in seconds from the trigger to the alert.

    Prometheus does not look all the time: how soon it fires depends on when it scrapes and evaluates. Whole
    seconds: the earliest one is rounded down, the latest one up.
    """

    rule: str
    earliest_s: int | None = None
    """None where it would never have fired between the trigger and the rescue or the end."""
    latest_s: int | None = None
    """None where it would not have fired, or only if Prometheus looked at the right moments."""
    before: bool = False
    """It was firing when the trigger came, and so says nothing about it."""
    known: bool = True
    """Whether the run has the values that the rule needs."""


def detections(run: Run) -> tuple[Detection, ...]:
    """When each rule would have fired between the trigger and the rescue or the end; none without one."""
    stretch = unaided_stretch(run)
    if stretch is None:
        return ()
    return tuple(_detection(run, rule, *stretch) for rule in ALERT_RULES.values())


def _detection(run: Run, rule: AlertRule, trigger_s: int, to_s: int) -> Detection:
    first_s = int(series.column(run.rows, "t_s").min())
    by_second = {int(row["t_s"] or 0): row for row in run.between(first_s, to_s)}
    rows: list[Row] = [by_second.get(t, {}) for t in range(first_s, to_s)]
    stormy = rows[trigger_s - first_s :]
    if any(np.isnan(series.column(stormy, name)).all() for name in rule.columns):
        return Detection(rule=rule.name, known=False)
    holds = rule.holds(rule, rows)
    onset_s = trigger_s - first_s
    after_s: list[float | None] = []
    for scraped_s in _moments(SCRAPE_INTERVAL_S):
        for evaluated_s in _moments(EVALUATION_INTERVAL_S):
            looks = [*firing(holds, rule.for_s, scraped_s, evaluated_s)]
            if any(fires for now_s, fires in looks if onset_s - EVALUATION_INTERVAL_S < now_s <= onset_s):
                return Detection(rule=rule.name, before=True)
            after_s.append(
                next((now_s - onset_s for now_s, fires in looks if fires and now_s > onset_s), None)
            )
    fired_s = [at_s for at_s in after_s if at_s is not None]
    return Detection(
        rule=rule.name,
        earliest_s=floor(min(fired_s)) if fired_s else None,
        latest_s=ceil(max(fired_s)) if len(fired_s) == len(after_s) else None,
    )


def _moments(interval_s: int) -> list[float]:
    """When Prometheus may first do what it does every `interval_s` seconds, in quarters of a second."""
    return [step / _STEPS for step in range(interval_s * _STEPS)]


def firing(
    holds: Truth,
    for_s: int,
    scraped_s: float = 0.0,
    evaluated_s: float = 0.0,
    *,
    scrape_interval_s: int = SCRAPE_INTERVAL_S,
    evaluation_interval_s: int = EVALUATION_INTERVAL_S,
) -> Iterator[tuple[float, bool]]:
    """(seconds since the first one began, whether the alert fires) at each evaluation, as in Prometheus.

    holds: whether the condition holds at the end of each second. scraped_s, evaluated_s: when it is first
    scraped and evaluated. An alert fires from the first evaluation on that is `for_s` after the first one at
    which the condition held, if it has held at all in between.
    """
    since_s: float | None = None
    now_s = evaluated_s
    while now_s <= len(holds):
        seconds = int(now_s - (now_s - scraped_s) % scrape_interval_s)
        if seconds < 1 or not holds[seconds - 1]:
            since_s = None
        elif since_s is None:
            since_s = now_s
        yield now_s, since_s is not None and now_s - since_s >= for_s
        now_s += evaluation_interval_s
