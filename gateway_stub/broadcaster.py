"""Sends every tick to every joined client, on a schedule that does not slip.

Tick k is due at epoch + k / rate, whatever the loop was doing then. A loop that was busy finds several
ticks due and sends them all, in order: a feed does not drop its backlog because the gateway is late.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from gateway_stub.protocol import Tick


class Broadcaster:
    """Calls `send(payload)` for every tick that has come due.

    send: an async function of the JSON-ready payload that returns once the tick is on its way.
    """

    def __init__(
        self,
        send: Callable[[dict[str, object]], Awaitable[None]],
        *,
        rate_hz: float,
        payload_bytes: int,
        epoch_ns: int,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._send = send
        self._period_ns = round(1e9 / rate_hz)
        self._padding = "x" * payload_bytes
        self._epoch_ns = epoch_ns
        self._clock = clock
        self._next = max(0, -(-(clock() - epoch_ns) // self._period_ns))
        self.worst_late_ns = 0

    async def run(self) -> None:
        """Never returns; cancel it."""
        while True:
            wait_ns = self._due(self._next) - self._clock()
            # A sleep even when late, so that the loop can serve others between two ticks of a backlog.
            await asyncio.sleep(max(0, wait_ns) / 1e9)
            if self._clock() >= self._due(self._next):
                await self._send(self.payload())

    def payload(self) -> dict[str, object]:
        """The next tick, stamped now; moves on to the one after it."""
        due_ns, now_ns = self._due(self._next), self._clock()
        self.worst_late_ns = max(self.worst_late_ns, now_ns - due_ns)
        tick = Tick(seq=self._next, due_ns=due_ns, sent_ns=now_ns)
        self._next += 1
        return {**msgspec.structs.asdict(tick), "pad": self._padding}

    def take_worst_late_ns(self) -> int:
        """The worst lateness since the last call."""
        worst, self.worst_late_ns = self.worst_late_ns, 0
        return worst

    def _due(self, seq: int) -> int:
        return self._epoch_ns + seq * self._period_ns
