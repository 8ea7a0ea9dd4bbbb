"""How pods begin, stand still, go on and end."""

from typing import Any

from scenarios.simulator.loop import at
from scenarios.simulator.loop.calendar import first, is_empty, put_client
from scenarios.simulator.loop.cores import reckon, share_cores, stop_work, work_for
from scenarios.simulator.loop.parts import inner
from scenarios.simulator.loop.pods.quiet import listen
from scenarios.simulator.loop.pods.turns import ready_list, wake
from scenarios.simulator.loop.tables import one, u


@inner
def latest_due(w: Any, now: int) -> int:
    """The newest tick that is due by then; -1 before the first one."""
    low, high = 0, w.s[at.TICKS]
    while low < high:
        middle = (low + high) >> 1
        if w.m[u(one(w, at.DUE, middle))] <= now:
            low = middle + 1
        else:
            high = middle
    return low - 1


@inner
def start(w: Any, pod: int, now: int) -> None:
    """A pod is there; it sends the ticks that come due from now on."""
    p = w.pods[u(pod)]
    p.alive = True
    w.s[at.ALIVE] += 1
    p.heard = now
    p.lives += 1
    if w.s[at.READ_TIMEOUT]:
        listen(w, pod, now)
    p.last_tick = latest_due(w, now)
    p.doing = at.IDLE_POD
    p.heap = -1
    reckon(w, now)
    share_cores(w)


@inner
def resume(w: Any, pod: int, now: int) -> None:
    """A pod goes on where it was."""
    p = w.pods[u(pod)]
    if not p.paused:
        return
    p.paused = False
    p.lag = max(p.lag, now - p.paused_at)
    if not p.alive:
        return
    if p.doing == at.IDLE_POD:
        wake(w, pod, now)
        return
    reckon(w, now)
    p.busy_from = now
    work_for(w, pod, p.left)
    share_cores(w)


@inner
def end(w: Any, pod: int, now: int) -> None:
    """A pod is not there any more, and whatever it had to do."""
    p = w.pods[u(pod)]
    resume(w, pod, now)
    reckon(w, now)
    if p.doing != at.IDLE_POD:
        p.busy += now - p.busy_from
    stop_work(w, pod)
    if p.alive:
        w.s[at.ALIVE] -= 1
    p.alive = False
    p.doing = at.IDLE_POD
    p.queued = p.ready = p.joins = p.under_way = p.lump = p.lump_cpu = p.part = 0
    while not is_empty(w, ready_list(pod)):
        first(w, ready_list(pod))
    share_cores(w)


@inner
def pause(w: Any, pod: int, now: int) -> None:
    """A pod stands still."""
    p = w.pods[u(pod)]
    if p.paused:
        return
    p.paused = True
    p.paused_at = now
    p.pauses += 1
    reckon(w, now)
    p.left = p.done_at - w.x[at.WORK]
    if p.doing != at.IDLE_POD:
        p.busy += now - p.busy_from
    stop_work(w, pod)
    share_cores(w)
    put_client(w, now + w.s[at.PING], pod, at.PINGED, p.pauses)
