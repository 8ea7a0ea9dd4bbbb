"""The pods: one non-preemptive server each, which goes round its event loop.

In a turn of the loop a pod finishes what has become ready (ends of connections, joins), takes one newcomer
from its accept queue and pays for the upgrade, and pays for a part of a broadcast that has come due. Work for
clients that have left is done all the same, unless the scenario cancels it. Pods that burn share the cores of
the scenario: who works is as fast as the others who do. Pods with cpu = "occupy" have a core each.
"""

import math
from typing import Any

from scenarios.simulator.loop import at
from scenarios.simulator.loop.calendar import first
from scenarios.simulator.loop.cores import reckon, share_cores, stop_work, work_for
from scenarios.simulator.loop.parts import hot, inner, prefetch
from scenarios.simulator.loop.pods.windows import admits
from scenarios.simulator.loop.sessions import is_there
from scenarios.simulator.loop.tables import one, spot, u

_CLOSED, _JOINS, _NEWCOMER, _TICK, _OVER = range(5)
"""The stages of a turn."""


@inner
def ready_list(pod: int) -> int:
    """The list of those that a pod will let join."""
    return at.BUCKETS + at.EPOCHS + pod


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
def _reason_against(w: Any, pod: int, client: int, now: int, since: int) -> int:
    """What a pod answers to a connection that it gets to now and does not admit; -1 where it does.

    It asks the window first, and then how late it is, as `gateway_stub/app.py` does.
    """
    s = w.s
    if s[at.WINDOW_CONNECTIONS] and not admits(w, pod, w.clients[u(client)].address, now):
        return at.TOO_MANY
    if s[at.SHED_ABOVE] and now - since > s[at.SHED_ABOVE]:
        return at.SHED_BY_POD
    return -1


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
        p.turned = _reason_against(w, pod, client, now, since)
        if p.turned >= 0:
            _begin(w, pod, now, at.SHEDDING, s[at.SHED], s[at.SHED])
        else:
            prefetch(w.clients, client)
            _begin(w, pod, now, at.UPGRADING, s[at.UPGRADE], s[at.UPGRADE_CPU])
        return True
    return False


@inner
def go_on(w: Any, pod: int, now: int) -> None:
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
        go_on(w, pod, now)
        share_cores(w)


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
