"""What handshakes and ticks cost a pod: real CPU time, or only the event loop's time.

A handshake's cost comes in two stages, as in a real gateway: TLS and authentication while the HTTP upgrade
is handled, before anybody knows whether the client is still there; then the room join and the snapshot,
once the namespace is asked for. A broadcast costs its share for every client. Nothing of this ever yields
to the loop: that is what makes a handshake storm hurt.
"""

import time
from typing import Literal

from gateway_stub.protocol import UPGRADE_SHARE


class Cost:
    """Spends what handshakes and ticks cost, and adds up the time for which it only blocked."""

    def __init__(
        self, mode: Literal["burn", "occupy"], *, handshake_cpu_ms: float, tick_cpu_us: float
    ) -> None:
        self.mode = mode
        self.handshake_cpu_ms = handshake_cpu_ms
        self.tick_cpu_us = tick_cpu_us
        self.blocked_ns = 0

    def upgrade(self) -> None:
        """TLS and authentication."""
        self._spend(int(self.handshake_cpu_ms * UPGRADE_SHARE * 1e6))

    def join(self) -> None:
        """Room join and snapshot."""
        self._spend(int(self.handshake_cpu_ms * (1 - UPGRADE_SHARE) * 1e6))

    def deliver(self, clients: int) -> None:
        """A tick made ready for so many clients."""
        self._spend(int(clients * self.tick_cpu_us * 1e3))

    def _spend(self, nanoseconds: int) -> None:
        if nanoseconds <= 0:
            return
        if self.mode == "occupy":
            started = time.monotonic_ns()
            time.sleep(nanoseconds / 1e9)
            self.blocked_ns += time.monotonic_ns() - started
        else:
            burn(nanoseconds)


def burn(cpu_ns: int) -> None:
    """Uses `cpu_ns` nanoseconds of this thread's CPU time, however long that takes on a shared core."""
    end = time.thread_time_ns() + cpu_ns
    while time.thread_time_ns() < end:
        pass
