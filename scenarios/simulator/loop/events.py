"""What happens when the time of an event has come."""

from typing import Any

from scenarios.simulator.loop import accounts, at
from scenarios.simulator.loop.calendar import put_client
from scenarios.simulator.loop.clients import ask_cap, tell
from scenarios.simulator.loop.edge.balance import choose
from scenarios.simulator.loop.edge.greeting import greet
from scenarios.simulator.loop.edge.limits import BEGUN, LET_IN, let_in
from scenarios.simulator.loop.edge.sending import knock_again, send_first
from scenarios.simulator.loop.edge.workers import accept
from scenarios.simulator.loop.parts import inner
from scenarios.simulator.loop.pods import quiet
from scenarios.simulator.loop.pods.life import latest_due
from scenarios.simulator.loop.pods.turns import enqueue, wake
from scenarios.simulator.loop.pods.work import answered
from scenarios.simulator.loop.sessions import (
    answer,
    bark,
    deadline,
    end_attempt,
    follow,
    is_there,
    lose,
)
from scenarios.simulator.loop.tables import deep, one, spot, u


@inner
def _refuse(w: Any, client: int, now: int, verdict: int) -> None:
    """A limit at the edge refuses a client."""
    s = w.s
    s[at.REFUSED_AT_EDGE] += 1
    if verdict == BEGUN:
        # The first request of a polling client costs its handshake, whatever becomes of the next ones.
        pod = choose(w, client, now)
        if pod >= 0 and w.pods[u(pod)].alive:
            w.pods[u(pod)].lump += s[at.UPGRADE]
            w.pods[u(pod)].lump_cpu += s[at.UPGRADE_CPU]
            wake(w, pod, now)
    if s[at.REFUSAL]:
        answer(w, client, now, at.LIMITED)
    else:
        end_attempt(w, client, now, at.RESET)


