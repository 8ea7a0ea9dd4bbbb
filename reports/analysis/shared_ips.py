"""What a storm meant to clients behind a shared IP: what a per-IP limit costs them."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from reports.analysis.delivery import ClientsBack, Ticks, clients_back_of
from reports.rundir import series
from reports.rundir.reader import Run

LASTING_S = 5


class SharedIpGroup(Struct, frozen=True, kw_only=True):
    """The clients of all source IPs with the same number of clients, from the trigger on."""

    clients_per_ip: int
    clients: int
    availability: float | None
    attempts: int
    limited: int
    back_after_s: int | None
    """Seconds from the trigger's end until 99 % of them were served and stayed so to the end, for at least
    5 s; 0 where they already were by then, None where they never were."""
    back: ClientsBack | None = None
    """When those of them were back that the storm disconnected."""
    ticks: Ticks | None = None
    """What became of the ticks due to them; None where ticks have no numbers, and in older runs."""


def shared_ip_groups(
    run: Run,
    from_s: int,
    to_s: int,
    trigger_end_s: int | None = None,
    *,
    counted_to_s: int | None = None,
    ticks_to_s: int | None = None,
) -> tuple[SharedIpGroup, ...]:
    """The clients of a run by the number of clients per IP, the smallest first.

    Their return counts over [from_s, to_s). counted_to_s: where availability, attempts and refusals end, as
    those of all clients do. ticks_to_s: where the due times of the ticks end. Both are `to_s` if not said.
    trigger_end_s: None where the trigger began and ended with `from_s`.
    """
    end_s = from_s if trigger_end_s is None else trigger_end_s
    counted_end_s = to_s if counted_to_s is None else counted_to_s
    ticks_end_s = to_s if ticks_to_s is None else ticks_to_s
    # Of a second of which the generator told nothing, ticks alone may be known.
    told = [row for row in run.shared_ips if row.get("clients") is not None]
    found = []
    for size in sorted({row["clients_per_ip"] or 0 for row in _between(told, from_s, to_s)}):
        own, with_ticks = (_of_size(rows, size) for rows in (told, run.shared_ips))
        ticks = None if run.info.unnumbered else _ticks(_between(with_ticks, from_s, ticks_end_s))
        back = clients_back_of(own, from_s, to_s, end_s)
        counted = _between(own, from_s, counted_end_s)
        back_after_s = _back_after_s(_between(own, from_s, to_s), end_s)
        found.append(_group(int(size), counted, back_after_s, back=back, ticks=ticks))
    return tuple(found)


def ticks_by_ip(groups: Iterable[SharedIpGroup], *, shared: bool) -> Ticks | None:
    """What became of the ticks due to all clients behind a shared IP, or to all that are alone on theirs;
    None where that of some is not known."""
    parts = [group.ticks for group in groups if (group.clients_per_ip > 1) == shared]
    known = [ticks for ticks in parts if ticks is not None]
    if not known or len(known) < len(parts):
        return None
    return Ticks(
        due=sum(ticks.due for ticks in known),
        in_time=sum(ticks.in_time for ticks in known),
        late=sum(ticks.late for ticks in known),
        never=sum(ticks.never for ticks in known),
        skipped=sum(ticks.skipped for ticks in known),
    )


def _of_size(rows: Sequence[series.Row], size: float) -> list[series.Row]:
    return [row for row in rows if row["clients_per_ip"] == size]


def _between(rows: Sequence[series.Row], from_s: int, to_s: int) -> list[series.Row]:
    return [row for row in rows if from_s <= (row["t_s"] or 0) < to_s]


def _ticks(rows: Sequence[series.Row]) -> Ticks | None:
    in_time, late, never, skipped = (
        round(series.total(series.column(rows, f"ticks_{part}")))
        for part in ("in_time", "late", "never", "skipped")
    )
    due = in_time + late + never
    return Ticks(due=due, in_time=in_time, late=late, never=never, skipped=skipped) if due else None


def _back_after_s(rows: Sequence[series.Row], trigger_end_s: int) -> int | None:
    served = (
        series.shares(series.column(rows, "useful"), series.column(rows, "clients")) >= series.SERVED_WELL
    )
    lasting = 0
    while lasting < len(served) and served[-1 - lasting]:
        lasting += 1
    if lasting < LASTING_S:
        return None
    return max(0, int(rows[len(rows) - lasting]["t_s"] or 0) - trigger_end_s)


def _group(
    size: int,
    counted: Sequence[series.Row],
    back_after_s: int | None,
    *,
    back: ClientsBack | None,
    ticks: Ticks | None,
) -> SharedIpGroup:
    clients, useful = series.column(counted, "clients"), series.column(counted, "useful")
    return SharedIpGroup(
        clients_per_ip=size,
        clients=int(series.highest(clients) or 0),
        availability=series.ratio(series.total(useful), series.total(clients)),
        attempts=round(series.total(series.column(counted, "attempts"))),
        limited=round(series.total(series.column(counted, "limited"))),
        back_after_s=back_after_s,
        back=back,
        ticks=ticks,
    )
