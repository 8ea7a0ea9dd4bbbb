"""What latencies count from, and whether the ticks have kept to the schedule where that is one.

A feed leaves its schedule where its timer is set anew after each tick, as JavaScript's `setInterval` does:
each lateness shifts all later ticks, which are late by the schedule for ever after, though they are fresh.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from reports.rundir import series
from reports.rundir.reader import Run
from reports.rundir.series import Row
from reports.text import units

DRIFT_PERIODS = 0.1
"""Share of a period by which stamps may be off the schedule."""
RATE_OFF = 0.02
"""Share by which the rate may differ from `feed.rate_hz`."""
FEWEST_SECONDS = 5
BUSY_POD_LOOP = 0.8
"""From this utilisation on, a pod's ticks may be late because it is busy."""


def scheduled_from_s(run: Run) -> int | None:
    """The first second with ticks that were due by the fitted schedule; None without one."""
    for row in run.rows:
        ticks, stamped = row.get("ticks"), row.get("stamped")
        if ticks and stamped is not None and stamped < ticks and row["t_s"] is not None:
            return int(row["t_s"])
    return None


def reference_text(runs: Sequence[Run]) -> str:
    """What the latencies of these runs count from; empty where nothing was received."""
    references = {run.info.reference for run in runs} - {None}
    if references != {"schedule"}:
        texts = {"due": "the due time in each tick", "first receipt": "the first receipt of each tick"}
        return " or ".join(sorted(texts.get(str(one), "a fitted schedule") for one in references))
    from_s = [second for run in runs if (second := scheduled_from_s(run)) is not None]
    since = f", from second {max(from_s)} of the steady state on; until then, the stamps" if from_s else ""
    return f"schedule fitted from the calm phase{since}"


def feed_warnings(run: Run, final: tuple[int, int] | None) -> Iterator[str]:
    """What the reader of a run has to know whose ticks have been fitted.

    final: the seconds [from, to) in which the service had recovered, or the last ones.
    """
    feed: dict[str, Any] = run.info.scenario.get("feed", {})
    rate_hz = float(feed.get("rate_hz", 5.0))
    yield from _rate(run, rate_hz)
    if run.info.unnumbered:
        yield (
            "the ticks carry no number, or feed.seq_field does not name it: what clients did not receive is "
            "unknown, and missing in effective p99"
        )
    if feed.get("due") != "schedule" or run.info.reference is None:
        return
    if run.info.reference != "schedule":
        because = next((fit.problem for fit in run.info.feed_fits if fit.problem), "no schedule was fitted")
        yield f"latencies count from the stamps of the ticks, although feed.due is schedule: {because}"
        return
    yield from _spread(run, rate_hz)
    yield from _slipped(run, rate_hz, final)
    yield from _stamped(run)


def _rate(run: Run, rate_hz: float) -> Iterator[str]:
    found = [fit.rate_hz for fit in run.info.feed_fits if fit.rate_hz]
    worst = max(found, key=lambda rate: abs(rate / rate_hz - 1), default=rate_hz)
    if abs(worst / rate_hz - 1) > RATE_OFF:
        yield (
            f"before the first event, ticks came at {worst:.4g}/s, and feed.rate_hz is {rate_hz:g}: what "
            "clients missed between two pods is counted at feed.rate_hz"
        )


def _spread(run: Run, rate_hz: float) -> Iterator[str]:
    worst_ms = max((fit.spread_ms or 0.0 for fit in run.info.feed_fits), default=0.0)
    allowed_ms = 1000 / rate_hz * DRIFT_PERIODS
    if worst_ms > allowed_ms:
        yield (
            "before the first event, the stamps were off the fitted schedule: 5th to 95th percentile: "
            f"{units.expected('≤', units.milliseconds, allowed_ms, worst_ms)} (a tenth of a period); "
            "latencies by schedule are off by as much"
        )


def _slipped(run: Run, rate_hz: float, final: tuple[int, int] | None) -> Iterator[str]:
    rows = [row for row in (run.between(*final) if final else []) if _idle(row)]
    by_schedule, by_stamp = (
        series.column(rows, name) for name in ("fanout_p50_ms", "fanout_by_stamp_p50_ms")
    )
    late_ms = by_schedule - by_stamp
    known = ~np.isnan(late_ms)
    if np.count_nonzero(known) < FEWEST_SECONDS:
        return
    low_ms, middle_ms, high_ms = np.percentile(late_ms[known], [10, 50, 90])
    arrived_ms = float(np.median(by_stamp[known]))
    allowed_ms = 1000 / rate_hz * DRIFT_PERIODS
    # Lateness of a busy loop differs from second to second; that of a timer that has slipped stays.
    constant = high_ms - low_ms <= max(allowed_ms, middle_ms / 4)
    if middle_ms > allowed_ms and constant and arrived_ms < middle_ms / 2:
        late = units.milliseconds(float(middle_ms))
        yield (
            f"the feed has slipped off its schedule: at the end, all ticks were stamped {late} after they "
            f"were due, although they then arrived within {units.milliseconds(arrived_ms)} and no pod was "
            "busy; its timer is set anew after each tick. Latencies and staleness by schedule contain these "
            f"{late}; the fan-out by stamp does not"
        )


def _idle(row: Row) -> bool:
    return (row.get("pod_loop_max") or 0.0) < BUSY_POD_LOOP


def _stamped(run: Run) -> Iterator[str]:
    from_s = run.info.trigger_s
    if from_s is None:
        from_s = scheduled_from_s(run)
    rows = [row for row in run.rows if from_s is not None and (row["t_s"] or 0.0) >= from_s]
    stamped, ticks = (series.total(series.column(rows, name)) for name in ("stamped", "ticks"))
    if not stamped or not ticks:
        return
    problems = dict.fromkeys(fit.problem for fit in run.info.feed_fits if fit.problem)
    because = "; ".join(problems) or "their schedule was not known yet, or their stamps were too early for it"
    since = "from the trigger on" if run.info.trigger_s is not None else f"from second {from_s} on"
    yield (
        f"{units.percent(stamped / ticks)} of the ticks received {since} count from their stamps, which hide "
        f"the lateness of the gateway: {because}"
    )
