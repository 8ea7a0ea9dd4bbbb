"""What pods said about each second: one line each as a rule, more or none where a pod stood still or died.

A line is booked to the second whose end is nearest to its own. A pod that was stopped reports once it goes
on: its line covers all the time since its last one, its rates are means over that time, and the seconds in
between have no line of it. Where two lines of a pod meet in one second, counts are added and rates are means
over both.
"""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from gateway_stub.protocol import PodStatistics


class PodSeconds:
    """The lines of all pods of a run, by second."""

    def __init__(self) -> None:
        self._lines: dict[int, dict[int, PodStatistics]] = {}

    @property
    def seconds(self) -> list[int]:
        """The seconds that have a line, in order."""
        return sorted(self._lines)

    def add(self, second: int, pod: int, line: PodStatistics) -> None:
        """Takes a line of a pod, whenever it comes."""
        lines = self._lines.setdefault(second, {})
        lines[pod] = _together(lines[pod], line) if pod in lines else line

    def row(self, second: int) -> dict[str, Any]:
        """The pods' columns of series.csv, over the pods that reported; none where no pod did."""
        lines = self._lines.get(second, {}).values()
        if not lines:
            return {}
        cpu, loop = [_cpu(line) for line in lines], [_loop(line) for line in lines]
        return {
            "pod_cpu": sum(cpu) / len(cpu),
            "pod_cpu_total": sum(cpu),
            "pod_loop": sum(loop) / len(loop),
            "pod_loop_max": max(loop),
            "pod_lag_ms": max(line.lag_ms for line in lines),
            "tick_late_ms": max(line.tick_late_ms for line in lines),
            "handshakes": sum(line.handshakes for line in lines),
            "gone_early": sum(line.gone_early for line in lines),
            "short_sessions": sum(line.short_sessions for line in lines),
            "pod_shed": sum(line.shed for line in lines),
            "ticks_sent": sum(line.ticks_sent for line in lines),
        }

    def rows(self, second: int) -> list[Mapping[str, Any]]:
        """Rows of pods.csv without their time, by pod; none where no pod reported."""
        return [
            {
                "pod": pod,
                "clients": line.clients,
                "cpu": round(_cpu(line), 4),
                "loop": round(_loop(line), 4),
                "throttled": round(line.throttled_ns / line.span_ns, 4),
                "lag_ms": round(line.lag_ms, 4),
                "tick_late_ms": round(line.tick_late_ms, 4),
                "handshakes": line.handshakes,
                "joined": line.joined,
                "gone_early": line.gone_early,
                "short_sessions": line.short_sessions,
                "shed": line.shed,
                "ticks_sent": line.ticks_sent,
            }
            for pod, line in sorted(self._lines.get(second, {}).items())
        ]


def _cpu(line: PodStatistics) -> float:
    return line.cpu_ns / line.span_ns


def _loop(line: PodStatistics) -> float:
    return line.occupied_ns / line.span_ns


def _together(first: PodStatistics, second: PodStatistics) -> PodStatistics:
    return replace(
        second,
        span_ns=first.span_ns + second.span_ns,
        cpu_ns=first.cpu_ns + second.cpu_ns,
        throttled_ns=first.throttled_ns + second.throttled_ns,
        occupied_ns=first.occupied_ns + second.occupied_ns,
        lag_ms=max(first.lag_ms, second.lag_ms),
        tick_late_ms=max(first.tick_late_ms, second.tick_late_ms),
        handshakes=first.handshakes + second.handshakes,
        joined=first.joined + second.joined,
        gone_early=first.gone_early + second.gone_early,
        short_sessions=first.short_sessions + second.short_sessions,
        shed=first.shed + second.shed,
        ticks_sent=first.ticks_sent + second.ticks_sent,
    )
