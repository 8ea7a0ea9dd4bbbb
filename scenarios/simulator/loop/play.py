"""The loop itself: the next thing that happens, until a moment; and what is ordered from outside."""

from typing import Any

from scenarios.simulator.loop import accounts, at, cores, pods
from scenarios.simulator.loop.calendar import come_to, put_client, take_near
from scenarios.simulator.loop.clients import (
    ask_cap,
    come_back,
    give_up,
    start_over,
    tell,
    wait_until,
    wake_at,
)
from scenarios.simulator.loop.compiled import entry, inner, prefetch
from scenarios.simulator.loop.edge import BEGUN, LET_IN, choose, connect, let_in, route
from scenarios.simulator.loop.handle import handle
from scenarios.simulator.loop.sessions import (
    answer,
    bark,
    begin_session,
    deadline,
    end_attempt,
    follow,
    is_there,
    lose,
)
from scenarios.simulator.loop.tables import deep, one, spot, u

AGAIN_AFTER = (1 * at.SECOND, 3 * at.SECOND, 7 * at.SECOND)
"""After the first time that a connection finds an accept queue full, its SYN is sent again, as Linux does: 1,
2 and 4 s after the one before."""

_AHEAD = 8


# -- what happens -------------------------------------------------------------------------------------


@inner
def _knock_again(w: Any, client: int, time: int, kind: int) -> None:
    # A client that will have given up by then does not.
    if time < deadline(w, client):
        put_client(w, time, client, kind, w.clients[u(client)].attempt)


@inner
def _send_on(w: Any, client: int, now: int) -> None:
    """The edge sends a client to a pod."""
    pod = choose(w, client)
    if pod < 0 or not w.pods[u(pod)].alive:
        answer(w, client, now, at.UNAVAILABLE)
        return
    c = w.clients[u(client)]
    c.pod = pod
    connect(w, pod, 1)
    if not pods.enqueue(w, pod, client, now):
        _knock_again(w, client, now + AGAIN_AFTER[0], at.SYN_1)


@inner
def _refuse(w: Any, client: int, now: int, verdict: int) -> None:
    """A limit at the edge refuses a client."""
    s = w.s
    s[at.REFUSED_AT_EDGE] += 1
    if verdict == BEGUN:
        # The first request of a polling client costs its handshake, whatever becomes of the next ones.
        pod = choose(w, client)
        if pod >= 0 and w.pods[u(pod)].alive:
            w.pods[u(pod)].lump += s[at.UPGRADE]
            w.pods[u(pod)].lump_cpu += s[at.UPGRADE_CPU]
            pods.wake(w, pod, now)
    if s[at.REFUSAL]:
        answer(w, client, now, at.LIMITED)
    else:
        end_attempt(w, client, now, at.RESET)


