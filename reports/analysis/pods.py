"""Each pod for itself: how busy it was, how soon it had no time left, and what it was left with."""

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from reports.analysis.actions import fired_events
from reports.rundir import series
from reports.rundir.reader import Run
from reports.rundir.series import Row

SATURATED_LOOP = 0.95
SATURATED_SECONDS = 3
END_SECONDS = 3


class PodSummary(Struct, frozen=True, kw_only=True):
    """One pod from the trigger on; in a run without a trigger, from the start of the steady state on."""

    pod: int
    joined_after_s: int | None
    """Its first report, in seconds from the trigger; None for a pod that was there before."""
    cpu: float | None
    """CPU-seconds per second, mean."""
    loop: float | None
    """Share of time in which its event loop was occupied, mean."""
    saturated_after_s: int | None
    """When its loop was first occupied for at least 95 % of three consecutive seconds; None where never.

    Seconds from the trigger, or from its first report where that was later."""
    clients_at_end: int | None
    """None for a pod that did not report within the last three seconds."""


def pod_summaries(run: Run, from_s: int, to_s: int) -> tuple[PodSummary, ...]:
    """The pods that reported in [from_s, to_s), by their index; `from_s` is the trigger."""
    by_pod: dict[int, list[Row]] = {}
    for row in run.pods:
        by_pod.setdefault(_whole(row, "pod"), []).append(row)
    return tuple(
        _pod_summary(pod, rows, from_s, to_s)
        for pod, rows in sorted(by_pod.items())
        if any(from_s <= _whole(row, "t_s") < to_s for row in rows)
    )


def _pod_summary(pod: int, rows: Sequence[Row], from_s: int, to_s: int) -> PodSummary:
    first_s = min(_whole(row, "t_s") for row in rows)
    counted_from_s = max(from_s, first_s)
    stretch = [row for row in rows if from_s <= _whole(row, "t_s") < to_s]
    saturated_s = _saturated_s(stretch)
    last = max(stretch, key=lambda row: _whole(row, "t_s"))
    return PodSummary(
        pod=pod,
        joined_after_s=first_s - from_s if first_s > from_s else None,
        cpu=series.mean(series.column(stretch, "cpu")),
        loop=series.mean(series.column(stretch, "loop")),
        saturated_after_s=None if saturated_s is None else saturated_s - counted_from_s,
        clients_at_end=_whole(last, "clients") if _whole(last, "t_s") >= to_s - END_SECONDS else None,
    )


def spread(pods: Iterable[PodSummary]) -> float | None:
    """Clients of the fullest pod ÷ mean, at the end: 1 where all have equally many; None without clients."""
    clients = [pod.clients_at_end for pod in pods if pod.clients_at_end is not None]
    return series.ratio(max(clients) * len(clients), sum(clients)) if clients else None


def received_beyond_sent(run: Run) -> tuple[float, float] | None:
    """Ticks received and sent, where clients received more than pods can have sent; None where not."""
    sent, received = series.present(run.rows, "ticks_sent"), sum(series.present(run.rows, "ticks"))
    if not sent:
        return None
    # The last second's deliveries may have been counted on one side of a boundary only, and a pod that is
    # killed takes the count of up to a second with it.
    of_one_pod = max(series.present(run.pods, "ticks_sent"), default=max(sent))
    most = sum(sent) + max(sent) + lost_reports(run) * of_one_pod
    return (received, sum(sent)) if received > most else None


def lost_reports(run: Run) -> int:
    """How many times a pod ended before it could report its last second, or stood still and may not have."""
    lost = 0
    for event in fired_events(run.events):
        match event.name:
            case "kill_pod" | "pause_pod":
                lost += 1
            case "rolling_restart" | "deploy":
                # How many there were is known at its end.
                lost += int(event.details.get("pods") or len({row["pod"] for row in run.pods}))
            case "scale":
                lost += int(event.details.get("removed") or 0)
    happened = Counter(line["event"] for line in run.events)
    return lost + max(happened["pod_killed"], happened["pod_restarted"])


def _saturated_s(rows: Sequence[Row]) -> int | None:
    busy = {_whole(row, "t_s") for row in rows if (row["loop"] or 0.0) >= SATURATED_LOOP}
    starts = (t for t in sorted(busy) if busy.issuperset(range(t, t + SATURATED_SECONDS)))
    return next(starts, None)


def _whole(row: Row, name: str) -> int:
    return int(row[name] or 0)
