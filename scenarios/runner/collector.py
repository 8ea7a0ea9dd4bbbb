"""Brings together what the generator, the pods and the CPU sampler say about each second.

The generator counts seconds from the run's epoch; a run directory counts them from the beginning of the
steady state. `zero` is the difference. A second is written once its successor has begun, as far as it is
known by then. More may come much later: a worker or a pod was slow, or a tick took its time to a client. So
everything is written anew at the end, and what a run directory holds then does not depend on when it came.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram

from reports.rundir.columns import GAVE_UP, GROUP_COLUMNS, OUTCOMES, SHARED_IP_COLUMNS
from reports.rundir.histograms import NOTHING
from reports.rundir.latency import Latency, percentile_of
from reports.rundir.reader import Run
from reports.rundir.schema import GROUP_TAGS, HIGHEST_US, TAGS, Tag, new_histogram
from reports.rundir.writer import RunWriter
from scenarios.host.cpu import CpuShares
from scenarios.proxies.sidecar_stats import SidecarLine, SidecarSeconds
from scenarios.runner.client_stats import ClientSeconds
from scenarios.runner.pod_columns import PodColumns
from scenarios.runner.pod_stats import PodSeconds
from scenarios.wire.interval import Interval, Samples
from scenarios.wire.pod_second import PodSecond

SECOND_NS = 1_000_000_000


class Collector:
    """Collects one run; all seconds given to it count from the epoch.

    cpu_in_intervals: take the generator's CPU from what it reports itself, as that of its busiest process.
    histogram: makes an empty histogram.
    """

    def __init__(
        self,
        writer: RunWriter,
        epoch_ns: int,
        *,
        cpu_in_intervals: bool = False,
        histogram: Callable[[], HdrHistogram] = new_histogram,
    ) -> None:
        self.writer = writer
        self.epoch_ns = epoch_ns
        self._new_histogram = histogram
        self._cpu_in_intervals = cpu_in_intervals
        self.zero = 0
        """Second since the epoch at which the steady state began."""
        self.latest: Interval | None = None
        self._rows: dict[int, dict[str, Any]] = {}
        self._pods = PodSeconds()
        self._sidecars = SidecarSeconds()
        self._fanout: dict[int, HdrHistogram] = {}
        self._fanout_by_stamp: dict[int, HdrHistogram] = {}
        self._effective: dict[int, HdrHistogram] = {}
        self._censored: dict[int, HdrHistogram] = {}
        self._staleness: dict[int, HdrHistogram] = {}
        self._session_age: dict[int, HdrHistogram] = {}
        self._tagged: dict[Tag, dict[int, HdrHistogram]] = {
            "fanout": self._fanout,
            "effective": self._effective,
            "censored": self._censored,
            "staleness": self._staleness,
            "fanout_by_stamp": self._fanout_by_stamp,
            "session_age": self._session_age,
        }
        self._of_groups: dict[int, dict[Tag, dict[int, HdrHistogram]]] = {}
        self._skipped: Counter[int] = Counter()
        self._shared_ips = ClientSeconds(SHARED_IP_COLUMNS, "clients_per_ip")
        self._groups = ClientSeconds(GROUP_COLUMNS, "group")
        self._parts = (
            (writer.shared_ips, writer.replace_shared_ips, self._shared_ips),
            (writer.groups, writer.replace_groups, self._groups),
            (writer.pods, writer.replace_pods, self._pods),
            (writer.sidecars, writer.replace_sidecars, self._sidecars),
        )
        """Tables that have several rows for a second."""
        self._written = -1

    def row(self, second: int) -> dict[str, Any]:
        """The row of a second, as far as it is known; empty where nothing is."""
        return self._rows.get(second, {}) | self._pods.row(second)

    def percentile_ms(self, tag: Tag, percent: float, from_second: int, to_second: int) -> float | None:
        """A percentile of all values of [from_second, to_second) that are known by now; None without any."""
        histograms = self._tagged[tag]
        total = self._new_histogram()
        for second in range(from_second, to_second):
            if second in histograms:
                total.add(histograms[second])
        return total.get_value_at_percentile(percent) / 1000 if total.get_total_count() else None

    def effective_p99(self, second: int) -> Latency | None:
        """Of the ticks due in a second, as far as clients hold them, or are known never to have held them."""
        known, bounds = (
            histograms[second].buckets() if second in histograms else NOTHING
            for histograms in (self._effective, self._censored)
        )
        return percentile_of(99, known, bounds)

    def recorded(self, *stretches: tuple[int, int], unheard: float = 0.0) -> Run:
        """What would be read back of these seconds of steady state, each [from, to), if no more came.

        unheard: share of the clients of whom it is not known when they held the last seconds' ticks; they
        are taken never to hold any of them.
        """
        seconds = sorted({self.zero + t_s for stretch in stretches for t_s in range(*stretch)})
        effective = {s: self._effective[s].buckets() for s in seconds if s in self._effective}
        censored = {s: self._censored[s].buckets() for s in seconds if s in self._censored}
        if unheard:
            for second, known in effective.items():
                never = self._new_histogram()
                never.record_value(HIGHEST_US, ceil(known.total * unheard / (1 - unheard)))
                bounds = never.buckets()
                censored[second] = censored[second] + bounds if second in censored else bounds
        return Run(
            directory=self.writer.directory,
            info=self.writer.info,
            rows=tuple({**self.row(s), "t_s": s - self.zero} for s in seconds if self.row(s)),
            shared_ips=(),
            pods=(),
            events=(),
            histograms={
                "effective": {s - self.zero: found for s, found in effective.items()},
                "censored": {s - self.zero: found for s, found in censored.items()},
            },
        )

    def on_interval(self, interval: Interval) -> None:
        """Takes a second of the generator's."""
        if self.latest is None or interval.second >= self.latest.second:
            self.latest = interval
        self._note_reference(interval)
        if interval.clocks:
            known = {clock.process: clock for clock in (*self.writer.info.clocks, *interval.clocks)}
            self.writer.info.clocks = tuple(known[name] for name in sorted(known))
        for change in interval.worker_changes:
            t_s = interval.second - self.zero
            self.writer.event(t_s, f"worker_{change.change}", worker=change.name, clients=change.clients)
        for step in interval.clock_steps:
            self.on_clock_step(interval.second, step.process or "load generator", step.by_ns)
        # Finalising ends a second early; its two parts are one second.
        self._shared_ips.add(interval.second, interval.shared_ips, interval.group_ticks)
        self._groups.add(interval.second, interval.fleet_groups, interval.fleet_group_ticks)
        row = self._rows.setdefault(interval.second, {})
        fanout = self._add(self._fanout, interval.second, interval.fanout)
        staleness = self._add(self._staleness, interval.second, interval.staleness)
        if interval.session_ages.counts:
            self._add(self._session_age, interval.second, interval.session_ages)
        self._add_due_ticks(interval)
        self.writer.info.unnumbered |= interval.unnumbered
        for key, value in {
            "attempts": interval.attempts,
            "attempts_squares_100ms": sum(n * n for n in interval.attempts_per_slot),
            **{name: interval.outcomes.get(name, 0) for name in OUTCOMES},
            "disconnects": sum(interval.disconnects.values()),
            "stale": interval.disconnects.get("stale", 0),
            "ping_timeout": interval.disconnects.get("ping_timeout", 0),
            "gave_up": interval.gave_up,
            **{f"gave_up_{name}": interval.gave_up_by_reason.get(name, 0) for name in GAVE_UP},
            "held_back": interval.held_back,
            "unopened": interval.unopened,
            "ticks": interval.ticks,
            "missed": interval.missed,
            **interval.recovery,
            **interval.tls,
            "early": interval.early,
        }.items():
            row[key] = row.get(key, 0) + value
        if self._cpu_in_intervals:
            cpu = interval.busiest_cpu_ns / SECOND_NS
            row["generator_cpu"] = row.get("generator_cpu", 0.0) + cpu
        row["earliest_ms"] = max(row.get("earliest_ms", 0.0), interval.earliest_ns / 1e6)
        row["attempts_peak_100ms"] = max((row.get("attempts_peak_100ms", 0), *interval.attempts_per_slot))
        row.update(
            # The clients of a process that died are still clients, and not connected.
            clients=interval.clients + interval.missing,
            missing=interval.missing,
            connected=interval.connected,
        )
        for key, late_ms in {
            "generator_lag_p99_ms": interval.lag_p99_ms,
            "retry_late_p99_ms": interval.retry_late.percentile_ms(99),
        }.items():
            if late_ms is not None:
                # A part of a second that was late is not made good by one that was not.
                row[key] = max(row.get(key, 0.0), late_ms)
        if interval.useful is not None:
            row["useful"] = interval.useful
        if interval.stale_clients is not None:
            # The mean over a second is client-seconds. Who is missing gets nothing.
            row["stale_client_s"] = interval.stale_clients + interval.missing
        row.update(**_in_ms("fanout", fanout), **_in_ms("staleness", staleness))

    def on_clock_step(self, second: int, process: str, by_ns: int) -> None:
        """Takes note that a wall clock was set; by 0, it was not."""
        if by_ns:
            self.writer.event(second - self.zero, "clock_set", process=process, by_ms=round(by_ns / 1e6, 1))

    def _add_due_ticks(self, interval: Interval) -> None:
        """What became of ticks, by the second of the due time, which may have been written already."""
        for due_second, samples in interval.effective.items():
            self._add(self._effective, due_second, samples)
        for due_second, samples in interval.censored.items():
            self._add(self._censored, due_second, samples)
        self._skipped.update(interval.skipped)
        for group, times in interval.fleet_group_times.items():
            own = self._of_groups.setdefault(group, {tag: {} for tag in GROUP_TAGS})
            for due_second, samples in times.effective.items():
                self._add(own["effective"], due_second, samples)
            for due_second, samples in times.censored.items():
                self._add(own["censored"], due_second, samples)
            self._add(own["staleness"], interval.second, times.staleness)

    def _note_reference(self, interval: Interval) -> None:
        """What latencies count from, and the fan-out latency by stamp where that is another one."""
        if interval.reference:
            self.writer.info.reference = interval.reference
        if interval.fits:
            self.writer.info.feed_fits = interval.fits
        if interval.fanout_by_stamp.counts:
            by_stamp = self._add(self._fanout_by_stamp, interval.second, interval.fanout_by_stamp)
            row = self._rows.setdefault(interval.second, {})
            row.update(**_in_ms("fanout_by_stamp", by_stamp))
            row["stamped"] = row.get("stamped", 0) + interval.stamped

    def on_pod(self, index: int, line: PodSecond) -> None:
        """Takes a pod's statistics of the second, or longer, that just ended."""
        second = self._ended(line.t_ns)
        self._pods.add(second, index, line)
        self._rows.setdefault(second, {})

    def on_pods(self, second: int, columns: PodColumns) -> None:
        """Takes the statistics of all pods of a second at once."""
        self._pods.add_all(second, columns)
        self._rows.setdefault(second, {})

    def on_sidecar(self, pod: int, line: SidecarLine) -> None:
        """Takes what the sidecar beside a pod did in the second, or longer, that just ended."""
        self._sidecars.add(self._ended(line.t_ns), pod, line)

    def on_cpu(self, second: int, shares: CpuShares) -> None:
        """Takes the CPU shares of a second."""
        row = self._rows.setdefault(second, {})
        row.update(nginx_cpu=shares.nginx, foreign_cpu=shares.foreign, steal=shares.steal)
        for part, of_cores in (("stack", shares.stack), ("generator", shares.generator_core)):
            if of_cores is not None:
                row[f"{part}_foreign_cpu"], row[f"{part}_steal"] = of_cores.foreign, of_cores.steal
        if not self._cpu_in_intervals:
            row["generator_cpu"] = shares.generator

    def write_until(self, second: int) -> None:
        """Appends every row before `second` that has not been written yet."""
        for ready in sorted(s for s in self._rows if self._written < s < second):
            self.writer.row(self._finished(ready))
            for append, _, found in self._parts:
                append({"t_s": ready - self.zero, **row} for row in found.rows(ready))
            if ready in self._fanout:
                self.writer.histogram("fanout", ready - self.zero, self._fanout[ready])
                self.writer.histogram("staleness", ready - self.zero, self._staleness[ready])
            if ready in self._fanout_by_stamp:
                by_stamp = self._fanout_by_stamp[ready]
                self.writer.histogram("fanout_by_stamp", ready - self.zero, by_stamp)
            if ready in self._session_age:
                self.writer.histogram("session_age", ready - self.zero, self._session_age[ready])
            self._written = ready

    def finish(
        self,
        end: int,
        nginx_limited: Mapping[int, int] | None,
        sidecar_refused: Mapping[int, int] | None = None,
    ) -> None:
        """Writes everything before `end` anew, with what became known late, and with others' own refusals.

        nginx_limited, sidecar_refused: by second; None where nginx is not ours, or where no sidecars are.
        """
        for second, row in self._rows.items():
            row["skipped"] = self._skipped[second]
            if nginx_limited is not None:
                row["nginx_limited"] = nginx_limited.get(second, 0)
            if sidecar_refused is not None:
                row["sidecar_refused"] = sidecar_refused.get(second, 0)
            p99 = self.effective_p99(second)
            if p99 is not None:
                row.update(effective_p99_ms=p99.ms, effective_at_least=int(p99.at_least))
        self.writer.replace_rows(self._finished(second) for second in _before(end, self._rows))
        for _, replace, found in self._parts:
            replace(
                {"t_s": second - self.zero, **row}
                for second in _before(end, found.seconds)
                for row in found.rows(second)
            )
        self.writer.replace_histograms(
            (tag, second - self.zero, self._tagged[tag][second])
            for tag in TAGS
            for second in _before(end, self._tagged[tag])
        )

        self.writer.write_group_histograms(
            (group, tag, second - self.zero, found[second])
            for group, tags in self._of_groups.items()
            for tag, found in tags.items()
            for second in _before(end, found)
        )

    def _finished(self, second: int) -> dict[str, Any]:
        row = self.row(second)
        rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}
        return {**rounded, "t_s": second - self.zero}

    def _ended(self, t_ns: int) -> int:
        """The second whose end is nearest to a moment."""
        return round((t_ns - self.epoch_ns) / SECOND_NS) - 1

    def _add(self, histograms: dict[int, HdrHistogram], second: int, samples: Samples) -> HdrHistogram:
        histogram = histograms.get(second)
        if histogram is None:
            histogram = histograms[second] = self._new_histogram()
        _record(histogram, samples)
        return histogram


def _record(histogram: HdrHistogram, samples: Samples) -> None:
    values, counts = samples.arrays()
    histogram.record_values(np.maximum(values, 1), counts)


def _in_ms(name: str, histogram: HdrHistogram) -> dict[str, float]:
    """Median, 99th percentile and maximum; nothing where it is empty."""
    if not histogram.get_total_count():
        return {}
    return {
        f"{name}_p50_ms": histogram.get_value_at_percentile(50) / 1000,
        f"{name}_p99_ms": histogram.get_value_at_percentile(99) / 1000,
        f"{name}_max_ms": histogram.get_max_value() / 1000,
    }


def _before(end: int, seconds: Iterable[int]) -> list[int]:
    return sorted(second for second in seconds if second < end)
