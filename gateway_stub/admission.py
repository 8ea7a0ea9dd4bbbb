"""Whether a pod takes on a handshake, decided before it has spent anything on it.

Three rules, each of which may be off. An address makes only so many connections in a window of time. While
the event loop lags, new clients are turned away, so that those who are in keep getting their ticks. And only
so many handshakes may be under way at once, so that those that have begun are finished before their clients
give up.
"""

from collections.abc import Hashable

from gateway_stub.protocol import Admission
from gateway_stub.sliding_window import SlidingWindow, peer_key

SLOT_LIFETIME_NS = 10_000_000_000
"""Longer than clients wait, and short enough that polling clients that fell silent do not close the pod:
each of their requests may come on another connection, so that none of these ending tells anything."""


class Admitter:
    """Decides on handshakes, and remembers those that hold a slot.

    rules: may be replaced at any time; a handshake that was let in stays in.
    """

    def __init__(self, rules: Admission) -> None:
        self.rules = rules
        self._window = SlidingWindow()
        self._expiry_ns: dict[Hashable, int] = {}
        """Of every slot that is held, by holder, in the order in which they were taken."""

    def fits_window(self, forwarded_for: str, peer: str, now_ns: int) -> bool:
        """Whether the address of a request may make one more connection now, which is then counted."""
        rules = self.rules
        return not rules.window_connections or self._window.admits(
            peer_key("" if rules.window_by_peer else forwarded_for, peer),
            now_ns,
            connections=rules.window_connections,
            window_ns=int(rules.window_s * 1e9),
            charge_refusals=rules.window_charges_refusals,
        )

    def admit(self, holder: Hashable, *, lag_ms: float, now_ns: int) -> bool:
        """True where the handshake may go on; it then holds a slot, if these are limited.

        holder: stands for the handshake; equal to no other's. lag_ms: how late the event loop is now.
        """
        if self.rules.shed_above_lag_ms and lag_ms > self.rules.shed_above_lag_ms:
            return False
        if self.rules.handshake_slots:
            if self.slots_held(now_ns) >= self.rules.handshake_slots:
                return False
            self._expiry_ns[holder] = now_ns + SLOT_LIFETIME_NS
        return True

    def release(self, holder: Hashable) -> None:
        """The handshake has come to an end, well or badly; may be said more than once."""
        self._expiry_ns.pop(holder, None)

    def slots_held(self, now_ns: int) -> int:
        """How many handshakes are under way, of those that were counted."""
        while self._expiry_ns and self._expiry_ns[oldest := next(iter(self._expiry_ns))] <= now_ns:
            del self._expiry_ns[oldest]
        return len(self._expiry_ns)
