"""The loop itself: the next thing that happens, until a moment; and what is ordered from outside."""

from typing import Any

from scenarios.simulator.loop import accounts, at, cores
from scenarios.simulator.loop.calendar import come_to, put_client, take_near
from scenarios.simulator.loop.clients import ask_cap, come_back, give_up, start_over, wait_until, wake_at
from scenarios.simulator.loop.edge.balance import choose, connect, route
from scenarios.simulator.loop.edge.greeting import settle_tls
from scenarios.simulator.loop.edge.sending import lose_pod
from scenarios.simulator.loop.edge.workers import settle as settle_worker
from scenarios.simulator.loop.events import feed, happen
from scenarios.simulator.loop.parts import inner, prefetch
from scenarios.simulator.loop.pods import life
from scenarios.simulator.loop.pods.turns import wake
from scenarios.simulator.loop.pods.work import finish
from scenarios.simulator.loop.sessions import begin_session, end_attempt, follow, lose
from scenarios.simulator.loop.tables import spot, u

_AHEAD = 8


@inner
def _run(w: Any, until: int) -> None:
    """Lets everything happen up to a moment, unless something is needed first."""
    s = w.s
    while s[at.NEED] == at.NOTHING:
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
            finish(w, s[at.POD_TIME])
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
        happen(w, time, what)


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
        c.pod = choose(w, client, 0)
        connect(w, c.pod, 1)
        if w.s[at.WORKERS]:
            settle_worker(w, client)
        if w.s[at.TLS]:
            settle_tls(w, client)
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
        wake(w, pod, now)


@inner
def _hang_up(w: Any, now: int, rows: Any) -> None:
    """The proxy has ended, and with it the connections of those that are attempting or being greeted."""
    for row in range(len(rows)):
        client = rows[row, 0]
        c = w.clients[u(client)]
        if c.state == at.AWAY:
            c.marks &= at.ALL_MARKS ^ at.FIRST
            c.attempt += 1
        end_attempt(w, client, now, at.RESET)


@inner
def _resume(w: Any, pod: int, now: int) -> None:
    life.resume(w, pod, now)
    kept = 0
    for place in range(w.s[at.HELD_CLOSES]):
        client, mark = w.m[u(spot(w, at.HELD_ROWS, place, 0))], w.m[u(spot(w, at.HELD_ROWS, place, 1))]
        if w.clients[u(client)].pod == pod:
            put_client(w, now, client, at.CLOSES, mark)
        else:
            w.m[u(spot(w, at.HELD_ROWS, kept, 0))], w.m[u(spot(w, at.HELD_ROWS, kept, 1))] = client, mark
            kept += 1
    w.s[at.HELD_CLOSES] = kept


@inner
def play(w: Any, order: int, number: int, rows: Any) -> None:  # noqa: PLR0912 # one for each order
    """Does what is ordered, at the present moment; RUN: up to the moment `number`.

    rows: int64 of shape (n, 3); what is in it depends on the order.
    """
    s = w.s
    now = s[at.NOW]
    if order == at.RUN:
        _run(w, number)
    elif order == at.ACT:
        _act(w, now, rows)
    elif order == at.LOSE:
        _lose_all(w, now, number, rows)
    elif order == at.HANG_UP:
        _hang_up(w, now, rows)
    elif order == at.LOSE_POD:
        for row in range(len(rows)):
            lose_pod(w, rows[row, 0], now)
    elif order == at.START_POD:
        life.start(w, number, now)
    elif order == at.END_POD:
        life.end(w, number, now)
    elif order == at.PAUSE_POD:
        life.pause(w, number, now)
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
        feed(w, now)
    elif order == at.STALL:
        s[at.STALLED_UNTIL] = max(s[at.STALLED_UNTIL], number)
        s[at.FEED_MARK] += 1
        put_client(w, s[at.STALLED_UNTIL], 0, at.FEED, s[at.FEED_MARK])
    elif order == at.RECKON:
        cores.reckon(w, now)
        cores.share_cores(w)
        accounts.settle(w)
    elif order == at.FINALISE:
        accounts.finalise(w, now, life.latest_due(w, now))
