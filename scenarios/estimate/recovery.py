"""What becomes of a course: the rules of `reports/analysis/recovery.py`, on expected values.

The verdict on a run looks at single ticks, which the chain does not have. A tick is late here with the chance
that it falls due while handshakes hold it up for longer than the rule allows.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from reports.analysis.recovery import (
    ATTEMPTS_SHARE_PER_S,
    CPU_POINTS,
    DRAIN_SLOPE,
    DRAIN_WITHIN_S,
    P99_FACTOR,
    P99_FLOOR_MS,
)
from reports.rundir.series import SERVED, SERVED_WELL
from scenarios.estimate.chain import Course
from scenarios.estimate.pod import Pod

Floats = npt.NDArray[np.float64]
Word = Literal["recovers", "drains", "stuck"]

_LATE = 1 - 0.99
"""Of all ticks of all clients: so many may be late where the 99th percentile is not."""
_FRESH_S = 1.0
"""A client is served while its newest tick is under so old."""


class Outcome(Struct, frozen=True):
    """How one course ends."""

    word: Word
    """`recovers`: by itself, within the horizon; `drains`: on its way there at its end; `stuck`: neither, as
    in a metastable state."""
    time_to_recover_s: int | None
    """In whole seconds, as a run counts them; None where it does not recover."""
    served: float
    """Share of the client-seconds of the horizon."""
    attempts_per_client: float
    """Of those that were disconnected."""


def outcome(
    course: Course, pod: Pod, *, horizon_s: int, window_s: int, probe_s: int | None = None
) -> Outcome:
    """The outcome of a course of so many seconds; a recovery is a good window of `window_s` within it.

    probe_s: when a forced-recovery probe ends the course, unless enough clients are served by then.
    """
    clients = pod.clients
    second = np.minimum((np.arange(len(course.connected)) * course.step_s).astype(np.int64), horizon_s - 1)
    steps = np.bincount(second, minlength=horizon_s)

    def per_second(values: Floats) -> Floats:
        means: Floats = np.bincount(second, values, minlength=horizon_s) / np.maximum(steps, 1)
        return means

    share = _with_tick(course, pod) / clients
    fresh = np.clip((_FRESH_S - course.lag_s) * pod.rate_hz, 0.0, 1.0)
    served = per_second(share * fresh)
    late = per_second(1 - share + share * _late(course, pod))
    attempts = per_second(course.attempts / course.step_s)
    cpu = per_second(course.cpu)

    if probe_s is not None and probe_s < horizon_s and served[max(0, probe_s - 1)] < SERVED:
        horizon_s = probe_s
        served, late, attempts, cpu = (column[:probe_s] for column in (served, late, attempts, cpu))
    attempts_per_client = float(attempts.sum()) / pod.returning if pod.returning else 0.0
    whole = float(served.mean())
    if horizon_s >= window_s:
        good = (
            (_means(served, window_s) >= SERVED_WELL)
            & (served[: horizon_s - window_s + 1] >= SERVED_WELL)
            & (_means(late, window_s) <= _LATE)
            & (_means(attempts, window_s) <= ATTEMPTS_SHARE_PER_S * clients)
            & (_means(cpu, window_s) <= CPU_POINTS)
        )
        found = np.flatnonzero(good)
        if len(found):
            return Outcome("recovers", int(found[0]), whole, attempts_per_client)
    third = served[-max(1, horizon_s // 3) :]
    now = float(third.mean())
    rise = float(np.polyfit(np.arange(len(third)), third, 1)[0]) if len(third) > 1 else 0.0
    drains = rise > DRAIN_SLOPE and now + rise * DRAIN_WITHIN_S >= SERVED
    return Outcome("drains" if drains or now >= SERVED else "stuck", None, whole, attempts_per_client)


def _with_tick(course: Course, pod: Pod) -> Floats:
    """Clients that have had their first tick: half of the time between two ticks after the join."""
    shift = round(0.5 / pod.rate_hz / course.step_s)
    before = np.full(shift, pod.staying)
    shifted: Floats = np.concatenate((before, course.connected))[: len(course.connected)]
    return np.minimum(shifted, course.connected)


def _late(course: Course, pod: Pod) -> Floats:
    """The share of ticks that handshakes delay by more than the rule allows, by step."""
    calm_s = pod.clients * pod.tick_s / pod.speed
    allowed_s = max(P99_FLOOR_MS / 1000, (P99_FACTOR - 1) * calm_s)
    # A tick that comes into a handshake waits for the rest of it; where connections wait, a further one comes
    # between each two of its turns.
    turns = np.where(course.queues, pod.turns_per_tick, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = np.where(course.handshake_s > 0, 1 - (allowed_s / course.handshake_s - (turns - 1)), 0.0)
    late: Floats = np.where(
        course.lag_s > allowed_s, 1.0, np.minimum(1.0, course.busy) * np.clip(rest, 0.0, 1.0)
    )
    return late


def _means(values: Floats, length: int) -> Floats:
    means: Floats = np.lib.stride_tricks.sliding_window_view(values, length).mean(axis=1)
    return means
