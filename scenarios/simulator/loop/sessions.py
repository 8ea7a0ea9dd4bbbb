"""Attempts and sessions: how they begin and end, and clients whose feed is stale.

The sessions of a pod are lists, one for each watchdog, in the order in which they began. So those that are
stale stand in front, and those that have had no tick yet at the end.
"""

from typing import Any

from scenarios.simulator.loop import accounts, at
from scenarios.simulator.loop.calendar import put_client
from scenarios.simulator.loop.clients import (
    come_back,
    count_attempt,
    give_place_back,
    reset,
    start_over,
    tell,
)
from scenarios.simulator.loop.edge import upstream
from scenarios.simulator.loop.edge.balance import connect
from scenarios.simulator.loop.edge.limits import end_of_request
from scenarios.simulator.loop.edge.workers import release
from scenarios.simulator.loop.parts import hot, inner
from scenarios.simulator.loop.tables import deep, one, spot, u

SHORT_SESSION = 5 * at.SECOND
SHORTEST_SESSION = 1_000
"""The length of a session that ended in the moment in which it was joined: 0 would mean no session."""

_FIRST, _LAST, _WOUND_UP = range(3)


# -- attempts -----------------------------------------------------------------------------------------


@hot
def is_there(w: Any, client: int, attempt: int) -> bool:
    """Whether a client still waits for the answer to that attempt."""
    c = w.clients[u(client)]
    return bool(c.attempt == attempt and c.state == at.TRYING)


@hot
def deadline(w: Any, client: int) -> int:
    """When the patience of a client ends that makes an attempt."""
    c = w.clients[u(client)]
    return int(c.started + w.m[u(one(w, at.TIMEOUTS, c.cell))])


@inner
def _forget(w: Any, client: int) -> None:
    """The proxy forgets a connection that has ended."""
    s = w.s
    end_of_request(w, client)
    if s[at.WORKERS]:
        release(w, client)
    if s[at.JUDGES]:
        upstream.forget(w, client)


@inner
def end_attempt(w: Any, client: int, time: int, ending: int) -> None:
    """An attempt ends without a session."""
    c = w.clients[u(client)]
    if c.pod >= 0:
        connect(w, c.pod, -1)
        if w.s[at.MAX_FAILS]:
            upstream.ended(w, c.pod)
        c.pod = -1
    if w.s[at.REMEMBERS]:
        _forget(w, client)
    w.m[u(spot(w, at.ENDED, c.cell, ending))] += 1
    come_back(w, client, time, ending, 0)


@inner
def answer(w: Any, client: int, time: int, ending: int) -> None:
    """An attempt is answered with what stands at `ending`, or behind it if the client polls."""
    polls = (w.clients[u(client)].marks & at.POLLS) != 0
    end_attempt(w, client, time, ending + polls)


# -- sessions -----------------------------------------------------------------------------------------


@inner
def expect_silence(w: Any, client: int, time: int) -> None:
    """A session of a quiet pod may have carried nothing for too long then."""
    put_client(w, time, client, at.SILENT, w.clients[u(client)].attempt & at.ATTEMPT_MASK)


@inner
def _fresh(w: Any, pod: int, dog: int) -> int:
    """From when on the clients of a pod count as without fresh data."""
    p = w.pods[u(pod)]
    if not w.m[u(spot(w, at.WATCHDOGS, dog, 1))]:
        return int(p.heard)
    return int(w.m[u(one(w, at.DUE, p.last_tick))]) if p.last_tick >= 0 else 0


@inner
def _wind_up(w: Any, pod: int, dog: int, now: int) -> None:
    """The watchdog of the first of these sessions barks at the earliest then."""
    after = w.m[u(spot(w, at.WATCHDOGS, dog, 0))]
    ends = spot(w, at.SESSIONS, pod, dog)
    w.m[u(ends + _WOUND_UP)] = 0
    client = w.m[u(ends + _FIRST)]
    if after == 0 or client < 0:
        return
    barks = max(_fresh(w, pod, dog), w.clients[u(client)].joined) + after
    w.m[u(ends + _WOUND_UP)] = 1
    put_client(w, max(barks, now), pod, at.WATCH, dog)


@inner
def begin_session(w: Any, client: int, time: int) -> None:
    """A client has joined the pod that it was trying."""
    c = w.clients[u(client)]
    c.state = at.JOINED
    c.timer += 1
    c.joined = time
    c.marks &= at.ALL_MARKS ^ at.HAS_TICK
    pod = c.pod
    w.pods[u(pod)].joined += 1
    w.m[u(spot(w, at.JOINED_BY_CELL, pod, c.cell))] += 1
    dog = w.m[u(one(w, at.WATCHDOG_OF, c.cell))]
    ends = spot(w, at.SESSIONS, pod, dog)
    c.before, c.after = w.m[u(ends + _LAST)], -1
    if c.before < 0:
        w.m[u(ends + _FIRST)] = client
    else:
        w.clients[u(c.before)].after = client
    w.m[u(ends + _LAST)] = client
    if not w.m[u(ends + _WOUND_UP)]:
        _wind_up(w, pod, dog, time)
    if w.pods[u(pod)].quiet:
        expect_silence(w, client, time + w.s[at.READ_TIMEOUT])


