"""The live verdict: the state of a run by the second that has just ended."""

from collections.abc import Sequence
from math import nan
from typing import Literal

from msgspec import Struct

from reports.analysis.rise import rise_per_s
from reports.rundir.series import SERVED, SERVED_WELL
from reports.text.units import distinct, percent
from scenarios.runner.operator import Row

Word = Literal[
    "steady",
    "unaffected",
    "fault active",
    "degraded",
    "recovering",
    "recovered",
    "not recovering",
    "rescue",
]

RISING_PER_S = 0.005
"""Share of the clients per second; a slower rise is not shown as a recovery."""
WATCHED_S = 10
"""Seconds in which a rise is looked for."""
PATIENCE_S = 20
"""Seconds after the fault without a rise, after which the state is `not recovering`."""


class Forming(Struct, frozen=True, kw_only=True):
    """State, sentence, and since when all clients are served."""

    word: Word
    sentence: str
    well_since_s: int | None = None
    """The second since which all clients have been served; None while some are not."""


def forming(
    rows: Sequence[Row],
    *,
    trigger_s: int | None,
    trigger_end_s: int | None,
    window_s: int,
) -> Forming:
    """The state after these seconds, which are in order.

    trigger_end_s: when the last fault ended; None while it is active. window_s: for how long all clients have
    to be served before a recovery counts.
    """
    known = [(int(row["t_s"]), _share(row)) for row in rows if row.get("clients") and "useful" in row]
    if not known:
        return Forming(word="steady", sentence="nothing measured yet")
    now_s, share = known[-1]
    if trigger_s is None or now_s < trigger_s:
        return Forming(word="steady", sentence=f"steady state: {percent(share)} served")
    since = _well_since(known, trigger_s if trigger_end_s is None else trigger_end_s)
    if all(each >= SERVED_WELL for t_s, each in known if t_s >= trigger_s):
        sentence = f"unaffected: ≥ {percent(SERVED_WELL)} served in every second so far"
        return Forming(word="unaffected", sentence=sentence, well_since_s=since)
    if trigger_end_s is None:
        return Forming(word="fault active", sentence=f"fault active: {percent(share)} served")
    if since is not None:
        held_s = now_s + 1 - since
        sentence = f"≥ {percent(SERVED_WELL)} served since {since} s"
        sentence = (
            f"recovered: {sentence} ({held_s} s)"
            if held_s >= window_s
            else f"{sentence} ({held_s} s so far, {window_s} s needed)"
        )
        return Forming(word="recovered", sentence=sentence, well_since_s=since)
    return _not_back(known, share, trigger_s, trigger_end_s)


def _not_back(
    known: Sequence[tuple[int, float]], share: float, trigger_s: int, trigger_end_s: int
) -> Forming:
    now_s = known[-1][0]
    shares = dict(known)
    watched_from_s = max(trigger_s, now_s + 1 - WATCHED_S)
    rise = rise_per_s([shares.get(t_s, nan) for t_s in range(watched_from_s, now_s + 1)])
    waited_s = now_s + 1 - trigger_end_s
    if rise > RISING_PER_S:
        word: Word = "recovering"
        sentence = f"recovering: {percent(share)} served, rising by {percent(rise)} of clients per second"
    elif share >= SERVED:
        expected, served = distinct(percent, SERVED_WELL, share)
        word, sentence = "recovering", f"recovering: {served} served, expected ≥ {expected}"
    elif waited_s < PATIENCE_S:
        word, sentence = "degraded", f"degraded: {percent(share)} served"
    else:
        word = "not recovering"
        sentence = f"not recovering: {percent(share)} served, {waited_s} s after the fault ended"
    return Forming(word=word, sentence=sentence)


def _share(row: Row) -> float:
    return float(row["useful"] / row["clients"])


def _well_since(known: Sequence[tuple[int, float]], not_before_s: int) -> int | None:
    """The start of the unbroken stretch of well-served seconds at the end; None where there is none."""
    since = None
    for t_s, share in reversed(known):
        if share < SERVED_WELL or t_s < not_before_s:
            break
        since = t_s
    return since
