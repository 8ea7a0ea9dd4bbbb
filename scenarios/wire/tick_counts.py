"""What became of the ticks that were due in one second to clients with the same number of clients per IP."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from reports.rundir.latency import LATE_FROM_US

_LATE_FROM_NS = LATE_FROM_US * 1000
_MOST_SECONDS = 100_000
"""A wider range of due seconds is sorted: a gateway may stamp its ticks with any time."""


class TickCounts(Struct, frozen=True, kw_only=True):
    """How many ticks clients held in time, late, or not at all so far: with a tick or by a newer one."""

    in_time: int = 0
    late: int = 0
    never: int = 0
    """Not held when the measurement was finalised."""
    skipped: int = 0
    """Of the ones in time and late: never received themselves, because a newer one came in their place."""

    def __add__(self, other: "TickCounts") -> "TickCounts":
        """The counts of both together."""
        return TickCounts(
            in_time=self.in_time + other.in_time,
            late=self.late + other.late,
            never=self.never + other.never,
            skipped=self.skipped + other.skipped,
        )

    def columns(self) -> dict[str, int]:
        """The same as columns of shared_ips.csv."""
        return {f"ticks_{name}": count for name, count in msgspec.structs.asdict(self).items()}


GroupTicks = dict[int, dict[int, TickCounts]]
"""By clients per IP, then by the second in which the ticks were due."""


def held_ticks(due_seconds: Any, latency_ns: Any, *, skipped: bool = False) -> dict[int, TickCounts]:
    """Counts ticks that clients hold by now, from due second and effective latency of each, both (n,).

    The limit between in time and late is that of the histograms, so that both agree on every tick.
    """
    seconds, places = _seconds_and_places(due_seconds)
    held = np.bincount(places, minlength=len(seconds))
    in_time = np.bincount(places[latency_ns < _LATE_FROM_NS], minlength=len(seconds))
    return {
        second: TickCounts(in_time=soon, late=all_ - soon, skipped=all_ if skipped else 0)
        for second, all_, soon in zip(seconds.tolist(), held.tolist(), in_time.tolist(), strict=True)
        if all_
    }


def never_held_ticks(due_seconds: Any, clients: Any) -> dict[int, TickCounts]:
    """Counts ticks by how many clients lack each when the measurement is finalised, both (n,)."""
    seconds, places = _seconds_and_places(due_seconds)
    never = np.bincount(places, clients, minlength=len(seconds)).astype(np.int64)
    return {
        second: TickCounts(never=count)
        for second, count in zip(seconds.tolist(), never.tolist(), strict=True)
        if count
    }


def add_seconds(parts: Iterable[Mapping[int, TickCounts]]) -> dict[int, TickCounts]:
    """The sum of counts by due second."""
    total: dict[int, TickCounts] = {}
    for counts in parts:
        for second, some in counts.items():
            known = total.get(second)
            total[second] = some if known is None else known + some
    return total


def add_groups(parts: Iterable[Mapping[int, Mapping[int, TickCounts]]]) -> GroupTicks:
    """The sum of counts by clients per IP and due second."""
    by_group: dict[int, list[Mapping[int, TickCounts]]] = {}
    for groups in parts:
        for size, counts in groups.items():
            by_group.setdefault(size, []).append(counts)
    return {size: add_seconds(by_group[size]) for size in sorted(by_group)}


def skipped_ticks(groups: Mapping[int, Mapping[int, TickCounts]]) -> dict[int, int]:
    """The skipped ticks of all groups, by due second."""
    total = add_seconds(groups.values())
    return {second: counts.skipped for second, counts in total.items() if counts.skipped}


def _seconds_and_places(due_seconds: Any) -> tuple[Any, Any]:
    """Due seconds, each once, and the place of each tick's among them; some may have no tick."""
    if not len(due_seconds):
        return due_seconds, due_seconds
    first, last = due_seconds.min(), due_seconds.max()
    if last - first < _MOST_SECONDS:
        return np.arange(first, last + 1), due_seconds - first
    return np.unique(due_seconds, return_inverse=True)
