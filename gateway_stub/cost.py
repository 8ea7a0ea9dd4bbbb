"""What a handshake costs a pod: real CPU time, or only the event loop's time.

The cost comes in two stages, as in a real gateway: TLS and authentication while the HTTP upgrade is
handled, before anybody knows whether the client is still there; then the room join and the snapshot, once
the namespace is asked for. A stage never yields to the loop: that is what makes a handshake storm hurt.
"""

import time
from typing import Literal

UPGRADE_SHARE = 0.7
"""Share of the cost that is paid before the upgrade is answered; the rest is paid at the join."""


class HandshakeCost:
    """Spends the cost of handshakes, stage by stage, and adds up what it only reserved."""

    def __init__(self, cpu_ms: float, mode: Literal["burn", "reserve"]) -> None:
        self.cpu_ms = cpu_ms
        self.mode = mode
        self.reserved_ns = 0

    def upgrade(self) -> None:
        """TLS and authentication."""
        self._spend(UPGRADE_SHARE)

    def join(self) -> None:
        """Room join and snapshot."""
        self._spend(1 - UPGRADE_SHARE)

    def _spend(self, share: float) -> None:
        nanoseconds = int(self.cpu_ms * share * 1e6)
        if nanoseconds <= 0:
            return
        if self.mode == "reserve":
            started = time.monotonic_ns()
            time.sleep(nanoseconds / 1e9)
            self.reserved_ns += time.monotonic_ns() - started
        else:
            burn(nanoseconds)


def burn(cpu_ns: int) -> None:
    """Uses `cpu_ns` nanoseconds of this thread's CPU time, however long that takes on a shared core."""
    end = time.thread_time_ns() + cpu_ns
    while time.thread_time_ns() < end:
        pass
