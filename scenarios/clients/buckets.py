"""The ticks of the clients of one cell since the last second: of the same group and as many clients per IP.

Each client appends to the lists of its own cell's bucket: telling the cells apart costs nothing per tick.
"""

from array import array
from collections.abc import Iterable
from typing import Any

import numpy as np

from scenarios.wire.tick_counts import TickCounts, add_seconds, held_ticks, never_held_ticks

_SECOND_NS = 1_000_000_000

Timed = tuple[Any, Any]
"""Due times and effective latencies of some ticks: two arrays of the same length, in nanoseconds."""


class Bucket:
    """The ticks of one cell.

    The hot path is public on purpose: a client appends to `latency_ns` and `due_ns`, and sets its elements of
    `held_seq` and `held_due_ns`. These two arrays are those of all clients of the process.
    """

    __slots__ = ("_counts", "_epoch_ns", "_gaps", "due_ns", "held_due_ns", "held_seq", "latency_ns")

    def __init__(self, epoch_ns: int, held_seq: "array[int]", held_due_ns: "array[int]") -> None:
        self.held_seq = held_seq
        self.held_due_ns = held_due_ns
        self.latency_ns: list[int] = []
        self.due_ns: list[int] = []
        self._epoch_ns = epoch_ns
        self._gaps: list[Timed] = []
        self._counts: list[dict[int, TickCounts]] = []

    def add_gap(self, gap: Timed) -> None:
        """Takes the ticks that one client skipped."""
        self._gaps.append(gap)

    def found(self, due_ns: int) -> None:
        """A tick that one client skipped has come after all."""
        self._counts.append({int(self._seconds(due_ns)): TickCounts(skipped=-1)})

    def censor(self, due_ns: Any, clients: Any) -> None:
        """Takes ticks that clients do not hold when the measurement is finalised, and how many lack each."""
        self._counts.append(never_held_ticks(self._seconds(due_ns), clients))

    def take_received(self) -> Timed:
        """The ticks that were received and were news, since the last call."""
        due, latency = np.array(self.due_ns, np.int64), np.array(self.latency_ns, np.int64)
        self.due_ns, self.latency_ns = [], []
        self._counts.append(held_ticks(self._seconds(due), latency))
        return due, latency

    def take_gaps(self) -> Timed:
        """The ticks that were skipped, since the last call."""
        due, latency = joined(self._gaps)
        self._gaps = []
        self._counts.append(held_ticks(self._seconds(due), latency, skipped=True))
        return due, latency

    def take_counts(self) -> dict[int, TickCounts]:
        """What became of all that was taken since the last call, by the second of the due time."""
        counts, self._counts = self._counts, []
        return add_seconds(counts)

    def _seconds(self, due_ns: Any) -> Any:
        return (due_ns - self._epoch_ns) // _SECOND_NS


def joined(parts: Iterable[Timed]) -> Timed:
    """Several of them as one."""
    due, latency = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for part in parts:
        due.append(part[0])
        latency.append(part[1])
    return np.concatenate(due), np.concatenate(latency)
