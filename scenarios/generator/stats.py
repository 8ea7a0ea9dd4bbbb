"""Feeds an interval into Locust's own statistics, so that its web UI, CSV and summary show the truth.

Locust would take every value by itself and round it to two digits. Whole seconds go in at once instead,
with the histogram's own three digits as keys.
"""

import time
from typing import Any

import numpy as np
from locust.stats import RequestStats, StatsEntry, StatsError

from reports.rundir.columns import OUTCOMES
from scenarios.wire.interval import Interval, Samples


def feed(stats: RequestStats, interval: Interval) -> None:
    """Adds one interval: `FANOUT tick` for deliveries, `CONNECT …` for attempts by outcome.

    Locust's charts show the total, so that holds the deliveries alone: its percentiles are the fan-out's,
    and its failures are the attempts that failed. A spread, where ticks carry no time, is called one.
    """
    name = "tick spread" if interval.reference == "first receipt" else "tick"
    if interval.fanout.counts:
        _log(stats.entries[(name, "FANOUT")], interval.fanout)
        _log(stats.total, interval.fanout)
    for outcome, durations in interval.attempt_durations.items():
        _log(stats.entries[(outcome, "CONNECT")], durations)
        if outcome != "joined":
            _fail(stats, outcome, interval.outcomes[outcome])


def _log(entry: StatsEntry, samples: Samples) -> None:
    values_us, counts = samples.arrays()
    total = int(counts.sum())
    # Locust takes 0 ms for "no time known", so that the shortest time is a microsecond.
    milliseconds = np.maximum(values_us, 1) / 1000
    _roll_cache(entry)
    now = time.time()
    entry.num_requests += total
    entry.num_reqs_per_sec[int(now)] += total
    entry.last_request_timestamp = now
    entry.total_response_time += float(milliseconds @ counts)  # type: ignore[assignment]
    lowest, highest = float(milliseconds[0]), float(milliseconds[-1])
    entry.min_response_time = min(entry.min_response_time or lowest, lowest)  # type: ignore[assignment]
    entry.max_response_time = max(entry.max_response_time, highest)  # type: ignore[assignment]
    response_times: Any = entry.response_times
    for value, count in zip(milliseconds.tolist(), counts.tolist(), strict=True):
        response_times[value] += count


def _fail(stats: RequestStats, outcome: str, count: int) -> None:
    for entry in (stats.entries[(outcome, "CONNECT")], stats.total):
        entry.num_failures += count
        entry.num_fail_per_sec[int(time.time())] += count
    key = StatsError.create_key("CONNECT", outcome, OUTCOMES[outcome])
    error = stats.errors.setdefault(key, StatsError("CONNECT", outcome, OUTCOMES[outcome]))
    error.occurrences += count


def _roll_cache(entry: StatsEntry) -> None:
    # What StatsEntry.log does before it counts a request: current percentiles come from this cache.
    now = int(time.time())
    last = entry.last_request_timestamp
    if entry.use_response_times_cache and last and now > int(last):
        entry._cache_response_times(now - 1)
