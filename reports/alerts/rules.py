"""Alert rules for the onset of a storm, as Prometheus evaluates them.

A rule has its threshold, window and duration once. `deploy/monitoring/alerts.yml` is written from the rules
(`tools/alerts_file.py`), and `detections` applies them to the seconds of a run.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from reports.analysis.pods import SATURATED_LOOP
from reports.rundir import series
from reports.rundir.series import Row

SCRAPE_INTERVAL_S = 2
EVALUATION_INTERVAL_S = 2
"""Both as in `deploy/monitoring/prometheus.yml`."""

FEWEST_ATTEMPTS = 0.1
"""Attempts per second and client below which their number per disconnect means nothing."""

Truth = NDArray[np.bool_]


class AlertRule(Struct, frozen=True, kw_only=True):
    """A condition that has to hold for `for_s` seconds."""

    name: str
    threshold: float
    window_s: int = 0
    """What is counted: the last so many seconds; 0 where the condition is about the latest second alone."""
    for_s: int
    condition: str
    """In words, with `{threshold}`, `{window_s}` and `{fewest}` for `str.format`; so has the next one."""
    expression: str
    """In PromQL."""
    meaning: str
    """What it tells whoever is paged: one sentence."""
    columns: tuple[str, ...]
    """The columns of series.csv that it reads; without values in one of them nobody can say anything."""
    holds: Callable[["AlertRule", Sequence[Row]], Truth]
    """For each of these seconds, which follow each other: whether the condition holds when it ends."""

    def filled_in(self, text: str) -> str:
        """The condition or the expression, with its numbers."""
        return text.format(
            threshold=f"{self.threshold:g}", window_s=self.window_s, fewest=f"{FEWEST_ATTEMPTS:g}"
        )


def _attempts_hold(rule: AlertRule, rows: Sequence[Row]) -> Truth:
    """Attempts of the window > threshold × its disconnects, many of them, and no clients being started."""
    attempts, disconnects, clients = (
        series.column(rows, name) for name in ("attempts", "disconnects", "clients")
    )
    window_s = rule.window_s
    tried, ended = _sums(attempts, window_s), _sums(disconnects, window_s)
    started = np.full(len(rows), np.inf)
    started[window_s:] = clients[window_s:] - clients[:-window_s]
    return (tried > rule.threshold * ended) & (tried / window_s > FEWEST_ATTEMPTS * clients) & (started <= 0)


def _sums(values: series.Seconds, window_s: int) -> series.Seconds:
    """Of the last `window_s` values up to each one; NaN before there are so many."""
    added = np.concatenate([[0.0], np.cumsum(np.nan_to_num(values))])
    sums = np.full(len(values), np.nan)
    sums[window_s - 1 :] = added[window_s:] - added[:-window_s]
    return sums


def _loop_holds(rule: AlertRule, rows: Sequence[Row]) -> Truth:
    return np.greater(series.column(rows, "pod_loop_max"), rule.threshold)


def _staleness_holds(rule: AlertRule, rows: Sequence[Row]) -> Truth:
    return np.greater(series.column(rows, "staleness_p99_ms"), rule.threshold * 1000)


ALERT_RULES: Mapping[str, AlertRule] = {
    rule.name: rule
    for rule in (
        AlertRule(
            name="ReconnectAttemptsPerDisconnect",
            threshold=3.0,
            window_s=10,
            for_s=4,
            condition="more than {threshold} connection attempts per disconnect in {window_s} s, and more"
            " than {fewest} per client and second",
            expression="sum(rate(generator_attempts_total[{window_s}s]))"
            " > {threshold} * sum(rate(generator_disconnects_total[{window_s}s]))\n"
            "and sum(rate(generator_attempts_total[{window_s}s])) > {fewest} * sum(generator_clients)\n"
            "and sum(delta(generator_clients[{window_s}s])) <= 0",
            meaning="Clients retry faster than the service lets them in: their retries are the load.",
            columns=("attempts", "disconnects", "clients"),
            holds=_attempts_hold,
        ),
        AlertRule(
            name="GatewayLoopSaturated",
            threshold=SATURATED_LOOP,
            for_s=4,
            condition="the event loop of the busiest pod occupied for more than {threshold} of a second",
            expression="max(gateway_loop_utilisation_ratio) > {threshold}",
            meaning="A pod has no time left: ticks and handshakes wait behind each other.",
            columns=("pod_loop_max",),
            holds=_loop_holds,
        ),
        AlertRule(
            name="ClientsWithStaleData",
            threshold=1.0,
            for_s=4,
            condition="p99 of the age of the newest tick above {threshold} s",
            expression='max(generator_staleness_seconds{{quantile="0.99"}}) > {threshold}',
            meaning="At least one client in a hundred works with data older than a second.",
            columns=("staleness_p99_ms",),
            holds=_staleness_holds,
        ),
    )
}
"""By their names in Prometheus."""
