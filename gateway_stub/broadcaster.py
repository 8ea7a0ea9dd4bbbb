"""Sends every tick to every joined client, on a schedule that does not slip.

Every tick has its due time, whatever the loop was doing then. A loop that was busy, or a feed that stood
still, finds several ticks due and sends them all, in order: a feed does not drop its backlog because the
gateway is late.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from gateway_stub.feed_schedule import FeedSchedule
from gateway_stub.protocol import Tick

_LONGEST_SLEEP_NS = 50_000_000
"""A schedule that changes in mid-run is obeyed after this time at the latest."""


class Broadcaster:
    """Calls `send(payload)` for every tick that has come due, from the first one due from now on.

    send: an async function of the JSON-ready payload that returns once the tick is on its way.
    """

    def __init__(
        self,
        send: Callable[[dict[str, object]], Awaitable[None]],
        *,
        schedule: FeedSchedule,
        payload_bytes: int,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._send = send
        self.schedule = schedule
        """May be replaced at any time by one that agrees with it on the ticks that were due by then."""
        self.stalled_until_ns = 0
        """No tick goes out before this moment; afterwards all that are due do. May change at any time."""
        self._padding = "x" * payload_bytes
        self._clock = clock
        self._next = schedule.first_seq_from(clock())
        self.worst_late_ns = 0

    async def run(self) -> None:
        """Never returns; cancel it."""
        while True:
            # A sleep even when late, so that the loop can serve others between two ticks of a backlog.
            await asyncio.sleep(min(max(0, self._wait_ns()), _LONGEST_SLEEP_NS) / 1e9)
            if self._wait_ns() <= 0:
                await self._send(self.payload())

    def payload(self) -> dict[str, object]:
        """The next tick, stamped now; moves on to the one after it."""
        due_ns, now_ns = self.schedule.due_ns(self._next), self._clock()
        self.worst_late_ns = max(self.worst_late_ns, now_ns - due_ns)
        tick = Tick(seq=self._next, due_ns=due_ns, sent_ns=now_ns)
        self._next += 1
        return {**msgspec.structs.asdict(tick), "pad": self._padding}

    def take_worst_late_ns(self) -> int:
        """The worst lateness since the last call; waiting for the end of a stall is lateness, too."""
        worst, self.worst_late_ns = self.worst_late_ns, 0
        return worst

    def _wait_ns(self) -> int:
        return max(self.schedule.due_ns(self._next), self.stalled_until_ns) - self._clock()
