"""Seconds of several generator processes as one: counts and histograms are added, so nothing is lost."""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from typing import TypeVar

import numpy as np
from msgspec.structs import replace

from reports.rundir.histograms import each_once
from reports.rundir.schema import FeedFit
from scenarios.clients.protocol.ticks import Reference
from scenarios.wire.interval import GroupTimes, Interval, Samples, SomeClients, WorkerChange
from scenarios.wire.tick_counts import add_groups

_Key = TypeVar("_Key")


def merge(intervals: Iterable[Interval]) -> Interval:
    """One interval of at least one, all of the same second."""
    parts = list(intervals)
    slots = max(len(part.attempts_per_slot) for part in parts)
    loop_lag = add(part.loop_lag for part in parts)
    latest_ms = max(part.lag_p99_ms or 0.0 for part in parts)
    return Interval(
        second=parts[0].second,
        clients=sum(part.clients for part in parts),
        unserved=sum(part.unserved for part in parts),
        connected=sum(part.connected for part in parts),
        useful=_sum_of_all(part.useful for part in parts),
        attempts=sum(part.attempts for part in parts),
        attempts_per_slot=tuple(
            sum(part.attempts_per_slot[slot] for part in parts if slot < len(part.attempts_per_slot))
            for slot in range(slots)
        ),
        first_attempt_ns=min((p.first_attempt_ns for p in parts if p.first_attempt_ns), default=None),
        last_join_ns=max((p.last_join_ns for p in parts if p.last_join_ns), default=None),
        held_back=sum(part.held_back for part in parts),
        unopened=sum(part.unopened for part in parts),
        client_error=next((part.client_error for part in parts if part.client_error), ""),
        gave_up_by_reason=_counts(part.gave_up_by_reason for part in parts),
        outcomes=_counts(part.outcomes for part in parts),
        disconnects=_counts(part.disconnects for part in parts),
        session_ages=add(part.session_ages for part in parts),
        shared_ips=add_clients(part.shared_ips for part in parts),
        fleet_groups=add_clients(part.fleet_groups for part in parts),
        ticks=sum(part.ticks for part in parts),
        missed=sum(part.missed for part in parts),
        recovery=_counts(part.recovery for part in parts),
        tls=_counts(part.tls for part in parts),
        skipped=_counts(part.skipped for part in parts),
        group_ticks=add_groups(part.group_ticks for part in parts),
        fleet_group_ticks=add_groups(part.fleet_group_ticks for part in parts),
        fleet_group_times=_add_times(part.fleet_group_times for part in parts),
        unnumbered=any(part.unnumbered for part in parts),
        early=sum(part.early for part in parts),
        earliest_ns=max(part.earliest_ns for part in parts),
        fanout=add(part.fanout for part in parts),
        fanout_by_stamp=add(part.fanout_by_stamp for part in parts),
        stamped=sum(part.stamped for part in parts),
        effective=add_by_key(part.effective for part in parts),
        censored=add_by_key(part.censored for part in parts),
        attempt_durations=add_by_key(part.attempt_durations for part in parts),
        loop_lag=loop_lag,
        latest_lag_ms=latest_ms if latest_ms > (loop_lag.percentile_ms(99) or 0.0) else None,
        retry_late=add(part.retry_late for part in parts),
        staleness=add(part.staleness for part in parts),
        stale_clients=_sum_of_all(part.stale_clients for part in parts),
        reference=_reference({part.reference for part in parts if part.reference}),
        fits=_fits(fit for part in parts for fit in part.fits),
        cpu_ns=sum(part.cpu_ns for part in parts),
        busiest_cpu_ns=max(part.busiest_cpu_ns for part in parts),
        rss_bytes=sum(part.rss_bytes for part in parts),
        empty_rss_bytes=sum(part.empty_rss_bytes for part in parts),
        processes=sum(part.processes for part in parts),
        missing=sum(part.missing for part in parts),
        worker_changes=tuple(change for part in parts for change in part.worker_changes),
        clocks=tuple(sorted((c for p in parts for c in p.clocks), key=lambda clock: clock.process)),
        clock_steps=tuple(step for part in parts for step in part.clock_steps),
    )


def add(samples: Iterable[Samples]) -> Samples:
    """The sum of samples: every distinct value with all its counts."""
    parts = list(samples)
    if len(parts) == 1:
        return parts[0]
    arrays = [some.arrays() for some in parts]
    empty = np.empty(0, np.int64)
    values, counts = each_once(
        np.concatenate([empty, *(values for values, _ in arrays)]),
        np.concatenate([empty, *(counts for _, counts in arrays)]),
    )
    return Samples(values.tobytes(), counts.tobytes())


