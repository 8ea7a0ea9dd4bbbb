"""Clients by shared IP, as text."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from reports.analysis.delivery import ClientsBack, share_of
from reports.analysis.judgement import judgement_of
from reports.analysis.shared_ips import SharedIpGroup
from reports.rundir.reader import Run
from reports.text import units
from reports.text.tables import TextTable

SHARES = {"ticks in time": "in_time", "ticks late": "late", "ticks never": "never"}
"""Columns of the table, and the parts of `Ticks` that they show."""


def shared_ip_table(arms: Mapping[str, Sequence[Run]]) -> TextTable | None:
    """Clients by shared IP, for the runs of each arm; None where shared IPs made no difference."""
    return group_table(
        {name: [judgement_of(run).summary.shared_ips for run in runs] for name, runs in arms.items()}
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
            *("attempts", "refused by a limit", "recovered after", "95 % back after", "never returned"),
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
    recovered = [group.back_after_s for group in groups if group.back_after_s is not None]
    served = [group.availability for group in groups if group.availability is not None]
    # A run in which they did not recover counts as later than all others.
    recovered_s = median(recovered) if 2 * len(recovered) > len(groups) else None
    return (
        units.count(groups[0].clients_per_ip),
        units.count(groups[0].clients),
        units.percent(median(served) if served else None),
        *(_shares(groups) if ticks else ()),
        units.count(median(group.attempts for group in groups)),
        units.count(median(group.limited for group in groups)),
        "not recovered" if recovered_s is None else units.seconds(recovered_s),
        *_returned([group.back for group in groups if group.back]),
    )


def _shares(groups: Sequence[SharedIpGroup]) -> Iterator[str]:
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
