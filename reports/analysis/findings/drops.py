"""Findings in disconnects: pulses with one period, and sessions that end at one age."""

import numpy as np

from reports.analysis.actions import fired_events
from reports.analysis.findings.ages import AgeCluster, Ends, age_cluster
from reports.analysis.findings.finding import Found, explained_seconds
from reports.analysis.findings.pulses import pulses
from reports.analysis.findings.timers import Timer, of_age, of_period, timers
from reports.analysis.validity import Evidence
from reports.rundir import latency, series
from reports.rundir.reader import Run
from reports.text import units

UNEXPLAINED = "that no event of the run explains"


def synchronised_drops(evidence: Evidence) -> Found | None:
    """Disconnects in pulses, but for those by the clients' own watchdog: these come with any overload."""
    run = evidence.run
    seconds = [row["t_s"] for row in run.rows if (row["t_s"] or 0.0) >= 0]
    if not seconds:
        return None
    to_s = int(seconds[-1] or 0) + 1
    drops = series.aligned(run, "disconnects", 0, to_s) - series.aligned(run, "stale", 0, to_s)
    drops[[second for second in explained_seconds(run) if 0 <= second < to_s]] = np.nan
    found = pulses(drops, evidence.summary.clients)
    if found is None:
        return None
    ages, _ = _one_age(run)
    known = timers(run)
    by_age = of_age(ages.age_s, known) if ages else None
    timer = by_age or of_period(found.period_s, [*known, *_reloads(run)])
    return Found(
        figures=(
            f"{found.number} pulses of disconnects, {units.seconds(round(found.period_s, 1))} apart: "
            f"{units.count(round(found.drops / found.number))} clients at a time, "
            f"{units.percent(found.share)} of the disconnects {UNEXPLAINED}. "
            f"{_fits(timer, 'age of the sessions' if by_age else 'period')}"
        ),
        change=timer.change if timer else "",
    )


def sessions_of_one_age(evidence: Evidence) -> Found | None:
    """Sessions that ended at one age, at more than one moment or by a time-out of the scenario."""
    found, whose = _one_age(evidence.run)
    if found is None:
        return None
    timer = of_age(found.age_s, timers(evidence.run))
    if timer is None and not found.spread_out:
        return None
    low, high = (units.seconds(round(age_s, 2)) for age_s in (found.low_s, found.high_s))
    return Found(
        figures=(
            f"{units.count(found.ends)} sessions ended {units.span(low, high) or low} after they had joined: "
            f"{units.percent(found.share)} of the ends {whose}{UNEXPLAINED}. "
            f"{_fits(timer, 'age')}"
        ),
        change=timer.change if timer else "",
    )


def _one_age(run: Run) -> tuple[AgeCluster | None, str]:
    """The age of most sessions, and whose; else that of most sessions that joined during the run.

    What cuts quiet sockets cuts the first ones at an age that depends on when they became quiet.
    """
    explained = explained_seconds(run)
    every: dict[int, Ends] = {}
    joined_later: dict[int, Ends] = {}
    for second, buckets in run.histograms.get("session_age", {}).items():
        if second >= 0 and second not in explained:
            ages_s = latency.lowest_us(buckets.places) / 1e6
            every[second] = [*zip(ages_s.tolist(), buckets.numbers.tolist(), strict=True)]
            joined_later[second] = [(age_s, number) for age_s, number in every[second] if age_s < second]
    if found := age_cluster(every):
        return found, ""
    return age_cluster(joined_later), "of sessions that joined during the run "


def _reloads(run: Run) -> list[Timer]:
    """The distance of regular reloads, as a timer."""
    began_s = [event.began_s for event in fired_events(run.events) if event.name == "nginx_reload"]
    if len(began_s) < 3:
        return []
    change = (
        "Fewer reloads, and a `worker_shutdown_timeout` longer than sessions last; or drain clients over a "
        "window before a reload."
    )
    return [
        Timer(name="the time between two reloads", seconds=float(np.median(np.diff(began_s))), change=change)
    ]


def _fits(timer: Timer | None, what: str) -> str:
    if timer is None:
        return f"No time-out of the scenario fits this {what}."
    return f"What fits this {what}: {timer.name} ({units.seconds(round(timer.seconds, 2))})."
