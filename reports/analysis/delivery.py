"""What a storm cost the clients: which ticks came too late or never, and when the clients were back.

Every tick that was due to a client counts once:

    in time   within 1 s of its due time, the client held it or a newer one
    late      the client held it or a newer one, but later than that
    never     at the end of the measurement, the client held neither

So in time + late + never = all. These are the effective latencies below 1 s, those from 1 s on, and the
censored ones. A tick that was *skipped* counts by the newer one that the client received in its place: it is
in time or late, although the client never received the tick itself. *Lost* are all ticks that a client never
received: those skipped, and those of `never`.

Clients are back when they are served again. A second says how many clients were served, not which ones: p %
of the disconnected clients are back at the first of five consecutive seconds that all serve so many clients
more than the worst second.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct

from reports.rundir import latency, series
from reports.rundir.latency import IN_TIME_US, Counts, Latency
from reports.rundir.reader import Run
from reports.rundir.series import Row, Seconds

DECIDED_AFTER_S = 1
"""The last second of a measurement is too short to tell whether its ticks are in time."""
BACK_FOR_S = 5
"""For so long clients have to be served, together, to be back."""
SHARES = (50, 95, 99, 100)


class Ticks(Struct, frozen=True, kw_only=True):
    """What became of the ticks that were due to all clients; `in_time + late + never == due`."""

    due: int
    in_time: int
    late: int
    never: int
    skipped: int = 0
    """Of the ones in time and late: never received themselves, because a newer one came in their place."""

    @property
    def lost(self) -> int:
        """Ticks that a client never received."""
        return self.skipped + self.never


class SessionRecovery(Struct, frozen=True, kw_only=True):
    """What connection state recovery did for clients that asked for it."""

    asked: int
    """Sessions that asked for it when they joined."""
    recovered: int
    replayed: int
    """Missed ticks that recovered sessions were sent."""
    duplicated: int
    """Ticks that a client received again."""
    delivered: int
    """Ticks received, each once."""
    lost: int | None
    """Ticks that a client never received; None where they have no numbers."""


class Back(Struct, frozen=True):
    """When clients were back, in seconds from the trigger's end; 0 where they were by then."""

    after_s: int
    at_least: bool = False
    """They were not by the end of the measurement: they cannot have been before this time."""


class ClientsBack(Struct, frozen=True, kw_only=True):
    """How the clients that a storm disconnected came back."""

    disconnected: int
    """Clients that were served before the trigger, minus those served in the worst second after it. A client
    that is back within that second counts in part."""
    back_50: Back
    back_95: Back
    back_99: Back
    back_100: Back
    never_returned: int
    """Disconnected clients that were served neither for five seconds nor at the rescue or the end."""


def ticks_of(known: Counts, censored: Counts, skipped: int = 0, *, within_us: int = IN_TIME_US) -> Ticks:
    """Counts effective latencies, and those of which only a lower bound is known.

    A bucket of the histogram that reaches `within_us` counts as late; it is 0.05 % wide.
    """
    first_late = int(latency.places_of(np.array([within_us]))[0])
    in_time, all_known, never = (int(part.sum()) for part in (known[:first_late], known, censored))
    return Ticks(
        due=all_known + never, in_time=in_time, late=all_known - in_time, never=never, skipped=skipped
    )


def ticks_due(run: Run, from_s: int, to_s: int) -> Ticks | None:
    """What became of the ticks due in [from_s, to_s); None where none was, or where they have no numbers:
    then nobody knows what a client did not receive."""
    if run.info.unnumbered:
        return None
    known, censored = (
        latency.between(run.histograms.get(tag, {}), from_s, to_s) for tag in ("effective", "censored")
    )
    rows = run.between(from_s, to_s)
    by_due_second = series.column(rows, "skipped")
    # Older runs have the second in which a client found out.
    there = series.mean(by_due_second) is not None
    skipped = round(series.total(by_due_second if there else series.column(rows, "missed")))
    found = ticks_of(known, censored)
    if not found.due:
        return None
    return ticks_of(known, censored, min(skipped, found.in_time + found.late))


