"""What comes of the work of a pod when it is done: upgrades, joins, ticks and refusals."""

from typing import Any

from scenarios.simulator.loop import accounts, at
from scenarios.simulator.loop.calendar import append, put_client
from scenarios.simulator.loop.clients import reset
from scenarios.simulator.loop.cores import reckon, share_cores
from scenarios.simulator.loop.edge.sending import turn_away
from scenarios.simulator.loop.parts import inner
from scenarios.simulator.loop.pods.quiet import listen
from scenarios.simulator.loop.pods.turns import go_on, ready_list, wake
from scenarios.simulator.loop.sessions import answer, deadline, is_there, joined, welcome
from scenarios.simulator.loop.tables import one, u


@inner
def let_join(w: Any, pod: int, client: int, attempt: int) -> None:
    """The pod will let a client join in its next turn."""
    append(w, ready_list(pod), client, attempt)
    w.pods[u(pod)].ready += 1


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
        turn_away(w, client, now, at.SHED_BY_POD)
        return
    p.under_way += 1
    w.clients[u(client)].marks |= at.OPENED
    reset(w, client, at.ON_OPEN)
    if s[at.EDGE_DELAY] == 0:
        let_join(w, pod, client, p.attempt)
    else:
        mark = (p.attempt & at.ATTEMPT_MASK) << 16 | pod
        put_client(w, now + s[at.EDGE_DELAY], client, at.ANSWERED, mark)


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
    if p.quiet:
        listen(w, pod, now)


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
    elif doing == at.SHEDDING:
        p.shed += 1
        if is_there(w, p.who, p.attempt):
            turn_away(w, p.who, now, p.turned)
    go_on(w, pod, now)
    share_cores(w)


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
