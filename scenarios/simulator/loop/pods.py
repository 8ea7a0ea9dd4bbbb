"""The pods: one non-preemptive server each, which goes round its event loop.

In a turn of the loop a pod finishes what has become ready (ends of connections, joins), takes one newcomer
from its accept queue and pays for the upgrade, and pays for a part of a broadcast that has come due. Work for
clients that have left is done all the same, unless the scenario cancels it. Pods that burn share the cores of
the scenario: who works is as fast as the others who do. Pods with cpu = "occupy" have a core each.
"""

import math
from typing import Any

from scenarios.simulator.loop import accounts, at
from scenarios.simulator.loop.calendar import append, first, is_empty, put_client
from scenarios.simulator.loop.clients import reset
from scenarios.simulator.loop.compiled import hot, inner, prefetch
from scenarios.simulator.loop.cores import reckon, share_cores, stop_work, work_for
from scenarios.simulator.loop.sessions import answer, deadline, is_there, joined, welcome
from scenarios.simulator.loop.tables import one, spot, u

_CLOSED, _JOINS, _NEWCOMER, _TICK, _OVER = range(5)
"""The stages of a turn."""


# -- turns of the loop --------------------------------------------------------------------------------


@inner
def ready_list(pod: int) -> int:
    """The list of those that a pod will let join."""
    return at.BUCKETS + at.EPOCHS + pod


@inner
def _go_on(w: Any, pod: int, now: int) -> None:
    """A pod begins the next thing that it has to do; idle where there is none."""
    s = w.s
    p = w.pods[u(pod)]
    while True:
        if p.stage == _CLOSED:
            p.turn_begun = now
            p.did = 0
            p.joins = p.ready
            p.stage = _JOINS
            if p.lump > 0:
                work, cpu = p.lump, p.lump_cpu
                p.lump = p.lump_cpu = 0
                _begin(w, pod, now, at.CLOSING, work, cpu)
                return
        if p.stage == _JOINS:
            if p.joins > 0:
                p.joins -= 1
                p.ready -= 1
                where = first(w, ready_list(pod))
                p.who, p.attempt = w.cal[u(where)], w.cal[u(where + 1)]
                _begin(w, pod, now, at.JOINING, s[at.JOIN], s[at.JOIN_CPU])
                return
            p.stage = _NEWCOMER
        if p.stage == _NEWCOMER:
            p.stage = _TICK
            if _take_newcomer(w, pod, now):
                return
        if p.stage == _TICK:
            p.stage = _OVER
            if _tick_is_due(w, pod, now):
                cost = p.joined * w.x[at.TICK] / s[at.TURNS_PER_TICK]
                if p.part == 0:
                    p.part_work = math.floor(cost + 0.5)
                cpu = p.joined * w.x[at.TICK_CPU] / s[at.TURNS_PER_TICK]
                _begin(w, pod, now, at.SENDING, p.part_work, cpu)
                return
        if not p.did:
            p.doing = at.IDLE_POD
            p.busy += now - p.busy_from
            stop_work(w, pod)
            return
        p.turn = now - p.turn_begun
        p.lag = max(p.lag, p.turn)
        p.stage = _CLOSED


@inner
def wake(w: Any, pod: int, now: int) -> None:
    """A pod looks whether there is anything to do, unless it is at it."""
    p = w.pods[u(pod)]
    if p.alive and not p.paused and p.doing == at.IDLE_POD:
        reckon(w, now)
        p.busy_from = now
        p.stage = _CLOSED
        _go_on(w, pod, now)
        share_cores(w)


@inner
def _begin(w: Any, pod: int, now: int, doing: int, work: int, cpu: float) -> None:
    p = w.pods[u(pod)]
    p.doing = doing
    p.did = 1
    p.begun = now
    p.cpu += cpu
    work_for(w, pod, math.floor(work * w.x[at.STRETCH] + 0.5))


@inner
def _tick_is_due(w: Any, pod: int, now: int) -> bool:
    """Whether a broadcast is going on, or is to begin."""
    p = w.pods[u(pod)]
    if p.part > 0:
        return True
    tick = p.last_tick + 1
    return bool(tick < w.s[at.TICKS] and w.m[u(one(w, at.DUE, tick))] <= now and now >= w.s[at.STALLED_UNTIL])


@inner
def _take_newcomer(w: Any, pod: int, now: int) -> bool:
    """A pod takes the next one from its accept queue; returns whether there was one."""
    s = w.s
    p = w.pods[u(pod)]
    while p.queued > 0:
        entry = spot(w, at.QUEUE, pod, p.head)
        client, attempt, since = w.m[u(entry + 0)], w.m[u(entry + 1)], w.m[u(entry + 2)]
        p.head += 1
        if p.head == s[at.BACKLOG]:
            p.head = 0
        p.queued -= 1
        if s[at.CANCELS] and not is_there(w, client, attempt):
            continue
        p.who, p.attempt = client, attempt
        if s[at.SHED_ABOVE] and now - since > s[at.SHED_ABOVE]:
            _begin(w, pod, now, at.SHEDDING, s[at.SHED], s[at.SHED])
        else:
            prefetch(w.clients, client)
            _begin(w, pod, now, at.UPGRADING, s[at.UPGRADE], s[at.UPGRADE_CPU])
        return True
    return False


