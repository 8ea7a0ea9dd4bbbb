"""What is known of pods in each second: one line each as a rule, more or none where a pod was paused or died.

A line is booked to the second whose end is nearest to its own. A pod that was stopped reports once it goes
on: its line covers all the time since its last one, its rates are means over that time, and the seconds in
between have no line of it. Where two lines of a pod meet in one second, counts are added and rates are means
over both.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from scenarios.runner.pod_columns import PodColumns
from scenarios.wire.pod_second import PodSecond, together

_COUNTS = {
    "handshakes": "handshakes",
    "gone_early": "gone_early",
    "short_sessions": "short_sessions",
    "pod_shed": "shed",
    "ticks_sent": "ticks_sent",
}
"""Columns of series.csv that are sums over pods, by the field of a line."""


class PodSeconds:
    """The lines of all pods of a run, by second."""

    def __init__(self) -> None:
        self._lines: dict[int, dict[int, PodSecond]] = {}
        self._rows: dict[int, dict[str, Any]] = {}
        """What has been added up since the last line of a second."""
        self._columns: dict[int, PodColumns] = {}
        """Seconds of which all lines have come at once."""

    @property
    def seconds(self) -> list[int]:
        """The seconds that have a line, in order."""
        return sorted({*self._lines, *self._columns})

    def add(self, second: int, pod: int, line: PodSecond) -> None:
        """Takes a line of a pod, whenever it comes."""
        lines = self._lines.setdefault(second, {})
        lines[pod] = together(lines[pod], line) if pod in lines else line
        self._rows.pop(second, None)

    def add_all(self, second: int, columns: PodColumns) -> None:
        """Takes all lines of a second, of which no others come."""
        self._columns[second] = columns

    def row(self, second: int) -> dict[str, Any]:
        """The pods' columns of series.csv, over the pods that reported; without what no pod has told."""
        if second not in self._rows:
            columns = self._columns.get(second)
            lines = self._lines.get(second, {}).values()
            self._rows[second] = columns.row() if columns else self._added_up(lines)
        return self._rows[second]

    def _added_up(self, lines: Collection[PodSecond]) -> dict[str, Any]:
        if not lines:
            return {}
        cpu = [_cpu(line) for line in lines]
        row = {
            "pod_cpu": sum(cpu) / len(cpu),
            "pod_cpu_total": sum(cpu),
            "pod_loop": _over(_mean, (_loop(line) for line in lines)),
            "pod_loop_max": _over(max, (_loop(line) for line in lines)),
            "pod_lag_ms": _over(max, (line.lag_ms for line in lines)),
            "pod_rss_mb": _over(sum, (_rss_mb(line) for line in lines)),
            "tick_late_ms": _over(max, (line.tick_late_ms for line in lines)),
            **{
                column: _over(sum, (getattr(line, field) for line in lines))
                for column, field in _COUNTS.items()
            },
        }
        return {column: value for column, value in row.items() if value is not None}

    def rows(self, second: int) -> list[Mapping[str, Any]]:
        """Rows of pods.csv without their time, by pod; none where no pod reported."""
        if columns := self._columns.get(second):
            return columns.rows()
        return [
            {
                "pod": pod,
                "clients": line.clients,
                "cpu": round(_cpu(line), 4),
                "loop": _rounded(_loop(line)),
                "throttled": round(line.throttled_ns / line.span_ns, 4),
                "rss_mb": _rounded(_rss_mb(line)),
                "lag_ms": _rounded(line.lag_ms),
                "tick_late_ms": _rounded(line.tick_late_ms),
                "handshakes": line.handshakes,
                "joined": line.joined,
                "gone_early": line.gone_early,
                "short_sessions": line.short_sessions,
                "shed": line.shed,
                "ticks_sent": line.ticks_sent,
            }
            for pod, line in sorted(self._lines.get(second, {}).items())
        ]


def _cpu(line: PodSecond) -> float:
    return line.cpu_ns / line.span_ns


def _loop(line: PodSecond) -> float | None:
    return None if line.occupied_ns is None else line.occupied_ns / line.span_ns


def _rss_mb(line: PodSecond) -> float | None:
    return None if line.rss_bytes is None else line.rss_bytes / 1e6


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values)


def _over(how: Callable[[list[float]], float], values: Iterable[float | None]) -> float | None:
    """A value over those pods that have one; None where no pod has."""
    known = [value for value in values if value is not None]
    return how(known) if known else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
