"""Clients by shared IP, and by group of the fleet, as text."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from reports.analysis.delivery import ClientsBack, share_of
from reports.analysis.judgement import judgement_of
from reports.analysis.shared_ips import FleetGroup, SharedIpGroup
from reports.rundir.latency import Latency
from reports.rundir.reader import Run
from reports.text import units
from reports.text.tables import TextTable

SHARES = {"ticks in time": "in_time", "ticks late": "late", "ticks never": "never"}
"""Columns of the tables, and the parts of `Ticks` that they show."""
RETURN = ("recovered after", "95 % back after", "never returned")


def shared_ip_table(arms: Mapping[str, Sequence[Run]]) -> TextTable | None:
    """Clients by shared IP, for the runs of each arm; None where shared IPs made no difference."""
    return group_table(
        {name: [judgement_of(run).summary.shared_ips for run in runs] for name, runs in arms.items()}
    )


def fleet_group_table(arms: Mapping[str, Sequence[Run]]) -> TextTable | None:
    """A row for each arm and group of the fleet; medians over the runs. None where no fleet has groups."""
    runs_of = {name: [judgement_of(run).summary.groups for run in runs] for name, runs in arms.items()}
    every = [group for runs in runs_of.values() for groups in runs for group in groups]
    if not every:
        return None
    ticks = any(group.ticks for group in every)
    timed = any(group.effective_p99 or group.staleness_p99_ms is not None for group in every)
    gave_up = any(group.gave_up for group in every)
    rows = []
    for arm, runs in runs_of.items():
        for name in dict.fromkeys(group.name for groups in runs for group in groups):
            same = [group for groups in runs for group in groups if group.name == name]
            rows.append((arm, name, *_group_row(same, ticks=ticks, timed=timed, gave_up=gave_up)))
    return TextTable(
        label="Clients by group",
        headings=(
            *("arm", "group", "clients", "availability"),
            *(SHARES if ticks else ()),
            *(("effective p99, during", "staleness p99, during") if timed else ()),
            *("attempts per s before", "attempts per s", "failed attempts", "refused by a limit"),
            *(("gave up",) if gave_up else ()),
            *RETURN,
        ),
        rows=tuple(rows),
        words=frozenset({"arm", "group"}),
    )


def _group_row(groups: Sequence[FleetGroup], *, ticks: bool, timed: bool, gave_up: bool) -> tuple[str, ...]:
    """One group, in each run; the others say which columns there are."""
    before = [each.attempts_per_s_before for each in groups if each.attempts_per_s_before is not None]
    during = [each.attempts_per_s for each in groups if each.attempts_per_s is not None]
    return (
        units.count(groups[0].clients),
        *_service(groups, ticks),
        *(_times(groups) if timed else ()),
        *(f"{median(each):.1f}" if each else units.NOTHING for each in (before, during)),
        units.count(median(each.failed for each in groups)),
        units.count(median(each.limited for each in groups)),
        *((units.count(median(each.gave_up for each in groups)),) if gave_up else ()),
        *(_recovered(groups) if groups[0].is_served else (units.NOTHING,) * len(RETURN)),
    )


def _times(groups: Sequence[FleetGroup]) -> tuple[str, str]:
    """Effective p99 and p99 of the staleness, each of the middle run."""
    known = sorted((each.effective_p99 for each in groups if each.effective_p99), key=lambda p99: p99.ms)
    stale = [each.staleness_p99_ms for each in groups if each.staleness_p99_ms is not None]
    middle = known[len(known) // 2] if known else None
    if middle and any(p99.at_least and p99.ms <= middle.ms for p99 in known):
        middle = Latency(middle.ms, at_least=True)
    return (
        units.latency(middle),
        units.milliseconds(median(stale)) if stale else units.NOTHING,
    )


def group_table(arms: Mapping[str, Sequence[Sequence[SharedIpGroup]]]) -> TextTable | None:
    """A row for each arm and number of clients per IP; medians over the runs.

    arms: for each arm the groups of each of its runs. None where every IP had the same number of clients, and
    no client was refused.
    """
    every = [group for runs in arms.values() for groups in runs for group in groups]
    if len({group.clients_per_ip for group in every}) < 2 and not any(group.limited for group in every):
        return None
    ticks = any(group.ticks for group in every)
    return TextTable(
        label="Clients by shared IP",
        headings=(
            *("arm", "clients per IP", "clients", "availability"),
            *(SHARES if ticks else ()),
            *("attempts", "refused by a limit"),
            *RETURN,
        ),
        rows=tuple(
            (
                arm,
                *_row([group for groups in runs for group in groups if group.clients_per_ip == size], ticks),
            )
            for arm, runs in arms.items()
            for size in sorted({group.clients_per_ip for groups in runs for group in groups})
        ),
    )


def _row(groups: Sequence[SharedIpGroup], ticks: bool) -> tuple[str, ...]:
    """The groups of one size, one for each run."""
    return (
        units.count(groups[0].clients_per_ip),
        units.count(groups[0].clients),
        *_service(groups, ticks),
        units.count(median(group.attempts for group in groups)),
        units.count(median(group.limited for group in groups)),
        *_recovered(groups),
    )


def _service(groups: Sequence[SharedIpGroup | FleetGroup], ticks: bool) -> Iterator[str]:
    """Availability and, if they are shown, what became of the ticks."""
    served = [group.availability for group in groups if group.availability is not None]
    yield units.percent(median(served) if served else None)
    if ticks:
        yield from _shares(groups)


def _recovered(groups: Sequence[SharedIpGroup | FleetGroup]) -> tuple[str, ...]:
    """When these clients had recovered, and when those were back that were away."""
    recovered = [group.back_after_s for group in groups if group.back_after_s is not None]
    # A run in which they did not recover counts as later than all others.
    recovered_s = median(recovered) if 2 * len(recovered) > len(groups) else None
    return (
        "not recovered" if recovered_s is None else units.seconds(recovered_s),
        *_returned([group.back for group in groups if group.back]),
    )


def _shares(groups: Sequence[SharedIpGroup | FleetGroup]) -> Iterator[str]:
    """What became of the ticks due to the clients of a size, over the runs that know it."""
    known = [group.ticks for group in groups if group.ticks]
    for part in SHARES.values():
        shares = [share for ticks in known if (share := share_of(ticks, part)) is not None]
        yield units.percent(median(shares) if shares else None)


def _returned(groups: Sequence[ClientsBack]) -> tuple[str, str]:
    """When 95 % of the disconnected clients of a size were back, and how many never were, over the runs."""
    if not groups:
        return units.NOTHING, units.NOTHING
    middle_s = sorted(group.back_95.after_s for group in groups)[len(groups) // 2]
    # A bound above the middle may be as high as it likes: the middle stays where it is.
    at_least = any(group.back_95.at_least and group.back_95.after_s <= middle_s for group in groups)
    back = f"{'≥ ' if at_least else ''}{units.seconds(middle_s)}"
    return back, units.count(median(group.never_returned for group in groups))
