"""Clients alone on an IP and clients behind a shared IP, over the runs of an arm."""

from collections.abc import Callable, Iterator, Sequence
from math import inf
from statistics import median

from msgspec import Struct

from reports.analysis.delivery import share_of
from reports.analysis.shared_ips import SharedIpGroup, ticks_by_ip
from reports.compare.measures import SERVED, SOONER
from reports.text import units


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
    ticks_in_time: float | None = None
    """Share of the ticks due to them; None where no run knows it."""

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


def shared_of(groups: Sequence[IpGroup]) -> IpGroup | None:
    """The clients behind a shared IP; None where there are none."""
    return next((group for group in groups if group.shared), None)


def for_whom(reference: Sequence[IpGroup], arm: Sequence[IpGroup]) -> Iterator[str]:
    """A sentence on when each group of an arm recovered; none where no IP is shared, or nobody recovered.

    reference: the groups of the reference arm; none of an arm that stands alone.
    """
    if not shared_of(arm) or not any(group.back_s < inf for group in (*arm, *reference)):
        return
    before = {group.shared: group for group in reference}
    together = len(arm) > 1 and not SOONER.matters(*(group.back_s for group in arm))
    if together and not any(group.back_s < inf for group in reference):
        low, high = (units.seconds(back_s) for back_s in sorted(group.back_s for group in arm))
        names = units.capitalised(" and ".join(map(_who, arm)))
        yield f"{names}: recovered after {units.span(low, high) or low}."
        return
    parts = [f"{_who(group)}: {_back(group)}{_was(before.get(group.shared))}" for group in arm]
    yield f"{units.capitalised('; '.join(parts))}."


def later_for(reference: Sequence[IpGroup], arm: Sequence[IpGroup]) -> Iterator[str]:
    """Which clients recovered later than in the reference, or later than clients alone on an IP."""
    before = {group.shared: group.back_s for group in reference}
    told: set[bool] = set()
    for group in arm:
        was_s = before.get(group.shared, inf)
        if group.back_s <= was_s or not SOONER.matters(was_s, group.back_s):
            continue
        told.add(group.shared)
        who = _kind(group)
        if group.back_s == inf:
            yield f"{who} did not recover (reference: after {units.seconds(was_s)})"
        else:
            rise = f"from {units.seconds(was_s)} to {units.seconds(group.back_s)}"
            yield f"time to recover of {who} rose {rise}"
    if True not in told:
        yield from _behind(reference, arm)


def fewer_in_time(reference: Sequence[IpGroup], arm: Sequence[IpGroup]) -> Iterator[str]:
    """Which clients had a smaller share of their ticks in time than in the reference; none where no IP is
    shared."""
    for group, was, now in _in_time(reference, arm):
        if now < was:
            fell = f"from {units.percent(was)} to {units.percent(now)}"
            yield f"ticks delivered in time to {_kind(group)} fell {fell}"


def more_in_time(reference: Sequence[IpGroup], arm: Sequence[IpGroup]) -> Iterator[str]:
    """Which clients had a larger share of their ticks in time, as sentences; none where no IP is shared."""
    for group, was, now in _in_time(reference, arm):
        if now > was:
            rose = f"from {units.percent(was)} to {units.percent(now)}"
            yield f"Ticks delivered in time to {_kind(group)} rose {rose}."


def _in_time(reference: Sequence[IpGroup], arm: Sequence[IpGroup]) -> Iterator[tuple[IpGroup, float, float]]:
    """The clients whose share of ticks in time differs by as much as matters, before and after."""
    before = {group.shared: group.ticks_in_time for group in reference}
    for group in arm if shared_of(arm) else ():
        was, now = before.get(group.shared), group.ticks_in_time
        if was is not None and now is not None and SERVED.matters(was, now):
            yield group, was, now


def _behind(reference: Sequence[IpGroup], arm: Sequence[IpGroup]) -> Iterator[str]:
    """How much later clients behind a shared IP recovered than clients alone on an IP, if not before."""
    late_s, early_s = _gap_s(arm)
    if late_s <= early_s or not SOONER.matters(early_s, late_s) or _as_late(reference, late_s - early_s):
        return
    if late_s == inf:
        yield "clients behind a shared IP did not recover, clients alone on an IP did"
        return
    late = units.seconds(late_s - early_s)
    yield f"clients behind a shared IP recovered {late} later than clients alone on an IP"


def _together(runs: Sequence[Sequence[SharedIpGroup]], *, shared: bool) -> IpGroup:
    def total(value: Callable[[SharedIpGroup], int]) -> float:
        return median(sum(map(value, groups)) for groups in runs)

    back_s = sorted(max(inf if g.back_after_s is None else g.back_after_s for g in groups) for groups in runs)
    shares = [share_of(ticks_by_ip(groups, shared=shared), "in_time") for groups in runs]
    in_time = [share for share in shares if share is not None]
    # Half of the infinite time is infinite, too: of two middle runs, one that never recovered decides.
    middle_s = median(back_s)
    return IpGroup(
        shared=shared,
        most_per_ip=max(group.clients_per_ip for groups in runs for group in groups),
        clients=sum(group.clients for group in runs[0]),
        recovered_s=None if middle_s == inf else middle_s,
        attempts=total(lambda group: group.attempts),
        limited=total(lambda group: group.limited),
        ticks_in_time=median(in_time) if in_time else None,
    )


def _was(group: IpGroup | None) -> str:
    """The same of the reference, where it recovered."""
    return f" (reference: after {units.seconds(group.recovered_s)})" if group and group.back_s < inf else ""


def _kind(group: IpGroup) -> str:
    return "clients behind a shared IP" if group.shared else "clients alone on an IP"


def _who(group: IpGroup) -> str:
    return f"{_kind(group)}{f' (up to {group.most_per_ip})' if group.shared else ''}"


def _back(group: IpGroup) -> str:
    return (
        "not recovered"
        if group.recovered_s is None
        else f"recovered after {units.seconds(group.recovered_s)}"
    )


def _gap_s(groups: Sequence[IpGroup]) -> tuple[float, float]:
    """When clients behind a shared IP had recovered, and when clients alone on an IP had."""
    if len(groups) < 2:
        return 0.0, 0.0
    alone, shared = groups
    return shared.back_s, alone.back_s


def _as_late(reference: Sequence[IpGroup], gap_s: float) -> bool:
    """Whether clients behind a shared IP were as much later without the fix."""
    late_s, early_s = _gap_s(reference)
    return early_s < inf and late_s - early_s >= gap_s
