"""Finding: a time-out of the proxy cut many clients at one moment, so long after a reload or a last tick."""

import math
from collections.abc import Iterator

import numpy as np

from reports.analysis.actions import fired_events
from reports.analysis.findings.drops import sessions_of_one_age, synchronised_drops
from reports.analysis.findings.finding import Found, explained_seconds
from reports.analysis.findings.pulses import FEWEST_DROPS, MOST_DROPS, SMALLEST_SHARE
from reports.analysis.findings.timers import Timer, timers
from reports.analysis.validity import Evidence
from reports.rundir import series
from reports.rundir.reader import Run
from reports.text import units

_RELOADS = frozenset({"nginx_reload", "certificate_rotate", "set_limit"})
_AFTER_RELOAD = frozenset({"worker_shutdown_timeout", "hard_stop_after"})
_AFTER_SILENCE = frozenset(
    {"proxy_read_timeout", "timeout_tunnel", "timeout_client", "timeout_server", "stream_idle_timeout"}
)
EARLY_S, LATE_S = 2, 2
"""The last tick came up to a second before its feed stopped, and clients see a cut up to a second later."""
AROUND_S = 5
"""Disconnects in these seconds before and after count against it: a cut is one moment."""


def cut_by_time_out(evidence: Evidence) -> Found | None:
    """Clients that a time-out of the proxy cut together; None where the pulses or ages say as much."""
    run = evidence.run
    last_s = int(max((row["t_s"] or 0.0 for row in run.rows), default=-1.0))
    if last_s < 0 or synchronised_drops(evidence) or sessions_of_one_age(evidence):
        return None
    drops = series.aligned(run, "disconnects", 0, last_s + 1) - series.aligned(run, "stale", 0, last_s + 1)
    drops[[second for second in explained_seconds(run) if 0 <= second <= last_s]] = 0.0
    drops = np.nan_to_num(drops)
    least = max(FEWEST_DROPS, SMALLEST_SHARE * evidence.summary.clients)
    for what, began_s, timer in _causes(run):
        at_s = math.floor(began_s + timer.seconds)
        from_s, to_s = max(0, at_s - EARLY_S), at_s + LATE_S + 1
        cut = float(drops[from_s:to_s].sum())
        if cut >= least and cut >= MOST_DROPS * drops[max(0, from_s - AROUND_S) : to_s + AROUND_S].sum():
            when_s = from_s + int(np.argmax(drops[from_s:to_s]))
            return Found(
                figures=(
                    f"{units.count(round(cut))} of {units.count(evidence.summary.clients)} clients were "
                    f"disconnected together, at {units.seconds(when_s)}. What fits: {timer.name} "
                    f"({units.seconds(round(timer.seconds, 2))}) after {what} at "
                    f"{units.seconds(round(began_s, 1))}."
                ),
                change=timer.change,
            )
    return None


def _causes(run: Run) -> Iterator[tuple[str, float, Timer]]:
    """What a time-out counts from, when that was, and the time-out."""
    known = timers(run)
    for event in fired_events(run.events):
        if event.name in _RELOADS:
            yield from (("a reload", event.began_s, each) for each in known if each.name in _AFTER_RELOAD)
        if event.name == "feed_stall":
            yield from (
                ("the feed stopped", event.began_s, each) for each in known if each.name in _AFTER_SILENCE
            )
