"""What became of the service after the trigger, in one word and one sentence.

From the best to the worst: RECOVERED, SLOW_DRAIN (still improving), FLAPPING (up and down), METASTABLE (down,
though the same clients, pods and rate can work: the rescue proved it), OUTAGE (down, and nothing proved
that). INVALID says nothing about the service; STEADY is a run without a trigger.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from msgspec import Struct

from reports import series
from reports.metrics import Summary, aftermath
from reports.record import Run
from reports.recovery import Recovery
from reports.units import percent
from reports.validity import Validity

VerdictName = Literal["STEADY", "RECOVERED", "SLOW_DRAIN", "FLAPPING", "METASTABLE", "OUTAGE", "INVALID"]
RANKED: tuple[VerdictName, ...] = (
    "STEADY",
    "RECOVERED",
    "SLOW_DRAIN",
    "FLAPPING",
    "METASTABLE",
    "OUTAGE",
    "INVALID",
)
"""From good to bad; METASTABLE and OUTAGE are as bad as each other for whoever is out."""

GOODPUT = 0.90
DRAIN_SLOPE = 0.001
"""Of the clients, per second."""
SWING = 0.20
"""Of the clients."""
SWINGS = 2
RESCUE_SECONDS = 3
FEWEST_SECONDS = 3


class Verdict(Struct, frozen=True):
    """What a run shows, and why."""

    name: VerdictName
    reason: str


def judge(run: Run, summary: Summary, validity: Validity) -> Verdict:
    """The verdict on a run, from its whole stretch between the trigger's end and the rescue or the end.

    Where the trigger went on to the end, it is judged from the beginning of the trigger on.
    """
    if not validity.valid:
        more = len(validity.problems) - 1
        return Verdict("INVALID", validity.problems[0] + (f" (and {more} more)" if more else ""))
    stretch = aftermath(run)
    if stretch is None or run.info.control:
        share = summary.before.availability if summary.before else None
        return Verdict("STEADY", f"no trigger; {percent(share)} of all client-seconds were served")
    recovery = summary.recovery
    if recovery.time_to_recover_s is not None:
        return Verdict("RECOVERED", _recovered(recovery, lasting=stretch[0] != run.info.trigger_s))
    from_s, to_s = stretch
    if to_s - from_s < FEWEST_SECONDS:
        from_s = run.info.trigger_s or 0
    return _judge_unrecovered(run, summary, from_s, to_s)


def _recovered(recovery: Recovery, *, lasting: bool) -> str:
    """lasting: the trigger went on for longer than the second in which it began."""
    since = "the end of the trigger" if lasting else "the trigger"
    text = f"everything held again from {recovery.time_to_recover_s} s after {since}, "
    last = recovery.mitigation
    if last is None:
        return f"{text}for {recovery.window_s} s on end"
    text += f"{last.after_s} s after {last.name} (the last mitigation), for {recovery.window_s} s on end"
    if last.served_before is None:
        return text
    only = "only " if last.served_before < GOODPUT else ""
    return f"{text}; {only}{percent(last.served_before)} were served in the {last.watched_s} s before it"


def swings(values: Sequence[float], threshold: float) -> int:
    """How many times `values` rose or fell by more than `threshold`, up and down in alternation.

    A zigzag: a movement is over once the values have turned back by more than the threshold, so noise below
    it neither counts nor cuts a movement in two. One rise from bottom to top is one swing.
    """
    count, direction = 0, 0
    low = high = values[0] if values else 0.0
    for value in values:
        low, high = min(low, value), max(high, value)
        if direction <= 0 and value - low > threshold:
            count, direction, high = count + 1, 1, value
        elif direction >= 0 and high - value > threshold:
            count, direction, low = count + 1, -1, value
    return count


def _judge_unrecovered(run: Run, summary: Summary, from_s: int, to_s: int) -> Verdict:
    length = to_s - from_s
    useful = series.column(run.between(from_s + length / 3, to_s), "useful")
    moves = swings([float(value) for value in useful if not np.isnan(value)], SWING * summary.clients)
    if moves >= SWINGS:
        return Verdict(
            "FLAPPING", f"clients went and came: {moves} swings of more than {percent(SWING)} of the clients"
        )
    last_third = run.between(to_s - length / 3, to_s)
    served = series.availability(last_third)
    slope = _slope_per_s(series.column(last_third, "useful")) / max(1, summary.clients)
    if slope > DRAIN_SLOPE:
        return Verdict(
            "SLOW_DRAIN",
            f"not steady again, but {percent(served)} were served in the last third, "
            f"and {percent(slope)} of the clients more every second",
        )
    if served is None or served < GOODPUT:
        return _judge_down(run, served)
    lacks = "; ".join(summary.recovery.missing) or "no window of the required length was good throughout"
    return Verdict("SLOW_DRAIN", f"{percent(served)} are served, but not everything is back: {lacks}")


def _judge_down(run: Run, served: float | None) -> Verdict:
    down = f"only {percent(served)} of the clients were served in the last third, with no sign of more"
    phase = run.phase("rescue")
    rescue = run.between(phase.from_s, phase.to_s)[-RESCUE_SECONDS:] if phase else []
    if not rescue:
        return Verdict("OUTAGE", f"{down}; no rescue was tried")
    rescued = series.availability(rescue)
    if rescued is not None and rescued >= GOODPUT:
        return Verdict(
            "METASTABLE",
            f"{down}; another policy brought {percent(rescued)} of the same clients back, "
            "to the same pods, at the same rate",
        )
    return Verdict("OUTAGE", f"{down}; the rescue policy did not bring them back ({percent(rescued)})")


def _slope_per_s(values: series.Seconds) -> float:
    """The Theil-Sen slope, or 0 where its 95 % interval leaves open whether there is any rise."""
    there = np.flatnonzero(~np.isnan(values))
    if len(there) < 3:
        return 0.0
    # It takes more than a second to import, and most runs need no slope.
    from scipy.stats import theilslopes  # noqa: PLC0415

    slope, _, low, _ = theilslopes(values[there], there)
    return float(slope) if low > 0 else 0.0
