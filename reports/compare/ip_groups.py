"""Clients alone on an IP and clients behind a shared IP, over the runs of an arm."""

from collections.abc import Callable, Sequence
from math import inf
from statistics import median

from msgspec import Struct

from reports.analysis.shared_ips import SharedIpGroup


class IpGroup(Struct, frozen=True, kw_only=True):
    """All clients that are alone on their IP, or all that share theirs; medians over the runs of an arm."""

    shared: bool
    most_per_ip: int
    clients: int
    recovered_s: float | None
    """When the last of them were served for good, from the trigger's end; None where some never were."""
    attempts: float
    limited: float
    """Attempts that a limit refused."""

    @property
    def back_s(self) -> float:
        """The same time, infinite where some never were."""
        return inf if self.recovered_s is None else self.recovered_s


def ip_groups(runs: Sequence[Sequence[SharedIpGroup]]) -> tuple[IpGroup, ...]:
    """The clients alone on an IP first, then those behind a shared IP; without a group that has no clients.

    runs: the groups of each run, by the number of clients per IP.
    """
    found = []
    for shared in (False, True):
        chosen = [[group for group in run if (group.clients_per_ip > 1) == shared] for run in runs]
        known = [groups for groups in chosen if groups]
        if known:
            found.append(_together(known, shared=shared))
    return tuple(found)


def _together(runs: Sequence[Sequence[SharedIpGroup]], *, shared: bool) -> IpGroup:
    def total(value: Callable[[SharedIpGroup], int]) -> float:
        return median(sum(map(value, groups)) for groups in runs)

    back_s = sorted(max(inf if g.back_after_s is None else g.back_after_s for g in groups) for groups in runs)
    # Half of the infinite time is infinite, too: of two middle runs, one that never recovered decides.
    middle_s = median(back_s)
    return IpGroup(
        shared=shared,
        most_per_ip=max(group.clients_per_ip for groups in runs for group in groups),
        clients=sum(group.clients for group in runs[0]),
        recovered_s=None if middle_s == inf else middle_s,
        attempts=total(lambda group: group.attempts),
        limited=total(lambda group: group.limited),
    )