@inner
def _arrive(w: Any, client: int, now: int, patience: int) -> None:
    """The request of a client reaches the edge; patience: when the client gives up."""
    s = w.s
    c = w.clients[u(client)]
    c.marks &= at.ALL_MARKS ^ (at.FIRST | at.BOOKED | at.OPENED | at.GREETED)
    c.attempt += 1
    c.state = at.TRYING
    c.timer += 1
    if now >= patience:
        end_attempt(w, client, now, at.TIMED_OUT)
        return
    if not s[at.EDGE_UP]:
        end_attempt(w, client, now, at.REFUSED)
        return
    s[at.REQUESTS] += 1
    if s[at.WORKERS] and not accept(w, client):
        end_attempt(w, client, now, at.RESET)
        return
    if s[at.RULES] or s[at.IN_FLIGHT]:
        verdict, held = let_in(w, client, now // at.MILLISECOND)
        if verdict != LET_IN:
            _refuse(w, client, now, verdict)
            return
        if held:
            put_client(w, patience, client, at.TIMER, c.timer)
            put_client(w, now + held, client, at.LET_GO, c.attempt)
            return
    put_client(w, patience, client, at.TIMER, c.timer)
    send_first(w, client, now)


@inner
def _come_in(w: Any, client: int, now: int) -> None:
    """The connection of a client reaches the edge, or its TLS handshake is over."""
    s = w.s
    c = w.clients[u(client)]
    patience = deadline(w, client)
    if s[at.TLS] and s[at.EDGE_UP] and not c.marks & at.GREETED and now < patience:
        c.marks |= at.GREETED
        through = greet(w, client, now, patience)
        if through > now:
            put_client(w, through, client, at.TIMER, c.timer)
            return
    _arrive(w, client, now, patience)


@inner
def _knock(w: Any, client: int, attempt: int, now: int, kind: int) -> None:
    """A SYN comes again."""
    if not is_there(w, client, attempt):
        return
    if not enqueue(w, w.clients[u(client)].pod, client, now) and kind < at.SYN_3:
        times = kind - at.SYN_1
        later = at.SYN_AGAIN_AFTER[times + 1] - at.SYN_AGAIN_AFTER[times]
        knock_again(w, client, now + later, kind + 1)


@inner
def _time_is_over(w: Any, client: int, mark: int, now: int) -> None:
    """What a client has waited for is there."""
    c = w.clients[u(client)]
    if c.timer != mark:
        return
    if c.state == at.TRYING:
        end_attempt(w, client, now, at.TIMED_OUT)
    elif c.marks & at.BOOKED:
        _come_in(w, client, now)
    elif c.marks & at.WAKING:
        c.marks &= at.ALL_MARKS ^ at.WAKING
        tell(w, at.T_WOKEN, client, now, 0, 0)
    else:
        ask_cap(w, client, now)


@inner
def _close(w: Any, client: int, mark: int, now: int) -> None:
    """A pod that drains closes a session; one that stands still does so when it goes on."""
    c = w.clients[u(client)]
    if c.state != at.JOINED or c.attempt & at.ATTEMPT_MASK != mark >> 8:
        return
    pod = c.pod
    if w.pods[u(pod)].paused:
        if w.s[at.HELD_CLOSES] == w.s[at.MOST_HELD]:
            # Somebody closes all of them again and again.
            return
        w.m[u(spot(w, at.HELD_ROWS, w.s[at.HELD_CLOSES], 0))] = client
        w.m[u(spot(w, at.HELD_ROWS, w.s[at.HELD_CLOSES], 1))] = mark
        w.s[at.HELD_CLOSES] += 1
        return
    lose(w, client, now, mark & 0xFF)
    wake(w, pod, now)


@inner
def _await_tick(w: Any, now: int) -> None:
    tick = latest_due(w, now) + 1
    if tick < w.s[at.TICKS]:
        put_client(w, w.m[u(one(w, at.DUE, tick))], 0, at.FEED, w.s[at.FEED_MARK])


@inner
def feed(w: Any, now: int) -> None:
    """A tick is due: pods that have nothing else to do begin with it."""
    for pod in range(w.s[at.PODS]):
        wake(w, pod, now)
    _await_tick(w, now)


@inner
def _miss_pings(w: Any, pod: int, pauses: int, now: int) -> None:
    """A pod has stood still for so long that its clients miss its ping."""
    if not w.pods[u(pod)].paused or w.pods[u(pod)].pauses != pauses:
        return
    for dog in range(w.s[at.DOGS]):
        while w.m[u(deep(w, at.SESSIONS, pod, dog, 0))] >= 0:
            lose(w, w.m[u(deep(w, at.SESSIONS, pod, dog, 0))], now, at.PING_TIMEOUT)


@inner
def happen(w: Any, now: int, what: int) -> None:  # noqa: PLR0912 # one for each kind of event
    """One event."""
    who = what & at.CLIENT_MASK
    kind = (what >> at.CLIENT_BITS) & at.KIND_MASK
    mark = what >> at.MARK_SHIFT
    if kind == at.TIMER:
        _time_is_over(w, who, mark, now)
    elif kind <= at.SYN_3:
        _knock(w, who, mark, now, kind)
    elif kind == at.ANSWERED:
        answered(w, who, mark, now)
    elif kind == at.LET_GO:
        if is_there(w, who, mark):
            send_first(w, who, now)
    elif kind == at.WATCH:
        bark(w, who, mark, now)
        wake(w, who, now)
    elif kind == at.FEED:
        if mark == w.s[at.FEED_MARK]:
            feed(w, now)
    elif kind == at.SAMPLE:
        accounts.sample(w, now, latest_due(w, now))
        put_client(w, now + at.SECOND // 10, 0, at.SAMPLE, 0)
    elif kind == at.CLOSES:
        _close(w, who, mark, now)
    elif kind == at.REACHED:
        if w.m[u(spot(w, at.PUSHED, who, 0))] == mark:
            follow(w, who, w.m[u(spot(w, at.PUSHED, who, 1))], now)
    elif kind == at.PINGED:
        _miss_pings(w, who, mark, now)
    elif kind == at.QUIET:
        quiet.falls_quiet(w, who, mark, now)
        wake(w, who, now)
    elif kind == at.SILENT:
        pod = quiet.stays_silent(w, who, mark, now)
        if pod >= 0:
            wake(w, pod, now)
