"""When did everything work again?

A run has recovered at the start of the first window in which all of these are as good as in the seconds
before the trigger: clients served, effective p99, CPU of the pods, attempts. The window is long,
because a storm also has calm moments. No window begins before the trigger has ended.

This is the one rule: a run that ends early asks it as well, of what is recorded by then.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from reports.analysis.actions import LastMitigation
from reports.rundir import series
from reports.rundir.latency import Latency, effective, effective_windows
from reports.rundir.reader import Run
from reports.rundir.series import SERVED_WELL
from reports.text.units import distinct, expected, milliseconds, per_second, percent

P99_FACTOR = 1.5
P99_FLOOR_MS = 25.0
"""On shared cores a calm p99 of 40 ms moves by as much from one minute to the next, without any storm."""
CPU_POINTS = 0.10
ATTEMPTS_FACTOR = 2.0
ATTEMPTS_SHARE_PER_S = 0.01
"""The baseline has next to no attempts, and twice nothing would forbid a single straggler."""
DRAIN_SLOPE = 0.001
"""Of the clients, per second."""
DRAIN_WITHIN_S = 300
"""A rise that would take longer than this to bring the service back is none that anybody can wait for."""


class Baseline(Struct, frozen=True):
    """How it was before the trigger."""

    effective_p99_ms: float
    pod_cpu: float | None
    attempts_per_s: float


class Recovery(Struct, frozen=True, kw_only=True):
    """When a run recovered, in seconds from the trigger's end, and how far it was observed."""

    window_s: int
    """How long all conditions must be met."""
    counted_from_s: int | None = None
    """The trigger's end, in seconds of steady state; None in a run without a trigger."""
    observable_s: int | None = None
    """The latest recovery that would have been seen; None where the record is shorter than one window."""
    time_to_recover_s: int | None = None
    """None where no window within reach was good."""
    at_least_s: int | None = None
    """Where it did not recover: no recovery can have begun before. Later than `observable_s` where the
    seconds that are left before the end are themselves too bad to begin a good window."""
    missing: tuple[str, ...] = ()
    """The conditions that the last full window did not meet, a sentence each."""
    mitigation: LastMitigation | None = None
    """The last one that came before the recovery."""
    after_mitigation_s: int | None = None
    """Seconds from its end to the recovery; None without either."""


def baseline_of(run: Run) -> Baseline | None:
    """How it was before the trigger; None where no tick of that time has reached anybody."""
    before = run.phase("before")
    if before is None:
        return None
    rows = run.between(before.from_s, before.to_s)
    p99 = effective(run, before.from_s, before.to_s, 99)
    if not rows or p99 is None:
        return None
    attempts = series.mean(series.column(rows, "attempts"))
    return Baseline(p99.ms, series.mean(series.column(rows, "pod_cpu")), attempts or 0.0)


def recovery(run: Run, baseline: Baseline | None, from_s: int, to_s: int, window_s: int) -> Recovery:
    """The first good window of `window_s` seconds that lies within [from_s, to_s).

    `from_s` is the trigger's end. Enough clients must be served in the window's first second alone: otherwise
    30 good seconds would hide the bad one before them.
    """
    if baseline is None:
        return Recovery(window_s=window_s, counted_from_s=from_s, missing=("no baseline to compare with",))
    clients = series.aligned(run, "clients", from_s, to_s)
    useful = series.aligned(run, "useful", from_s, to_s)
    starts = to_s - from_s - window_s + 1
    if starts < 1:
        return Recovery(
            window_s=window_s,
            counted_from_s=from_s,
            at_least_s=_first_possible(series.shares(useful, clients), 0, window_s),
            missing=(f"the record is shorter than the recovery window of {window_s} s",),
        )
    share = series.shares(_window_means(useful, window_s), _window_means(clients, window_s))
    first = series.shares(useful, clients)[:starts]
    p99 = list(effective_windows(run, from_s, to_s, window_s, 99))
    cpu = _window_means(series.aligned(run, "pod_cpu", from_s, to_s), window_s)
    attempts = _window_means(series.aligned(run, "attempts", from_s, to_s), window_s)

    p99_limit_ms = max(P99_FACTOR * baseline.effective_p99_ms, baseline.effective_p99_ms + P99_FLOOR_MS)
    cpu_limit = None if baseline.pod_cpu is None else baseline.pod_cpu + CPU_POINTS
    attempts_limit = np.maximum(
        ATTEMPTS_FACTOR * baseline.attempts_per_s,
        ATTEMPTS_SHARE_PER_S * _window_means(clients, window_s),
    )
    useful_good, first_good = share >= SERVED_WELL, first >= SERVED_WELL
    p99_good = np.array([value is not None and value.ms <= p99_limit_ms for value in p99])
    cpu_good = np.full(starts, True) if cpu_limit is None else cpu <= cpu_limit
    attempts_good = attempts <= attempts_limit

    good = np.flatnonzero(useful_good & first_good & p99_good & cpu_good & attempts_good)
    missing = []
    if not useful_good[-1]:
        missing.append(f"clients served: {expected('≥', percent, SERVED_WELL, share[-1])}")
    elif not first_good[-1]:
        missing.append(
            f"clients served in the window's first second: {expected('≥', percent, SERVED_WELL, first[-1])}"
        )
    if not p99_good[-1]:
        missing.append(f"effective p99: {_p99_text(p99_limit_ms, p99[-1])}")
    if cpu_limit is not None and not cpu_good[-1]:
        missing.append(f"pod CPU: {expected('≤', percent, cpu_limit, cpu[-1])}")
    if not attempts_good[-1]:
        missing.append(f"attempts: {expected('≤', per_second, attempts_limit[-1], attempts[-1])}")
    return Recovery(
        window_s=window_s,
        counted_from_s=from_s,
        observable_s=starts - 1,
        time_to_recover_s=int(good[0]) if len(good) else None,
        at_least_s=None if len(good) else _first_possible(series.shares(useful, clients), starts, window_s),
        missing=tuple(missing),
    )


def _first_possible(shares: NDArray[np.float64], from_start: int, window_s: int) -> int:
    """The first start from which a window that runs past the end might still turn out good."""
    lost = np.nan_to_num(1 - shares)
    lost_until_end = np.cumsum(lost[::-1])[::-1]
    # Even if every client were served after the end.
    possible = (lost <= 1 - SERVED_WELL) & (lost_until_end <= (1 - SERVED_WELL) * window_s)
    later = np.flatnonzero(possible[from_start:])
    return from_start + int(later[0]) if len(later) else len(shares)


def _p99_text(limit_ms: float, p99: Latency | None) -> str:
    limit, text = distinct(milliseconds, limit_ms, None if p99 is None else p99.ms)
    return f"expected ≤ {limit}, got {'≥ ' if p99 and p99.at_least else ''}{text}"


def _window_means(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """The mean of every full window, by its start; NaN where a second is missing."""
    means: NDArray[np.float64] = np.lib.stride_tricks.sliding_window_view(values, length).mean(axis=1)
    return means
