"""What became of the service after the trigger, in one word and one sentence.

What has not recovered is judged by its last third: with less than `SERVED` it is down, and a rescue that
worked outranks any rise before it. A rise makes a SLOW_DRAIN only where it is hardly chance, and would bring
the service back within `DRAIN_WITHIN_S`. It takes `FEWEST_FOR_THIRDS` seconds to look for rises and swings;
of fewer, the last `FEWEST_SECONDS` say how many are served; with fewer than those, it counts as down.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from msgspec import Struct

from reports.analysis.metrics import Summary, aftermath, rescued_at_s
from reports.analysis.recovery import DRAIN_SLOPE, DRAIN_WITHIN_S, Recovery
from reports.analysis.rise import FEWEST_SECONDS, rise_per_s
from reports.analysis.validity import Validity
from reports.rundir import series
from reports.rundir.reader import Run
from reports.rundir.series import SERVED
from reports.text.units import percent

VerdictName = Literal["STEADY", "RECOVERED", "SLOW_DRAIN", "FLAPPING", "METASTABLE", "OUTAGE", "INVALID"]
MEANINGS: dict[VerdictName, str] = {
    "STEADY": "had no trigger",
    "RECOVERED": "is as before the trigger",
    "SLOW_DRAIN": "was still recovering at the end",
    "FLAPPING": "oscillated",
    "METASTABLE": (
        "did not recover until the forced-recovery probe, which brought the same clients back to the same "
        "pods at the same rate"
    ),
    "OUTAGE": "did not recover, and no forced-recovery probe brought it back",
    "INVALID": "is unknown: the measurement is not reliable",
}
"""What each verdict says of the service, from good to bad; METASTABLE and OUTAGE are equally bad for the
clients."""
RANKED = tuple(MEANINGS)

SWING = 0.20
"""Of the clients."""
SWING_BY_CHANCE = 2.0
"""Times the root of the number of clients: four standard deviations, at the most, where clients come and go
each for itself. With fewer than a hundred of them, that is more than `SWING`."""
SWINGS = 2
RESCUE_SECONDS = 3
FEWEST_FOR_THIRDS = 3 * FEWEST_SECONDS
"""So that the last third alone has as many seconds as anything is decided by."""


_MITIGATIONS = {
    "push_policy": "pushing a policy",
    "set_limit": "setting a limit",
    "scale": "scaling the pods",
    "nginx_reload": "a reload of the proxy",
}


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
    text = f"recovered {recovery.time_to_recover_s} s after {since}, "
    lasted = f"and stayed so for {recovery.window_s} consecutive seconds"
    last = recovery.mitigation
    if last is None:
        return f"{text}{lasted}"
    text += f"{last.after_s} s after {_mitigation_text(last.name)} (the last mitigation), {lasted}"
    if last.served_before is None:
        return text
    only = "only " if last.served_before < SERVED else ""
    return (
        f"{text}; {only}{percent(last.served_before)} of the clients were served in the {last.watched_s} s "
        "before the mitigation"
    )


def _mitigation_text(name: str) -> str:
    return _MITIGATIONS.get(name, name.replace("_", " "))


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
    if length < FEWEST_SECONDS:
        served = series.availability(run.between(from_s, to_s))
        down = f"not recovered within {length} s, too short to show a trend: {percent(served)} of the clients"
        return _judge_down(run, f"{down} were served")
    if length < FEWEST_FOR_THIRDS:
        return _judge_served(run, summary, to_s - FEWEST_SECONDS, to_s)
    useful = series.column(run.between(from_s + length / 3, to_s), "useful")
    swing = max(SWING * summary.clients, SWING_BY_CHANCE * summary.clients**0.5)
    moves = swings([float(value) for value in useful if not np.isnan(value)], swing)
    if moves >= SWINGS:
        share = percent(swing / max(1, summary.clients))
        return Verdict(
            "FLAPPING", f"availability oscillated ({moves} swings of more than {share} of the clients)"
        )
    return _judge_served(run, summary, to_s - length // 3, to_s, rising=True)


def _judge_served(run: Run, summary: Summary, from_s: int, to_s: int, *, rising: bool = False) -> Verdict:
    """By the seconds of [from_s, to_s). rising: there are enough of them to look for a rise."""
    end = "of the run" if rescued_at_s(run) is None else "before the forced-recovery probe"
    when = f"the last {to_s - from_s} s {end}"
    served = series.availability(run.between(from_s, to_s))
    useful = series.aligned(run, "useful", from_s, to_s)
    slope = rise_per_s(useful.tolist()) / max(1, summary.clients) if rising else 0.0
    rises = slope > DRAIN_SLOPE
    drains = rises and (served or 0.0) + slope * DRAIN_WITHIN_S >= SERVED
    rising_by = f"rising by {percent(slope)} of the clients per second"
    if served is None or served < SERVED:
        down = f"only {percent(served)} of the clients were served in {when}"
        if drains and (_rescued(run) or 0.0) >= SERVED:
            return _judge_down(run, f"{down}, {rising_by}")
        if rises and not drains:
            return _judge_down(run, f"{down}, {rising_by}: too slow to recover within {DRAIN_WITHIN_S} s")
        if not drains:
            return _judge_down(run, f"{down}, not recovering")
    if drains:
        return Verdict(
            "SLOW_DRAIN",
            f"not fully recovered: {percent(served)} of the clients were served in {when}, {rising_by}",
        )
    window_s = summary.recovery.window_s
    unmet = "; ".join(summary.recovery.missing) or f"no {window_s} consecutive seconds met all conditions"
    return Verdict(
        "SLOW_DRAIN",
        f"not fully recovered: {percent(served)} of the clients were served in {when}; {unmet}",
    )


def _judge_down(run: Run, down: str) -> Verdict:
    rescued = _rescued(run)
    if rescued is None:
        return Verdict("OUTAGE", f"{down}; no forced-recovery probe was run")
    if rescued >= SERVED:
        return Verdict(
            "METASTABLE",
            f"{down}; recovered to {percent(rescued)} after the rescue policy, with the same clients, pods "
            "and feed rate: metastable",
        )
    return Verdict("OUTAGE", f"{down}; not recovered after the rescue policy either ({percent(rescued)})")


def _rescued(run: Run) -> float | None:
    """The share of clients served at the end of the rescue; None without a rescue."""
    phase = run.phase("rescue")
    rescue = run.between(phase.from_s, phase.to_s)[-RESCUE_SECONDS:] if phase else []
    return (series.availability(rescue) or 0.0) if rescue else None
