"""What a storm meant to clients behind a shared IP: what a per-IP limit costs them."""

from collections.abc import Sequence

from msgspec import Struct

from reports.analysis.delivery import ClientsBack, clients_back_of
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


def shared_ip_groups(
    run: Run, from_s: int, to_s: int, trigger_end_s: int | None = None
) -> tuple[SharedIpGroup, ...]:
    """The clients of a run by the number of clients per IP, over [from_s, to_s), the smallest first.

    trigger_end_s: None where the trigger began and ended with `from_s`.
    """
    end_s = from_s if trigger_end_s is None else trigger_end_s
    in_storm = [row for row in run.shared_ips if from_s <= (row["t_s"] or 0) < to_s]
    sizes = sorted({int(row["clients_per_ip"] or 0) for row in in_storm})
    return tuple(
        _group(
            size,
            [row for row in in_storm if row["clients_per_ip"] == size],
            end_s,
            clients_back_of(
                [row for row in run.shared_ips if row["clients_per_ip"] == size], from_s, to_s, end_s
            ),
        )
        for size in sizes
    )


def _group(
    size: int, rows: Sequence[series.Row], trigger_end_s: int, back: ClientsBack | None
) -> SharedIpGroup:
    clients, useful = series.column(rows, "clients"), series.column(rows, "useful")
    served = series.shares(useful, clients) >= series.SERVED_WELL
    lasting = 0
    while lasting < len(served) and served[-1 - lasting]:
        lasting += 1
    recovered = lasting >= LASTING_S
    return SharedIpGroup(
        clients_per_ip=size,
        clients=int(series.highest(clients) or 0),
        availability=series.ratio(series.total(useful), series.total(clients)),
        attempts=round(series.total(series.column(rows, "attempts"))),
        limited=round(series.total(series.column(rows, "limited"))),
        back_after_s=max(0, int(rows[len(rows) - lasting]["t_s"] or 0) - trigger_end_s)
        if recovered
        else None,
        back=back,
    )
