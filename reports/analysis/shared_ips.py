"""Parts of the clients, by shared IP and by group of the fleet: what a storm meant to them; timeouts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from reports.analysis.delivery import ClientsBack, Ticks, clients_back_of
from reports.rundir import latency, series
from reports.rundir.latency import Latency
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


class FleetGroup(Struct, frozen=True, kw_only=True):
    """The clients of one group of the fleet, from the trigger on."""

    name: str
    clients: int
    is_served: bool
    """Whether they ask for a protocol that a gateway of today has. If not, they are not among all clients of
    the run, and nothing is said of their service."""
    availability: float | None
    attempts_per_s_before: float | None
    """Before the trigger."""
    attempts_per_s: float | None
    attempts: int
    limited: int
    failed: int
    """Attempts that ended without a join, those answered by a limit among them."""
    gave_up: int = 0
    """Clients that stopped for good; 0 in runs that did not count them by group."""
    back_after_s: int | None
    """As of clients behind a shared IP."""
    effective_p99: Latency | None = None
    """Of the ticks due in the phase `during`."""
    staleness_p99_ms: float | None = None
    """In the phase `during`, too."""
    back: ClientsBack | None = None
    ticks: Ticks | None = None


def fleet_groups(
    run: Run,
    from_s: int,
    to_s: int,
    trigger_end_s: int | None = None,
    *,
    counted_to_s: int | None = None,
    ticks_to_s: int | None = None,
) -> tuple[FleetGroup, ...]:
    """The groups of a run's fleet, in the order of the scenario; the same stretches as by shared IP."""
    found = []
    for place, group in enumerate(groups_of(run)):
        rows = [row for row in run.groups if row["group"] == place]
        told = [row for row in rows if row.get("clients") is not None]
        counted = _between(told, from_s, to_s if counted_to_s is None else counted_to_s)
        clients = series.highest(series.column(counted, "clients"))
        if not clients:
            continue
        is_served = is_group_served(group)
        before = series.column(_between(told, 0, from_s), "attempts")
        end_s = from_s if trigger_end_s is None else trigger_end_s
        during = run.phase("during")
        p99, stale_ms = _p99(run, place, during.from_s, during.to_s) if during else (None, None)
        found.append(
            FleetGroup(
                name=str(group["name"]),
                clients=int(clients),
                is_served=is_served,
                availability=series.availability(counted) if is_served else None,
                attempts_per_s_before=series.mean(before),
                attempts_per_s=series.mean(series.column(counted, "attempts")),
                attempts=_count(counted, "attempts"),
                limited=_count(counted, "limited"),
                failed=_count(counted, "failed"),
                gave_up=_count(counted, "gave_up"),
                back_after_s=_back_after_s(_between(told, from_s, to_s), end_s) if is_served else None,
                effective_p99=p99,
                staleness_p99_ms=stale_ms,
                back=clients_back_of(told, from_s, to_s, end_s) if is_served else None,
                ticks=(
                    None
                    if run.info.unnumbered or not is_served
                    else _ticks(_between(rows, from_s, to_s if ticks_to_s is None else ticks_to_s))
                ),
            )
        )
    return tuple(found)


def _p99(run: Run, group: int, from_s: int, to_s: int) -> tuple[Latency | None, float | None]:
    """(effective p99, p99 of the staleness) of the clients of a group."""
    ages = latency.between(run.group_histograms.get(group, {}).get("staleness", {}), from_s, to_s)
    stale = latency.percentile(99, ages)
    return latency.effective(run, from_s, to_s, 99, group=group), stale.ms if stale else None


def groups_of(run: Run) -> Sequence[Mapping[str, Any]]:
    """The groups of a run's fleet, as in its scenario; none in older runs."""
    found: Sequence[Mapping[str, Any]] = run.info.scenario.get("fleet", {}).get("group", ())
    return found


def is_group_served(group: Mapping[str, Any]) -> bool:
    """Whether a gateway of today lets the clients of a group join."""
    return bool(group.get("protocol", 4) == 4)


def client_timeouts_s(scenario: Mapping[str, Any]) -> dict[str, float]:
    """What clients decide by their own clock: the keys of the scenario that say after how many seconds."""
    gateway = scenario.get("gateway", {})
    found: dict[str, float | None] = {}
    for name, fleet in _fleets(scenario):
        found |= {f"{name}.{key}": fleet.get(key) for key in ("connect_timeout_s", "stale_after_s")}
        if fleet.get("reset_backoff") == "stable":
            found[f"{name}.stable_after_s"] = fleet.get("stable_after_s")
    if not scenario.get("target", {}).get("url") and gateway.get("ping_interval_s"):
        pings_s = gateway["ping_interval_s"] + gateway.get("ping_timeout_s", 0.0)
        found["gateway.ping_interval_s + gateway.ping_timeout_s"] = pings_s
    # Without a number, or with 0, there is no such time-out.
    return {name: seconds for name, seconds in found.items() if seconds}


def watchdogs_by_age_s(scenario: Mapping[str, Any]) -> dict[str, float]:
    """The keys of the scenario that say how old a tick may be for clients that judge its age."""
    return {
        f"{name}.stale_after_s": fleet["stale_after_s"]
        for name, fleet in _fleets(scenario)
        if fleet.get("stale_by") == "age" and fleet.get("stale_after_s")
    }


def _fleets(scenario: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The keys of the clients of each group, or of all clients where there are none."""
    fleet = scenario.get("fleet", {})
    groups = fleet.get("group", ())
    return [
        (
            f"fleet.group.{group['name']}",
            {**fleet, **{key: value for key, value in group.items() if value is not None}},
        )
        for group in groups
    ] or [("fleet", fleet)]


def attempts_of_unserved(run: Run, from_s: float, to_s: float = math.inf) -> float:
    """Attempts of clients that can never join, and go on whatever the gateway does."""
    unserved = {place for place, group in enumerate(groups_of(run)) if not is_group_served(group)}
    rows = [row for row in _between(run.groups, from_s, to_s) if row["group"] in unserved]
    return series.total(series.column(rows, "attempts"))


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
        counted = _between(own, from_s, counted_end_s)
        found.append(
            SharedIpGroup(
                clients_per_ip=int(size),
                clients=int(series.highest(series.column(counted, "clients")) or 0),
                availability=series.availability(counted),
                attempts=_count(counted, "attempts"),
                limited=_count(counted, "limited"),
                back_after_s=_back_after_s(_between(own, from_s, to_s), end_s),
                back=clients_back_of(own, from_s, to_s, end_s),
                ticks=ticks,
            )
        )
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


def _between(rows: Sequence[series.Row], from_s: float, to_s: float) -> list[series.Row]:
    return [row for row in rows if from_s <= (row["t_s"] or 0) < to_s]


def _count(rows: Sequence[series.Row], name: str) -> int:
    return round(series.total(series.column(rows, name)))


def _ticks(rows: Sequence[series.Row]) -> Ticks | None:
    in_time, late, never, skipped = (
        _count(rows, f"ticks_{part}") for part in ("in_time", "late", "never", "skipped")
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