def over_both(first: Interval, first_points: int, second: Interval, second_points: int) -> Interval:
    """The second part of a second that was cut in two, with means over both parts.

    They are from the same process; points: how many points of the 100 ms grid each part has.
    """

    def mean(before: float | None, after: float | None) -> float | None:
        if before is None or after is None:
            return before if after is None else after
        return (before * first_points + after * second_points) / (first_points + second_points)

    def both(before: Mapping[int, SomeClients], after: Mapping[int, SomeClients]) -> dict[int, SomeClients]:
        return {
            key: replace(some, useful=mean(before[key].useful, some.useful)) if key in before else some
            for key, some in after.items()
        }

    return replace(
        second,
        useful=mean(first.useful, second.useful),
        stale_clients=mean(first.stale_clients, second.stale_clients),
        shared_ips=both(first.shared_ips, second.shared_ips),
        fleet_groups=both(first.fleet_groups, second.fleet_groups),
    )


def later_clients(
    first: Mapping[int, SomeClients], second: Mapping[int, SomeClients]
) -> dict[int, SomeClients]:
    """Two parts of one second of the same clients: counts are added, gauges are those of the later one."""
    return {
        **first,
        **{
            key: replace(
                some,
                useful=first[key].useful if some.useful is None else some.useful,
                attempts=first[key].attempts + some.attempts,
                limited=first[key].limited + some.limited,
                failed=first[key].failed + some.failed,
                first_attempts=first[key].first_attempts + some.first_attempts,
                first_limited=first[key].first_limited + some.first_limited,
                gave_up=first[key].gave_up + some.gave_up,
            )
            if key in first
            else some
            for key, some in second.items()
        },
    }


def add_clients(parts: Iterable[Mapping[int, SomeClients]]) -> dict[int, SomeClients]:
    """The sums of clients that have the same key."""
    by_key: dict[int, list[SomeClients]] = {}
    for part in parts:
        for key, some in part.items():
            by_key.setdefault(key, []).append(some)
    return {key: _together(by_key[key]) for key in sorted(by_key)}


def _add_times(parts: Iterable[Mapping[int, GroupTimes]]) -> dict[int, GroupTimes]:
    by_group: dict[int, list[GroupTimes]] = {}
    for part in parts:
        for group, times in part.items():
            by_group.setdefault(group, []).append(times)
    return {
        group: GroupTimes(
            effective=add_by_key(each.effective for each in times),
            censored=add_by_key(each.censored for each in times),
            staleness=add(each.staleness for each in times),
        )
        for group, times in sorted(by_group.items())
    }


def add_by_key(dicts: Iterable[Mapping[_Key, Samples]]) -> dict[_Key, Samples]:
    """The sums of samples that have the same key."""
    parts: dict[_Key, list[Samples]] = {}
    for samples in dicts:
        for key, some in samples.items():
            parts.setdefault(key, []).append(some)
    return {key: add(some) for key, some in parts.items()}


