"""How busy a pod is: CPU time, and the share of time in which its event loop was not waiting.

The two differ. A loop that shares its core with others, or that a handshake only reserves, is occupied
without using CPU. Linux counts for every thread how long it ran and how long it stood in the run queue;
what remains is the time that the loop slept, waiting for work. Counting costs the loop nothing.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway_stub.protocol import PodStatistics

_PROBE_S = 0.05


class LoopMonitor:
    """Prints a `PodStatistics` line a second, from a thread, so that a blocked loop still reports.

    counts: called once a second; returns the fields that the application counts, as differences.
    reserved_ns: returns the total time for which handshakes kept the loop asleep on purpose.
    """

    def __init__(self, counts: Callable[[], dict[str, float]], reserved_ns: Callable[[], int]) -> None:
        self._counts = counts
        self._reserved_ns = reserved_ns
        self._thread_id = threading.get_native_id()
        self._worst_lag_s = 0.0
        self._probe_due = time.monotonic()
        self.last: PodStatistics | None = None

    def start(self) -> None:
        """Starts the thread; the caller's thread is the one that runs the loop."""
        threading.Thread(target=self._report, name="statistics", daemon=True).start()

    async def probe(self) -> None:
        """Measures the loop's lag; never returns; cancel it."""
        while True:
            self._probe_due = time.monotonic() + _PROBE_S
            await asyncio.sleep(_PROBE_S)
            self._worst_lag_s = max(self._worst_lag_s, time.monotonic() - self._probe_due)

    def _take_lag_ms(self) -> float:
        # A probe that is overdue right now counts too, or a long block would show up only when it ends.
        worst = max(self._worst_lag_s, time.monotonic() - self._probe_due, 0.0)
        self._worst_lag_s = 0.0
        return worst * 1000

    def _report(self) -> None:
        last_ns, last_cpu = time.monotonic_ns(), time.process_time_ns()
        last_occupied = self._occupied_ns()
        while True:
            time.sleep(1 - time.monotonic() % 1)
            now_ns, cpu, occupied = time.monotonic_ns(), time.process_time_ns(), self._occupied_ns()
            span = now_ns - last_ns
            self.last = msgspec.convert(
                {
                    "t_ns": now_ns,
                    "span_ns": span,
                    "cpu_ns": cpu - last_cpu,
                    "occupied_ns": min(span, occupied - last_occupied),
                    "lag_ms": self._take_lag_ms(),
                    **self._counts(),
                },
                PodStatistics,
                strict=False,
            )
            last_ns, last_cpu, last_occupied = now_ns, cpu, occupied
            try:
                sys.stdout.buffer.write(msgspec.json.encode(self.last) + b"\n")
                sys.stdout.buffer.flush()
            except (BrokenPipeError, ValueError):
                return

    def _occupied_ns(self) -> int:
        return ran_and_queued_ns(self._thread_id) + self._reserved_ns()


def ran_and_queued_ns(thread_id: int) -> int:
    """Nanoseconds that a thread of this process has run or waited for a core, from the kernel's schedstat.

    Where there is no such file, the process's CPU time alone.
    """
    try:
        ran, queued, _ = Path(f"/proc/self/task/{thread_id}/schedstat").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return time.process_time_ns()
    return int(ran) + int(queued)
