"""How busy a pod is: CPU time, and the share of time in which its event loop was not waiting.

The two differ. A loop that shares its core with others, or that a handshake only blocks, is occupied
without using CPU. Linux counts for every thread how long it ran and how long it stood in the run queue;
what remains is the time that the loop slept, waiting for work. Counting costs the loop nothing.
"""

import asyncio
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway_stub.protocol import PodStatistics

_PROBE_S = 0.05
_CURRENT_S = 0.2
_RECENT_S = 1.0


class LoopMonitor:
    """Prints a `PodStatistics` line a second, from a thread, so that a blocked loop still reports.

    counts: called once a second; returns the fields that the application counts, as differences.
    blocked_ns: returns the total time for which handshakes kept the loop asleep on purpose.
    """

    def __init__(self, counts: Callable[[], dict[str, float]], blocked_ns: Callable[[], int]) -> None:
        self._counts = counts
        self._blocked_ns = blocked_ns
        self._thread_id = threading.get_native_id()
        self._worst_lag_s = 0.0
        self._probe_due = math.inf
        self._lags: deque[tuple[float, float]] = deque(maxlen=round(_RECENT_S / _PROBE_S))
        """When the latest probes ended, and how late they were, in seconds."""
        self.last: PodStatistics | None = None

    def start(self) -> None:
        """Starts the thread; the caller's thread is the one that runs the loop."""
        threading.Thread(target=self._report, name="statistics", daemon=True).start()

    async def probe(self) -> None:
        """Measures the loop's lag; never returns; cancel it."""
        while True:
            self._probe_due = time.monotonic() + _PROBE_S
            await asyncio.sleep(_PROBE_S)
            now = time.monotonic()
            self._lags.append((now, now - self._probe_due))
            self._worst_lag_s = max(self._worst_lag_s, now - self._probe_due)

    def current_lag_ms(self) -> float:
        """How late the loop is now; to be asked on the loop itself.

        Who asks runs in a turn of the loop. A probe that is overdue tells how long this turn has taken so
        far; before it is, the last one tells how long the loop took to come round to this turn. How long a
        connection has waited in the accept queue, neither knows; see `connections.waited_ms`.
        """
        now = time.monotonic()
        ended, lag = self._lags[-1] if self._lags else (-math.inf, 0.0)
        return 1000 * max(0.0, now - self._probe_due, lag if now - ended < _CURRENT_S else 0.0)

    def recent_lag_ms(self) -> float:
        """The worst lag of the last second; to be asked on the loop itself."""
        now = time.monotonic()
        lags = [lag for ended, lag in self._lags if now - ended < _RECENT_S]
        return 1000 * max(0.0, now - self._probe_due, *lags)

    def _take_lag_ms(self) -> float:
        # A probe that is overdue right now counts too, or a long block would show up only when it ends.
        worst = max(self._worst_lag_s, time.monotonic() - self._probe_due, 0.0)
        self._worst_lag_s = 0.0
        return worst * 1000

    def _report(self) -> None:
        last_ns, last_cpu = time.monotonic_ns(), time.process_time_ns()
        last_occupied = self._occupied_ns()
        while True:
            time.sleep(seconds_to_report(time.monotonic()))
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
        return ran_and_queued_ns(self._thread_id) + self._blocked_ns()


def seconds_to_report(now_s: float) -> float:
    """How long to wait for the next line: until the full second after the one nearest to now.

    A process that was stopped wakes anywhere in a second. Its line stands for the second that ends nearest
    to it, and the next line must not stand for the same one.
    """
    return math.floor(now_s + 1.5) - now_s


def ran_and_queued_ns(thread_id: int) -> int:
    """Nanoseconds that a thread of this process has run or waited for a core, from the kernel's schedstat.

    Where there is no such file, the process's CPU time alone.
    """
    try:
        ran, queued, _ = Path(f"/proc/self/task/{thread_id}/schedstat").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return time.process_time_ns()
    return int(ran) + int(queued)