class Merger:
    """Collects seconds by process and hands out those that all living processes have reported.

    A second that was cut in two comes in two parts, and not from all processes alike. What is handed out
    of it later has counts of what is new, and gauges of all processes.

    A process that stood still passes seconds over. Its clients are there in them as they were last; how many
    of them were served is not known, and so it is not of the whole.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, dict[str, Interval]] = {}
        self._handed: dict[int, dict[str, Interval]] = {}
        """By second and process: the last part that was handed out, while another one may come."""
        self._told: dict[str, Interval] = {}
        """By process: the last that was handed out."""
        self._latest: dict[str, Interval] = {}
        self._dead: dict[str, Interval] = {}
        self._alive: set[str] = set()
        self._changes: list[WorkerChange] = []

    def add(self, process: str, interval: Interval) -> None:
        """Takes a second of one process; a second part of the same second is added to the first."""
        parts = self._waiting.setdefault(interval.second, {})
        parts[process] = _later(parts[process], interval) if process in parts else interval
        self._latest[process] = interval
        self._dead.pop(process, None)

    def living(self, processes: Iterable[str]) -> dict[str, int]:
        """Takes note of who lives; returns clients of the processes that have died since the last call."""
        alive = self._alive = set(processes)
        died = {name: self._latest.pop(name) for name in list(self._latest) if name not in alive}
        self._dead.update(died)
        self._changes += [WorkerChange(name, "lost", interval.clients) for name, interval in died.items()]
        return {name: interval.clients for name, interval in died.items()}

    def joined(self, process: str) -> None:
        """Takes note of a process that will have clients from the next test on."""
        self._changes.append(WorkerChange(process, "joined"))

    def ready(self) -> list[Interval]:
        """The seconds, in order, that every living process has gone beyond or reported."""
        done = sorted(second for second in self._waiting if self._complete(second))
        found = [self._handed_out(second) for second in done]
        oldest = min((interval.second for interval in self._latest.values()), default=0)
        self._handed = {second: parts for second, parts in self._handed.items() if second >= oldest}
        return found

    def _handed_out(self, second: int) -> Interval:
        before = self._handed.get(second, {})
        parts = {
            process: _with_gauges_of(before[process], part) if process in before else part
            for process, part in self._waiting.pop(second).items()
        }
        silent = {
            process: _without_counts(part)
            for process, part in before.items()
            if process not in parts and process not in self._dead
        }
        passed_over = [
            _served_unknown(part)
            for process, part in self._told.items()
            if process in self._latest and process not in parts and process not in before
        ]
        self._handed[second] = before | parts
        self._told |= parts
        missing = sum(interval.clients for process, interval in self._dead.items() if process not in parts)
        changes, self._changes = tuple(self._changes), []
        whole = merge([*parts.values(), *silent.values(), *passed_over])
        return replace(whole, missing=missing, worker_changes=changes)

    def _complete(self, second: int) -> bool:
        return all(
            process in self._waiting[second]
            or (process in self._latest and self._latest[process].second > second)
            for process in self._alive | set(self._latest)
        )


def _later(first: Interval, second: Interval) -> Interval:
    """Two parts of one second of the same process: gauges are those of the later one."""
    return replace(
        merge([first, second]),
        clients=second.clients,
        unserved=second.unserved,
        connected=second.connected,
        useful=first.useful if second.useful is None else second.useful,
        stale_clients=first.stale_clients if second.stale_clients is None else second.stale_clients,
        attempts_per_slot=first.attempts_per_slot + second.attempts_per_slot,
        shared_ips=later_clients(first.shared_ips, second.shared_ips),
        fleet_groups=later_clients(first.fleet_groups, second.fleet_groups),
        clocks=second.clocks,
        busiest_cpu_ns=first.busiest_cpu_ns + second.busiest_cpu_ns,
        rss_bytes=second.rss_bytes,
        empty_rss_bytes=second.empty_rss_bytes,
        processes=second.processes,
    )


def _with_gauges_of(first: Interval, second: Interval) -> Interval:
    """The second part, with the means of the first one where it has none itself."""
    return replace(
        second,
        useful=first.useful if second.useful is None else second.useful,
        stale_clients=first.stale_clients if second.stale_clients is None else second.stale_clients,
        shared_ips=later_clients(_uncounted(first.shared_ips), second.shared_ips),
        fleet_groups=later_clients(_uncounted(first.fleet_groups), second.fleet_groups),
    )


def _without_counts(interval: Interval) -> Interval:
    """Its gauges alone: everything else has been handed out."""
    return Interval(
        second=interval.second,
        clients=interval.clients,
        unserved=interval.unserved,
        connected=interval.connected,
        useful=interval.useful,
        attempts=0,
        attempts_per_slot=(),
        outcomes={},
        disconnects={},
        shared_ips=_uncounted(interval.shared_ips),
        fleet_groups=_uncounted(interval.fleet_groups),
        ticks=0,
        missed=0,
        fanout=Samples(),
        effective={},
        censored={},
        attempt_durations={},
        loop_lag=Samples(),
        retry_late=Samples(),
        stale_clients=interval.stale_clients,
        reference=interval.reference,
        fits=interval.fits,
        rss_bytes=interval.rss_bytes,
        empty_rss_bytes=interval.empty_rss_bytes,
        processes=interval.processes,
        clocks=interval.clocks,
    )


def _served_unknown(interval: Interval) -> Interval:
    """Its gauges alone, but for how many clients are served: of a second of which nobody has told that."""

    def unknown(clients: Mapping[int, SomeClients]) -> dict[int, SomeClients]:
        return {key: replace(some, useful=None) for key, some in clients.items()}

    gauges = _without_counts(interval)
    return replace(
        gauges,
        useful=None,
        stale_clients=None,
        shared_ips=unknown(gauges.shared_ips),
        fleet_groups=unknown(gauges.fleet_groups),
    )


def _uncounted(clients: Mapping[int, SomeClients]) -> dict[int, SomeClients]:
    return {
        key: replace(some, attempts=0, limited=0, failed=0, first_attempts=0, first_limited=0, gave_up=0)
        for key, some in clients.items()
    }


def _together(parts: list[SomeClients]) -> SomeClients:
    return SomeClients(
        clients=sum(some.clients for some in parts),
        connected=sum(some.connected for some in parts),
        useful=_sum_of_all(some.useful for some in parts),
        attempts=sum(some.attempts for some in parts),
        limited=sum(some.limited for some in parts),
        failed=sum(some.failed for some in parts),
        first_attempts=sum(some.first_attempts for some in parts),
        first_limited=sum(some.first_limited for some in parts),
        gave_up=sum(some.gave_up for some in parts),
    )


def _sum_of_all(means: Iterable[float | None]) -> float | None:
    """The sum; None where a part is not known."""
    values = list(means)
    there = [value for value in values if value is not None]
    return sum(there) if len(there) == len(values) else None


def _reference(found: Set[Reference]) -> Reference | None:
    """What any of the processes has come to count from; each begins with the stamps."""
    return "schedule" if "schedule" in found else min(found, default=None)


def _fits(fits: Iterable[FeedFit]) -> tuple[FeedFit, ...]:
    """One of each stream: that of the process which saw most of it."""
    found: dict[str, FeedFit] = {}
    for each in fits:
        if each.stream not in found or each.ticks >= found[each.stream].ticks:
            found[each.stream] = each
    return tuple(found[stream] for stream in sorted(found))


def _counts(dicts: Iterable[Mapping[_Key, int]]) -> dict[_Key, int]:
    total: Counter[_Key] = Counter()
    for counts in dicts:
        total.update(counts)
    return dict(total)