@hot
def enqueue(w: Any, pod: int, client: int, now: int) -> bool:
    """A connection finds room in an accept queue, or not."""
    s = w.s
    p = w.pods[u(pod)]
    if p.queued >= s[at.BACKLOG]:
        return False
    place = p.head + p.queued
    if place >= s[at.BACKLOG]:
        place -= s[at.BACKLOG]
    entry = spot(w, at.QUEUE, pod, place)
    w.m[u(entry + 0)], w.m[u(entry + 1)], w.m[u(entry + 2)] = client, w.clients[u(client)].attempt, now
    p.queued += 1
    if p.doing == at.IDLE_POD:
        wake(w, pod, now)
    return True


# -- what is finished ---------------------------------------------------------------------------------


@inner
def _upgraded(w: Any, pod: int, now: int) -> None:
    """The upgrade of a newcomer has been paid for; it goes on to join, if it is still there."""
    s = w.s
    p = w.pods[u(pod)]
    p.handshakes += 1
    client = p.who
    if not (is_there(w, client, p.attempt) and now <= deadline(w, client)):
        p.gone_early += 1
        return
    if not w.clients[u(client)].marks & at.SERVED:
        # What it asks for, a pod finds out once it has paid for the upgrade.
        answer(w, client, now, at.UNSUPPORTED)
        return
    if s[at.SLOTS] and p.under_way >= s[at.SLOTS]:
        p.shed += 1
        p.lump += s[at.SHED]
        p.lump_cpu += s[at.SHED]
        answer(w, client, now, at.SHED_BY_POD)
        return
    p.under_way += 1
    reset(w, client, at.ON_OPEN)
    if s[at.EDGE_DELAY] == 0:
        let_join(w, pod, client, p.attempt)
    else:
        mark = (p.attempt & at.ATTEMPT_MASK) << 16 | pod
        put_client(w, now + s[at.EDGE_DELAY], client, at.ANSWERED, mark)


@inner
def finish(w: Any, now: int) -> None:
    """The pod that is the first has finished what it was doing, and goes on."""
    reckon(w, now)
    pod = w.m[u(one(w, at.HEAP, 0))]
    p = w.pods[u(pod)]
    w.x[at.WORK] = max(w.x[at.WORK], p.done_at)
    doing = p.doing
    if doing == at.UPGRADING:
        _upgraded(w, pod, now)
    elif doing == at.JOINING:
        p.under_way -= 1
        if is_there(w, p.who, p.attempt) and now <= deadline(w, p.who):
            p.joins_done += 1
            joined(w, p.who, now)
        else:
            p.gone_early += 1
    elif doing == at.SENDING:
        _sent_a_part(w, pod, now)
    elif doing == at.SHEDDING and is_there(w, p.who, p.attempt):
        p.shed += 1
        answer(w, p.who, now, at.SHED_BY_POD)
    _go_on(w, pod, now)
    share_cores(w)


@inner
def let_join(w: Any, pod: int, client: int, attempt: int) -> None:
    """The pod will let a client join in its next turn."""
    append(w, ready_list(pod), client, attempt)
    w.pods[u(pod)].ready += 1


@inner
def _sent_a_part(w: Any, pod: int, now: int) -> None:
    """A part of a broadcast is over; with the last one, the clients have the tick."""
    p = w.pods[u(pod)]
    p.part += 1
    if p.part < w.s[at.TURNS_PER_TICK]:
        return
    p.part = 0
    tick = p.last_tick + 1
    p.last_tick = tick
    p.heard = now
    p.late = max(p.late, p.begun - w.m[u(one(w, at.DUE, tick))])
    p.ticks_sent += p.joined
    w.s[at.DELIVERED] += p.joined
    accounts.delivered(w, pod, tick, p.begun, now, w.s[at.EDGE_DELAY])
    welcome(w, pod, now)


@inner
def answered(w: Any, client: int, mark: int, now: int) -> None:
    """A client that was upgraded asks to join."""
    pod, attempt = mark & 0xFFFF, mark >> 16
    p = w.pods[u(pod)]
    if not p.alive or p.under_way == 0:
        return
    c = w.clients[u(client)]
    if c.state == at.TRYING and c.pod == pod and c.attempt & at.ATTEMPT_MASK == attempt:
        let_join(w, pod, client, c.attempt)
        wake(w, pod, now)
    else:
        p.under_way -= 1
        p.gone_early += 1


# -- their life ---------------------------------------------------------------------------------------


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
