"""A limit that each pod counts for itself: new connections of an address in a sliding window of time.

The rule is the pod's own, `gateway_stub/sliding_window.py`. A pod asks it when it gets to a connection,
whether or not its client is still there.

Of each pod and address, the table has one row: what it stands for, which of its times is the oldest, and the
times of the latest connections, as many as the limit allows. Rows are found by hashing; Python makes the
table larger in time.
"""

from typing import Any

from gateway_stub import sliding_window
from scenarios.simulator.loop import at
from scenarios.simulator.loop.clients import mixed
from scenarios.simulator.loop.parts import inner
from scenarios.simulator.loop.tables import item, u

POD_SHIFT = 32
"""A row stands for 1 + address + pod · 2³²; 0: for nothing."""
R_NAME, R_OLDEST, R_TIMES = range(3)

_is_over = inner(sliding_window.is_over)


@inner
def _row(w: Any, pod: int, address: int) -> int:
    name = 1 + address + (pod << POD_SHIFT)
    place = mixed(pod, address, 0) & w.s[at.WINDOW_MASK]
    while True:
        row = item(w, at.WINDOWS, place)
        if w.win[u(row + R_NAME)] == name:
            return row
        if w.win[u(row + R_NAME)] == 0:
            w.win[u(row + R_NAME)] = name
            w.s[at.WINDOW_ROOM] -= 1
            if w.s[at.WINDOW_ROOM] <= w.s[at.PODS]:
                w.s[at.NEED] = at.MORE_ROOM
            return row
        place = (place + 1) & w.s[at.WINDOW_MASK]


@inner
def admits(w: Any, pod: int, address: int, now: int) -> bool:
    """Whether one more connection of an address fits into the window of a pod that ends now.

    There is room for fewer than `connections` others, so the oldest of the latest ones has to be over.
    """
    s = w.s
    row = _row(w, pod, 0 if s[at.WINDOW_OF_PEER] else address)
    oldest = w.win[u(row + R_OLDEST)]
    fits = _is_over(w.win[u(row + R_TIMES + oldest)], now, s[at.WINDOW])
    if fits or s[at.WINDOW_CHARGES]:
        w.win[u(row + R_TIMES + oldest)] = now
        w.win[u(row + R_OLDEST)] = 0 if oldest + 1 == s[at.WINDOW_CONNECTIONS] else oldest + 1
    return fits