def session_recovery(rows: Sequence[Row], ticks: Ticks | None) -> SessionRecovery | None:
    """What recovery did in `rows` of the series, with what became of the ticks that were due in them; None
    where no client asked for it."""

    def count(name: str) -> int:
        return round(series.total(series.column(rows, name)))

    if not count("recovery_asked"):
        return None
    return SessionRecovery(
        asked=count("recovery_asked"),
        recovered=count("recovered"),
        replayed=count("replayed"),
        duplicated=count("duplicated"),
        delivered=count("ticks") - count("duplicated"),
        lost=ticks.lost if ticks else None,
    )


def clients_back(served: Seconds, served_before: float, trigger_end: int = 0) -> ClientsBack | None:
    """How clients came back, from how many were served in each second from the trigger on.

    trigger_end: the second, of these, in which the trigger was over. None where no second is known.
    """
    known = np.flatnonzero(~np.isnan(served))
    if not len(known):
        return None
    whole = np.floor(served[: known[-1] + 1] + 0.5)
    before, lowest = int(served_before + 0.5), int(np.nanmin(whole))
    disconnected = max(0, before - lowest)
    returned = np.nan_to_num(whole - lowest, nan=-1.0)
    worst = int(np.nanargmin(whole))
    after = {share: _back(returned, worst, -(-disconnected * share // 100), trigger_end) for share in SHARES}
    # What is served at the end has returned, though not for long enough to say that it is back.
    best = max(returned[start : start + BACK_FOR_S].min() for start in range(worst, len(returned)))
    return ClientsBack(
        disconnected=disconnected,
        back_50=after[50],
        back_95=after[95],
        back_99=after[99],
        back_100=after[100],
        never_returned=max(0, disconnected - max(0, int(best))),
    )


def clients_back_of(
    rows: Sequence[Row], from_s: int, to_s: int, trigger_end_s: int | None = None
) -> ClientsBack | None:
    """The same of rows with `useful` and `clients`, for a trigger in second `from_s`; it may have lasted."""
    calm = [row for row in rows if 0 <= (row["t_s"] or 0) < from_s]
    before = series.mean(series.column(calm, "useful"))
    if before is None:
        before = series.highest(series.column(rows, "clients")) or 0.0
    end_s = from_s if trigger_end_s is None else max(from_s, trigger_end_s)
    return clients_back(_by_second(rows, from_s, to_s), before, end_s - from_s)


def share_of(ticks: Ticks | None, part: str) -> float | None:
    """One part of the ticks that were due, such as `late`, as a share of 1."""
    return getattr(ticks, part) / ticks.due if ticks else None


def back_after(back: ClientsBack | None, share: int) -> Latency | None:
    """When so many per cent were back: here the number of a `Latency` is in seconds."""
    if back is None:
        return None
    found: Back = getattr(back, f"back_{share}")
    return Latency(float(found.after_s), found.at_least)


def _back(returned: Seconds, worst: int, wanted: int, trigger_end: int) -> Back:
    """When so many clients were back, to stay for a while."""
    if not wanted:
        return Back(0)
    starts = (start for start, held in enumerate(_held(returned, worst), worst) if held >= wanted)
    found = next(starts, None)
    if found is not None:
        return Back(max(0, found - trigger_end))
    # Even if everybody is served after the end: no start before the last second with too few clients.
    too_few = np.flatnonzero(returned < wanted)
    first_possible = max(int(too_few[-1]) + 1, len(returned) - BACK_FOR_S + 1)
    return Back(max(0, first_possible - trigger_end), at_least=True)


def _held(returned: Seconds, from_second: int) -> Iterator[float]:
    """The fewest that were served in any of five seconds, for each second in which these may begin."""
    for start in range(from_second, len(returned) - BACK_FOR_S + 1):
        yield float(returned[start : start + BACK_FOR_S].min())


def _by_second(rows: Sequence[Row], from_s: int, to_s: int) -> Seconds:
    served = np.full(max(0, to_s - from_s), np.nan)
    for row in rows:
        second, cell = row["t_s"], row.get("useful")
        if second is not None and cell is not None and from_s <= second < to_s:
            served[int(second) - from_s] = cell
    return served
