"""What is known of the sidecars in each second: their CPU and memory, what they did about failures.

A line is booked to the second whose end is nearest to its own. Counts are differences: where a sidecar did
not answer in time, they are empty, and its next line has what was missed.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

COUNTERS: dict[str, str] = {
    "retries": "cluster.pod.upstream_rq_retry",
    "retry_successes": "cluster.pod.upstream_rq_retry_success",
    "retries_denied": "cluster.pod.upstream_rq_retry_overflow",
    "connect_failures": "cluster.pod.upstream_cx_connect_fail",
    "timed_out": "cluster.pod.upstream_rq_per_try_timeout",
    "connection_overflow": "cluster.pod.upstream_cx_overflow",
    "pending_overflow": "cluster.pod.upstream_rq_pending_overflow",
    "ejections": "cluster.pod.outlier_detection.ejections_enforced_total",
    "limited": "limit.http_local_rate_limit.rate_limited",
}
"""Columns of sidecars.csv by Envoy's names for them."""

REFUSALS = frozenset({429, 503})
"""What clients count as a refusal."""


class SidecarLine(Struct, frozen=True, kw_only=True):
    """One sidecar over the time since its last line."""

    t_ns: int
    """Monotonic, when it ends."""
    span_ns: int
    cpu_ns: int
    rss_bytes: int
    counts: Mapping[str, int] | None
    """By the names of `COUNTERS`; None where the sidecar did not say."""


class SidecarSeconds:
    """The lines of all sidecars of a run, by second."""

    def __init__(self) -> None:
        self._lines: dict[int, dict[int, SidecarLine]] = {}

    @property
    def seconds(self) -> list[int]:
        """The seconds that have a line, in order."""
        return sorted(self._lines)

    def add(self, second: int, pod: int, line: SidecarLine) -> None:
        """Takes the line of the sidecar beside a pod; of two in one second, both count."""
        lines = self._lines.setdefault(second, {})
        lines[pod] = _together(lines[pod], line) if pod in lines else line

    def rows(self, second: int) -> list[Mapping[str, Any]]:
        """Rows of sidecars.csv without their time, by pod."""
        return [
            {
                "pod": pod,
                "cpu": round(line.cpu_ns / line.span_ns, 4),
                "rss_mb": round(line.rss_bytes / 1e6, 1),
                **(line.counts or {}),
            }
            for pod, line in sorted(self._lines.get(second, {}).items())
        ]


NO_STATISTICS = (ValueError, LookupError, TypeError, AttributeError, OverflowError)
"""What `counts_of` raises for JSON that is not Envoy's statistics."""


def counts_of(statistics: Mapping[str, Any]) -> dict[str, int]:
    """Our counters from what Envoy's `/stats?format=json` says; one that it has not counted yet is 0."""
    found = {one["name"]: one["value"] for one in statistics["stats"] if "name" in one}
    return {name: int(found.get(theirs, 0)) for name, theirs in COUNTERS.items()}


def refused_per_second(folder: Path, wall_epoch_s: float) -> Counter[int]:
    """Requests that sidecars answered by themselves with 429 or 503, by second since the epoch.

    folder: where their logs are; there may be none.
    """
    refused: Counter[int] = Counter()
    for path in sorted(folder.glob("*.access.log")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            fields = line.split("\t")
            if len(fields) != 5:
                continue
            try:
                if int(fields[2]) in REFUSALS:
                    ended_s = float(fields[0]) + int(fields[1]) / 1000
                    refused[int(ended_s - wall_epoch_s)] += 1
            except (ValueError, OverflowError):
                continue  # cut off, or written over
    return refused


def _together(first: SidecarLine, second: SidecarLine) -> SidecarLine:
    counts = Counter(first.counts or {}) + Counter(second.counts or {})
    known = first.counts is not None or second.counts is not None
    return SidecarLine(
        t_ns=second.t_ns,
        span_ns=first.span_ns + second.span_ns,
        cpu_ns=first.cpu_ns + second.cpu_ns,
        rss_bytes=second.rss_bytes,
        counts={name: counts[name] for name in COUNTERS} if known else None,
    )
