"""Clients on their way from a TCP connection to a request: a TLS handshake, where the proxy has TLS.

Handshakes are worked off one after the other, at the speed that the proxy has beside the pods:

    through = max(arrived, through before) + cost / speed

One whose client has given up by then is made all the same, and leaves no session.
"""

import math
from typing import Any

from scenarios.simulator.loop import at
from scenarios.simulator.loop.parts import inner
from scenarios.simulator.loop.tables import one, u


@inner
def _speed(w: Any) -> float:
    """CPU-seconds per second that the workers have, if all processes share the cores evenly."""
    workers = w.x[at.TLS_WORKERS]
    processes = workers + (w.s[at.BUSY] if w.s[at.SHARED] else 0)
    return float(workers * min(1.0, w.x[at.CORES] / processes))


@inner
def settle_tls(w: Any, client: int) -> None:
    """A client is connected, and has a session if it keeps one."""
    marks = one(w, at.TLS_MARKS, client)
    if w.m[u(marks)] & at.KEEPS:
        w.m[u(marks)] |= at.HAS


@inner
def greet(w: Any, client: int, now: int, deadline: int) -> int:
    """When a handshake is over that begins now, or the patience of its client."""
    s = w.s
    resumed = w.m[u(one(w, at.TLS_MARKS, client))] & at.HAS
    cost = w.x[at.TLS_RESUMED_COST] if resumed else w.x[at.TLS_COST]
    w.x[at.TLS_CPU] += cost
    through = max(now, s[at.TLS_THROUGH]) + math.floor(cost / _speed(w) + 0.5)
    s[at.TLS_THROUGH] = through
    if through >= deadline:
        return deadline
    settle_tls(w, client)
    if resumed:
        s[at.TLS_RESUMED] += 1
    else:
        s[at.TLS_FULL] += 1
    return int(through)
