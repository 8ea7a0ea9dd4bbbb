"""Who works on the pods' cores: a clock of the work that a busy pod has done, and a heap of the busy ones.

All that share cores are equally fast. So they finish in the order of what they have to do by that clock, and
nobody has to be looked at when another one begins or ends.
"""

import math
from typing import Any

from scenarios.simulator.loop import at
from scenarios.simulator.loop.parts import inner
from scenarios.simulator.loop.tables import one, u


@inner
def reckon(w: Any, now: int) -> None:
    """What a busy pod has done until now."""
    w.x[at.WORK] += (now - w.s[at.WORK_TIME]) / w.x[at.SLOW]
    w.s[at.WORK_TIME] = now


@inner
def share_cores(w: Any) -> None:
    """How fast those are that work."""
    s, x = w.s, w.x
    if s[at.SHARED]:
        left = max(0.05, x[at.CORES] - x[at.NGINX_SHARE] - x[at.IDLE] * s[at.ALIVE])
        x[at.SLOW] = 1.0 / min(1.0 - x[at.IDLE], left / max(1, s[at.BUSY]))
    if s[at.BUSY] == 0:
        s[at.POD_TIME] = at.NEVER
    else:
        ahead = w.pods[u(w.m[u(one(w, at.HEAP, 0))])].done_at - x[at.WORK]
        s[at.POD_TIME] = s[at.WORK_TIME] + max(0, math.ceil(ahead * x[at.SLOW]))


@inner
def _is_sooner(w: Any, one: int, other: int) -> bool:
    first_at, other_at = w.pods[u(one)].done_at, w.pods[u(other)].done_at
    return bool(first_at < other_at or (first_at == other_at and one < other))


@inner
def _rise(w: Any, place: int) -> None:
    heap = one(w, at.HEAP, 0)
    pod = w.m[u(heap + place)]
    while place > 0:
        up = (place - 1) >> 1
        if not _is_sooner(w, pod, w.m[u(heap + up)]):
            break
        w.m[u(heap + place)] = w.m[u(heap + up)]
        w.pods[u(w.m[u(heap + place)])].heap = place
        place = up
    w.m[u(heap + place)] = pod
    w.pods[u(pod)].heap = place


@inner
def _sink(w: Any, place: int) -> None:
    heap, count = one(w, at.HEAP, 0), w.s[at.BUSY]
    pod = w.m[u(heap + place)]
    while True:
        down = 2 * place + 1
        if down >= count:
            break
        if down + 1 < count and _is_sooner(w, w.m[u(heap + down + 1)], w.m[u(heap + down)]):
            down += 1
        if not _is_sooner(w, w.m[u(heap + down)], pod):
            break
        w.m[u(heap + place)] = w.m[u(heap + down)]
        w.pods[u(w.m[u(heap + place)])].heap = place
        place = down
    w.m[u(heap + place)] = pod
    w.pods[u(pod)].heap = place


@inner
def work_for(w: Any, pod: int, work: float) -> None:
    """A pod has so much to do from now on; what a busy pod has done is reckoned up."""
    s = w.s
    p = w.pods[u(pod)]
    p.done_at = w.x[at.WORK] + work
    if p.heap >= 0:
        # It has just finished something, so it was the first.
        _sink(w, p.heap)
        _rise(w, p.heap)
    else:
        place = s[at.BUSY]
        s[at.BUSY] = place + 1
        w.m[u(one(w, at.HEAP, place))] = pod
        p.heap = place
        _rise(w, place)


@inner
def stop_work(w: Any, pod: int) -> None:
    """A pod does nothing from now on."""
    s = w.s
    place = w.pods[u(pod)].heap
    if place < 0:
        return
    w.pods[u(pod)].heap = -1
    last = s[at.BUSY] - 1
    s[at.BUSY] = last
    if place < last:
        moved = w.m[u(one(w, at.HEAP, last))]
        w.m[u(one(w, at.HEAP, place))] = moved
        w.pods[u(moved)].heap = place
        _sink(w, place)
        _rise(w, w.pods[u(moved)].heap)
