"""What a storm meant to clients that share their source address: the price of a per-address limit."""

from collections.abc import Sequence
from statistics import median

from msgspec import Struct

from reports.rundir import series
from reports.rundir.reader import Run
from reports.text import units

USEFUL_SHARE = 0.99
LASTING_S = 5


class Neighbourhood(Struct, frozen=True, kw_only=True):
    """Clients that share their address with equally many, from the trigger on."""

    clients_per_ip: int
    clients: int
    availability: float | None
    attempts: int
    limited: int
    back_after_s: int | None
    """Seconds from the trigger's end until 99 % of them were usefully connected and stayed so to the end, for
    5 s at least; 0 where they were before, None where that did not come."""


def neighbourhoods(
    run: Run, from_s: int, to_s: int, trigger_end_s: int | None = None
) -> tuple[Neighbourhood, ...]:
    """The clients of a run by how many share an address, over [from_s, to_s), the smallest first.

    trigger_end_s: None where the trigger began and ended with `from_s`.
    """
    end_s = from_s if trigger_end_s is None else trigger_end_s
    rows = [row for row in run.neighbours if from_s <= (row["t_s"] or 0) < to_s]
    sizes = sorted({int(row["clients_per_ip"] or 0) for row in rows})
    return tuple(
        _neighbourhood(size, [row for row in rows if row["clients_per_ip"] == size], end_s) for size in sizes
    )


def _neighbourhood(size: int, rows: Sequence[series.Row], trigger_end_s: int) -> Neighbourhood:
    clients, useful = series.column(rows, "clients"), series.column(rows, "useful")
    served = series.shares(useful, clients) >= USEFUL_SHARE
    lasting = 0
    while lasting < len(served) and served[-1 - lasting]:
        lasting += 1
    back = lasting >= LASTING_S
    return Neighbourhood(
        clients_per_ip=size,
        clients=int(series.highest(clients) or 0),
        availability=series.ratio(series.total(useful), series.total(clients)),
        attempts=round(series.total(series.column(rows, "attempts"))),
        limited=round(series.total(series.column(rows, "limited"))),
        back_after_s=max(0, int(rows[len(rows) - lasting]["t_s"] or 0) - trigger_end_s) if back else None,
    )


class NeighbourRow(Struct, frozen=True, kw_only=True):
    """One arm's clients with equally many neighbours, as text; medians over the runs."""

    arm: str
    clients_per_ip: str
    clients: str
    availability: str
    attempts: str
    limited: str
    back_after: str


def neighbour_rows(arms: dict[str, list[tuple[Neighbourhood, ...]]]) -> list[NeighbourRow]:
    """Rows for all arms, by arm and size; none where addresses made no difference anywhere.

    arms: for each arm the neighbourhoods of each of its runs.
    """
    every = [found for runs in arms.values() for run in runs for found in run]
    if len({found.clients_per_ip for found in every}) < 2 and not any(found.limited for found in every):
        return []
    return [
        _row(arm, [found for run in runs for found in run if found.clients_per_ip == size])
        for arm, runs in arms.items()
        for size in sorted({found.clients_per_ip for run in runs for found in run})
    ]


def _row(arm: str, found: Sequence[Neighbourhood]) -> NeighbourRow:
    back = [one.back_after_s for one in found if one.back_after_s is not None]
    served = [one.availability for one in found if one.availability is not None]
    # A run in which they did not come back counts as later than all others.
    back_s = median(back) if 2 * len(back) > len(found) else None
    return NeighbourRow(
        arm=arm,
        clients_per_ip=units.count(found[0].clients_per_ip),
        clients=units.count(found[0].clients),
        availability=units.percent(median(served) if served else None),
        attempts=units.count(median(one.attempts for one in found)),
        limited=units.count(median(one.limited for one in found)),
        back_after="not recovered" if back_s is None else units.seconds(back_s),
    )
