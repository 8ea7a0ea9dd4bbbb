"""How many clients a cycle has, and how fast they join: below saturation, whatever a handshake costs.

Not far below: a pod with little to do needs more CPU per handshake than a busy one, whose caches are warm and
whose event loop does several things per turn.
"""

from math import ceil, inf

from msgspec import Struct

RAMP_LOAD = 0.6
"""CPU of one core that handshakes may use while clients join."""
TICK_LOAD = 0.2
"""CPU of one core that ticks may use once all have joined."""
MOST_PER_S = 300.0
RAMP_S = 3
LONGEST_RAMP_S = 10
FEWEST, MOST = 10, 900


class Sizes(Struct, frozen=True, kw_only=True):
    """Clients of a cycle, and the seconds in which they join, spread evenly."""

    clients: int
    ramp_s: int


def sizes(handshake_s: float, client_s: float, most: int = MOST) -> Sizes:
    """The sizes for a handshake that takes `handshake_s` CPU-seconds.

    client_s: what the ticks of one client take, in CPU-seconds per second. most: clients at the most.
    """
    per_s = min(MOST_PER_S, RAMP_LOAD / handshake_s) if handshake_s > 0 else MOST_PER_S
    carried = TICK_LOAD / client_s if client_s > 0 else inf
    clients = max(min(FEWEST, most), int(min(most, carried, per_s * RAMP_S)))
    return Sizes(clients=clients, ramp_s=min(LONGEST_RAMP_S, max(RAMP_S, ceil(clients / per_s - 1e-9))))