@inner
def joined(w: Any, client: int, time: int) -> None:
    """An attempt has made a session."""
    w.m[u(spot(w, at.ENDED, w.clients[u(client)].cell, at.SESSIONS_MADE))] += 1
    reset(w, client, at.ON_JOIN)
    if w.m[u(spot(w, at.POLICIES, w.clients[u(client)].policy, at.P_TOLD))]:
        tell(w, at.T_JOINED, client, time, 0, 0)
    begin_session(w, client, time)


@inner
def lose(w: Any, client: int, time: int, ending: int) -> None:
    """A session ends; its client comes back."""
    c = w.clients[u(client)]
    if w.s[at.REMEMBERS]:
        _forget(w, client)
    w.m[u(one(w, at.DISCONNECTS, ending))] += 1
    pod, cell = c.pod, c.cell
    p = w.pods[u(pod)]
    ends = spot(w, at.SESSIONS, pod, w.m[u(one(w, at.WATCHDOG_OF, cell))])
    if c.before < 0:
        w.m[u(ends + _FIRST)] = c.after
    else:
        w.clients[u(c.before)].after = c.after
    if c.after < 0:
        w.m[u(ends + _LAST)] = c.before
    else:
        w.clients[u(c.after)].before = c.before
    if c.marks & at.HAS_TICK:
        closed = w.m[u(one(w, at.NUMBERS, at.N_CLOSED))]
        c.held = max(p.last_tick, c.held, closed)
        accounts.left(w, c.held, cell, 1)
        w.m[u(spot(w, at.WITH_TICK, pod, cell))] -= 1
    c.marks = (c.marks & (at.ALL_MARKS ^ at.HAS_TICK)) | at.FIRST
    p.joined -= 1
    w.m[u(spot(w, at.JOINED_BY_CELL, pod, cell))] -= 1
    connect(w, pod, -1)
    if w.s[at.MAX_FAILS]:
        upstream.ended(w, pod)
    c.pod = -1
    if p.alive:
        p.lump += w.s[at.CLOSE]
        p.lump_cpu += w.s[at.CLOSE]
    length = time - c.joined
    if length < SHORT_SESSION:
        p.short += 1
    length = max(length, SHORTEST_SESSION)
    policy = w.s[at.POLICIES] + at.SIZE_P * c.policy
    if w.m[u(policy + at.P_RESET)] == at.AFTER_A_TIME and length >= w.m[u(policy + at.P_RESET_AFTER)]:
        start_over(w, client)
    come_back(w, client, time, ending, length)


# -- watchdogs ----------------------------------------------------------------------------------------


@inner
def bark(w: Any, pod: int, dog: int, now: int) -> None:
    """Whoever finds its feed stale leaves."""
    after = w.m[u(spot(w, at.WATCHDOGS, dog, 0))]
    ends = spot(w, at.SESSIONS, pod, dog)
    fresh = _fresh(w, pod, dog)
    client = w.m[u(ends + _FIRST)]
    while client >= 0 and max(fresh, w.clients[u(client)].joined) + after <= now:
        following = w.clients[u(client)].after
        lose(w, client, now, at.STALE)
        client = following
    _wind_up(w, pod, dog, now)


@inner
def welcome(w: Any, pod: int, now: int) -> None:
    """The newcomers of a pod have their first tick."""
    for dog in range(w.s[at.DOGS]):
        client = w.m[u(deep(w, at.SESSIONS, pod, dog, _LAST))]
        while client >= 0:
            c = w.clients[u(client)]
            if c.marks & at.HAS_TICK:
                break
            c.marks |= at.HAS_TICK
            accounts.caught_up(w, c.held, c.cell, w.pods[u(pod)].last_tick, now)
            w.m[u(spot(w, at.WITH_TICK, pod, c.cell))] += 1
            client = c.before


# -- policies that are pushed --------------------------------------------------------------------------


@inner
def follow(w: Any, client: int, policy: int, time: int) -> None:
    """A client follows another policy from now on."""
    c = w.clients[u(client)]
    if w.m[u(spot(w, at.POLICIES, c.policy, at.P_TOLD))]:
        tell(w, at.T_LEAVES, client, time, 0, 0)
    c.policy = policy
    start_over(w, client)
    if c.state == at.JOINED:
        return
    if c.state == at.TRYING:
        end_attempt(w, client, time, at.ABANDONED)
        return
    if c.state == at.AWAY and c.marks & at.BOOKED:
        if c.started <= time:
            # What has begun and is on the way is given up, the rest is not made.
            c.marks &= at.ALL_MARKS ^ at.FIRST
            w.m[u(spot(w, at.ENDED, c.cell, at.ABANDONED))] += 1
        else:
            count_attempt(w, c.started, c.cell, -1)
            give_place_back(w, c.started)
    # To the new policy a client has lost its session, as long as it has made no attempt since.
    come_back(w, client, time, at.ABANDONED, SHORTEST_SESSION if c.marks & at.FIRST else 0)
