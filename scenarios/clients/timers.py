"""Timers of many clients on one timer of the event loop.

The event loop looks at its timers only after it has handled all sockets that are ready, which takes most of
a second when ten thousand connections end at once. This queue can be asked in between, so that retries are
on time even then; and a timer costs one tuple in a heap.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from time import monotonic_ns
from typing import Any

NEVER_NS = 2**63 - 1

Timer = list[Callable[[], None] | None]
"""A pending timer; emptied when it is cancelled."""


class Timers:
    """Calls back at given times. wake_at: asks the event loop to call `run_due` at a monotonic time."""

    def __init__(self, wake_at: Callable[[int], None]) -> None:
        self.next_ns = NEVER_NS
        """When the next timer is due; a cancelled one may still count."""
        self._wake_at = wake_at
        self._heap: list[tuple[int, int, Timer]] = []
        self._number = 0
        self._running = False

    def at(self, due_ns: int, callback: Callable[[], None]) -> Timer:
        """Calls back at a monotonic time; those due at the same time in the order in which they were set."""
        timer: Timer = [callback]
        self._number += 1
        heappush(self._heap, (due_ns, self._number, timer))
        if due_ns < self.next_ns:
            self.next_ns = due_ns
            self._wake_at(due_ns)
        return timer

    def run_due(self, now_ns: int) -> None:
        """Calls back for everything due by `now_ns`; what that sets anew waits for the next call.

        Called by a callback it does nothing: an attempt that fails at once, time and again, would never end.
        """
        if self._running:
            return
        self._running = True
        heap = self._heap
        last = self._number
        later = []
        try:
            while heap and heap[0][0] <= now_ns:
                entry = heappop(heap)
                callback = entry[2][0]
                if callback is None:
                    continue
                if entry[1] > last:
                    later.append(entry)
                    continue
                entry[2][0] = None
                callback()
        finally:
            self._running = False
            for entry in later:
                heappush(heap, entry)
            self.next_ns = heap[0][0] if heap else NEVER_NS
            if heap:
                self._wake_at(self.next_ns)


class LoopTimers(Timers):
    """Timers on one alarm of gevent's event loop."""

    def __init__(self, loop: Any) -> None:
        super().__init__(self._wake)
        self._loop = loop
        self._alarm: Any = None
        self._alarm_ns = NEVER_NS
        self._stopped = False

    def run_between_events(self) -> None:
        """To be called after each event: timers do not wait until all sockets have been served."""
        now_ns = monotonic_ns()
        if now_ns >= self.next_ns:
            self.run_due(now_ns)

    def run_due(self, now_ns: int) -> None:
        """Calls back for everything due by `now_ns`, unless it has been stopped."""
        if not self._stopped:
            super().run_due(now_ns)

    def stop(self) -> None:
        """Lets no timer call back any more."""
        self._stopped = True
        if self._alarm is not None:
            self._alarm.close()

    def _wake(self, due_ns: int) -> None:
        # An alarm that is set for an earlier time stays: it finds nothing to do, and sets the next one.
        if due_ns >= self._alarm_ns or self._stopped:
            return
        self._alarm_ns = due_ns
        if self._alarm is not None:
            self._alarm.close()
        self._alarm = self._loop.timer(max(0, due_ns - monotonic_ns()) / 1e9)
        self._alarm.start(self._on_alarm, update=True)

    def _on_alarm(self) -> None:
        self._alarm_ns = NEVER_NS
        self.run_due(monotonic_ns())


def cancel(timer: Timer | None) -> None:
    """Makes sure that a timer, if there is one, does not call back any more."""
    if timer is not None:
        timer[0] = None