@inner
def _arrive(w: Any, client: int, now: int) -> None:
    """The request of a client reaches the edge."""
    s = w.s
    c = w.clients[u(client)]
    c.marks &= 255 ^ (at.FIRST | at.BOOKED)
    c.attempt += 1
    c.state = at.TRYING
    c.timer += 1
    if now >= deadline(w, client):
        end_attempt(w, client, now, at.TIMED_OUT)
        return
    if not s[at.EDGE_UP]:
        end_attempt(w, client, now, at.REFUSED)
        return
    s[at.REQUESTS] += 1
    if s[at.RULES] or s[at.IN_FLIGHT]:
        verdict, held = let_in(w, client, now // at.MILLISECOND)
        if verdict != LET_IN:
            _refuse(w, client, now, verdict)
            return
        if held:
            put_client(w, deadline(w, client), client, at.TIMER, c.timer)
            put_client(w, now + held, client, at.LET_GO, c.attempt)
            return
    put_client(w, deadline(w, client), client, at.TIMER, c.timer)
    _send_on(w, client, now)


@inner
def _knock(w: Any, client: int, attempt: int, now: int, kind: int) -> None:
    """A SYN comes again."""
    if not is_there(w, client, attempt):
        return
    if not pods.enqueue(w, w.clients[u(client)].pod, client, now) and kind < at.SYN_3:
        times = kind - at.SYN_1
        _knock_again(w, client, now - AGAIN_AFTER[times] + AGAIN_AFTER[times + 1], kind + 1)


@inner
def _time_is_over(w: Any, client: int, mark: int, now: int) -> None:
    """What a client has waited for is there."""
    c = w.clients[u(client)]
    if c.timer != mark:
        return
    if c.state == at.TRYING:
        end_attempt(w, client, now, at.TIMED_OUT)
    elif c.marks & at.BOOKED:
        _arrive(w, client, now)
    elif c.marks & at.WAKING:
        c.marks &= 255 ^ at.WAKING
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
        w.m[u(spot(w, at.HELD_ROWS, w.s[at.HELD_CLOSES], 0))] = client
        w.m[u(spot(w, at.HELD_ROWS, w.s[at.HELD_CLOSES], 1))] = mark
        w.s[at.HELD_CLOSES] += 1
        return
    lose(w, client, now, mark & 0xFF)
    pods.wake(w, pod, now)


@inner
def _await_tick(w: Any, now: int) -> None:
    tick = pods.latest_due(w, now) + 1
    if tick < w.s[at.TICKS]:
        put_client(w, w.m[u(one(w, at.DUE, tick))], 0, at.FEED, w.s[at.FEED_MARK])


@inner
def _feed(w: Any, now: int) -> None:
    """A tick is due: pods that have nothing else to do begin with it."""
    for pod in range(w.s[at.PODS]):
        pods.wake(w, pod, now)
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
def _happen(w: Any, now: int, what: int) -> None:  # noqa: PLR0912 # one for each kind of event
    """One event."""
    who = what & at.CLIENT_MASK
    kind = (what >> at.CLIENT_BITS) & at.KIND_MASK
    mark = what >> at.MARK_SHIFT
    if kind == at.TIMER:
        _time_is_over(w, who, mark, now)
    elif kind <= at.SYN_3:
        _knock(w, who, mark, now, kind)
    elif kind == at.ANSWERED:
        pods.answered(w, who, mark, now)
    elif kind == at.LET_GO:
        if is_there(w, who, mark):
            _send_on(w, who, now)
    elif kind == at.WATCH:
        bark(w, who, mark, now)
        pods.wake(w, who, now)
    elif kind == at.FEED:
        if mark == w.s[at.FEED_MARK]:
            _feed(w, now)
    elif kind == at.SAMPLE:
        accounts.sample(w, now, pods.latest_due(w, now))
        put_client(w, now + at.SECOND // 10, 0, at.SAMPLE, 0)
    elif kind == at.CLOSES:
        _close(w, who, mark, now)
    elif kind == at.REACHED:
        if w.m[u(spot(w, at.PUSHED, who, 0))] == mark:
            follow(w, who, w.m[u(spot(w, at.PUSHED, who, 1))], now)
    elif kind == at.PINGED:
        _miss_pings(w, who, mark, now)


@inner
def _has_room(w: Any) -> bool:
    """Whether there is room for everything that one event can make happen."""
    s = w.s
    if s[at.FREE_COUNT] >= s[at.MARGIN] and s[at.NEAR] + s[at.CLIENTS] + 64 <= s[at.SOON_ROOM]:
        return True
    s[at.NEED] = at.MORE_ROOM
    return False


@inner
def _run(w: Any, until: int) -> None:
    """Lets everything happen up to a moment, unless something is needed first."""
    s = w.s
    while s[at.NEED] == at.NOTHING and _has_room(w):
        taken = s[at.TAKEN]
        if taken == s[at.LOADED] and s[at.NEAR] == 0:
            come_to(w, until >> at.BUCKET_SHIFT)
            if s[at.NEED] != at.NOTHING:
                return
            taken = s[at.TAKEN]
        time = w.cal[u(s[at.PRESENT] + 2 * taken)] if taken < s[at.LOADED] else at.NEVER
        is_near = s[at.NEAR] > 0 and w.cal[u(s[at.SOON])] < time
        if is_near:
            time = w.cal[u(s[at.SOON])]
        if s[at.POD_TIME] <= time:
            if s[at.POD_TIME] > until:
                s[at.NOW] = until
                return
            s[at.NOW] = s[at.POD_TIME]
            pods.finish(w, s[at.POD_TIME])
            continue
        if time > until:
            s[at.NOW] = until
            return
        s[at.NOW] = time
        if is_near:
            what = w.cal[u(s[at.SOON] + 2)]
            take_near(w)
        else:
            what = w.cal[u(s[at.PRESENT] + 2 * taken + 1)]
            s[at.TAKEN] = taken + 1
            if taken + _AHEAD < s[at.LOADED]:
                prefetch(w.clients, w.cal[u(s[at.PRESENT] + 2 * (taken + _AHEAD) + 1)] & at.CLIENT_MASK)
        _happen(w, time, what)


# -- what is ordered ----------------------------------------------------------------------------------


@inner
def _act(w: Any, now: int, rows: Any) -> None:
    """Policies that were asked have answered."""
    for row in range(len(rows)):
        what, client, value = rows[row, 0], rows[row, 1], rows[row, 2]
        if what == at.A_WAITS:
            wait_until(w, client, value)
        elif what == at.A_ASKS:
            ask_cap(w, client, now)
        elif what == at.A_WAKES:
            wake_at(w, client, value)
        else:
            give_up(w, client, value)


@inner
def _push(w: Any, now: int, number: int, rows: Any) -> None:
    """A policy is on its way to these clients: (client, moment, policy) each."""
    for row in range(len(rows)):
        client, moment = rows[row, 0], rows[row, 1]
        w.m[u(spot(w, at.PUSHED, client, 0))] = number
        w.m[u(spot(w, at.PUSHED, client, 1))] = rows[row, 2]
        if moment <= now:
            follow(w, client, rows[row, 2], now)
        else:
            put_client(w, moment, client, at.REACHED, number)


@inner
def _settle(w: Any, rows: Any) -> None:
    """These clients have sessions from the beginning."""
    for row in range(len(rows)):
        client = rows[row, 0]
        c = w.clients[u(client)]
        c.pod = choose(w, client)
        connect(w, c.pod, 1)
        c.state = at.JOINED
        begin_session(w, client, 0)
    for pod in range(w.s[at.PODS]):
        w.pods[u(pod)].last_tick = -1
    put_client(w, at.SECOND // 10, 0, at.SAMPLE, 0)


@inner
def _lose_all(w: Any, now: int, ending: int, rows: Any) -> None:
    for row in range(len(rows)):
        lose(w, rows[row, 0], now, ending)
    for pod in range(w.s[at.PODS]):
        pods.wake(w, pod, now)


@inner
def _resume(w: Any, pod: int, now: int) -> None:
    pods.resume(w, pod, now)
    kept = 0
    for place in range(w.s[at.HELD_CLOSES]):
        client, mark = w.m[u(spot(w, at.HELD_ROWS, place, 0))], w.m[u(spot(w, at.HELD_ROWS, place, 1))]
        if w.clients[u(client)].pod == pod:
            put_client(w, now, client, at.CLOSES, mark)
        else:
            w.m[u(spot(w, at.HELD_ROWS, kept, 0))], w.m[u(spot(w, at.HELD_ROWS, kept, 1))] = client, mark
            kept += 1
    w.s[at.HELD_CLOSES] = kept


@entry
def play(places: int, order: int, number: int, rows: Any) -> None:  # noqa: PLR0912 # one for each order
    """Does what is ordered, at the present moment; RUN: up to the moment `number`.

    places: the address of the list of a world's arrays. rows: int64 of shape (n, 3); what is in it depends on
    the order.
    """
    w = handle(places)
    s = w.s
    now = s[at.NOW]
    if order == at.RUN:
        _run(w, number)
    elif order == at.ACT:
        _act(w, now, rows)
    elif order == at.LOSE:
        _lose_all(w, now, number, rows)
    elif order == at.END_ATTEMPTS:
        for row in range(len(rows)):
            end_attempt(w, rows[row, 0], now, number)
    elif order == at.START_POD:
        pods.start(w, number, now)
    elif order == at.END_POD:
        pods.end(w, number, now)
    elif order == at.PAUSE_POD:
        pods.pause(w, number, now)
    elif order == at.RESUME_POD:
        _resume(w, number, now)
    elif order == at.ROUTE:
        route(w, rows)
    elif order == at.SETTLE:
        _settle(w, rows)
    elif order == at.FOLLOW:
        for row in range(len(rows)):
            w.clients[u(rows[row, 0])].policy = rows[row, 2]
            start_over(w, rows[row, 0])
    elif order == at.REACH:
        _push(w, now, number, rows)
    elif order == at.COME_BACK:
        for row in range(len(rows)):
            come_back(w, rows[row, 0], rows[row, 1], number, 0)
    elif order == at.CLOSE_LATER:
        for row in range(len(rows)):
            put_client(w, rows[row, 1], rows[row, 0], at.CLOSES, rows[row, 2])
    elif order == at.FEED_FROM:
        s[at.FEED_MARK] += 1
        _feed(w, now)
    elif order == at.STALL:
        s[at.STALLED_UNTIL] = max(s[at.STALLED_UNTIL], number)
        s[at.FEED_MARK] += 1
        put_client(w, s[at.STALLED_UNTIL], 0, at.FEED, s[at.FEED_MARK])
    elif order == at.RECKON:
        cores.reckon(w, now)
        cores.share_cores(w)
        accounts.settle(w)
    elif order == at.FINALISE:
        accounts.finalise(w, now, pods.latest_due(w, now))
