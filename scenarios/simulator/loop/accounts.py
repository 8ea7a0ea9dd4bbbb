"""What clients see, counted: ticks by the second in which they were due, ages on a grid of 100 ms.

Nobody looks at every client at every tick. Who is joined holds what its pod has sent; who is away is counted
by the tick that it held when it left. Histograms have bins that are 1 % wide.
"""

import math
from typing import Any

from reports.rundir.latency import LATE_FROM_US
from scenarios.simulator.loop import at
from scenarios.simulator.loop.parts import inner
from scenarios.simulator.loop.tables import deep, one, spot, u

LOWEST_US, HIGHEST_US = 10.0, 3.6e9
WIDTH = 0.01
BINS = int(math.log(HIGHEST_US / LOWEST_US) / WIDTH) + 2

PORTIONS = 5
"""A broadcast reaches its clients one after the other: so many points stand for all of them."""

_LATE_FROM = LATE_FROM_US * 1000
_WINDOW = 10 * at.MILLISECOND
"""Of ticks that a client missed, latencies of a second and more are told to so much."""


@inner
def bin_of(nanoseconds: int) -> int:
    """The bin of a latency."""
    micros = max(nanoseconds * 1e-3, LOWEST_US)
    return min(int(math.log(micros / LOWEST_US) / WIDTH), BINS - 1)


@inner
def _note_news(w: Any, low: int, high: int) -> None:
    n = one(w, at.NUMBERS, 0)
    w.m[u(n + at.N_LOW)], w.m[u(n + at.N_HIGH)] = (
        min(w.m[u(n + at.N_LOW)], low),
        max(w.m[u(n + at.N_HIGH)], high + 1),
    )


@inner
def _share_out(w: Any, pod: int, second: int, place: int, sent: int, upto: int) -> None:
    """Of so many clients, those from one number to another have this latency: each cell has its share."""
    clients = w.pods[u(pod)].joined
    counted = before_from = before_to = 0
    for cell in range(w.s[at.CELLS]):
        counted += w.m[u(spot(w, at.JOINED_BY_CELL, pod, cell))]
        from_, to = sent * counted // clients, upto * counted // clients
        w.m[u(deep(w, at.EFFECTIVE, second, place, w.m[u(one(w, at.GROUPS, cell))]))] += (to - before_to) - (
            from_ - before_from
        )
        before_from, before_to = from_, to


@inner
def delivered(w: Any, pod: int, tick: int, begun: int, ended: int, delay: int) -> None:
    """A pod has sent a tick, between these two times, to its clients.

    All cells have equal shares in the portions. delay: from the pod to the client.
    """
    n = one(w, at.NUMBERS, 0)
    clients = w.pods[u(pod)].joined
    if clients == 0:
        return
    due, second = w.m[u(one(w, at.DUE, tick))], w.m[u(one(w, at.SECONDS_OF, tick))]
    w.m[u(n + at.N_TICKS)] += clients
    news = tick > w.m[u(n + at.N_CLOSED)]
    sent = in_time = 0
    for portion in range(PORTIONS):
        upto = clients * (portion + 1) // PORTIONS
        latency = begun - due + (ended - begun) * (2 * portion + 1) // (2 * PORTIONS) + delay
        place = bin_of(latency)
        w.m[u(one(w, at.FANOUT, place))] += upto - sent
        if latency < _LATE_FROM:
            in_time += upto - sent
        if news:
            _share_out(w, pod, second, place, sent, upto)
        sent = upto
    if news:
        before = counted = 0
        for cell in range(w.s[at.CELLS]):
            counted += w.m[u(spot(w, at.JOINED_BY_CELL, pod, cell))]
            upto = in_time * counted // clients
            w.m[u(spot(w, at.HELD, second, cell))] += w.m[u(spot(w, at.JOINED_BY_CELL, pod, cell))]
            w.m[u(spot(w, at.IN_TIME, second, cell))] += upto - before
            before = upto
        _note_news(w, second, second)


@inner
def left(w: Any, held: int, cell: int, clients: int) -> None:
    """So many clients with a tick have no session any more, or have one again (-1)."""
    w.m[u(spot(w, at.AWAY_BY_HELD, held + 1, cell))] += clients


@inner
def settle(w: Any) -> None:
    """Counts what is pending: ticks that clients have missed and that are a second old or more."""
    n = one(w, at.NUMBERS, 0)
    from_, to = w.m[u(n + at.N_FROM)], w.m[u(n + at.N_TO)]
    if from_ >= to:
        return
    when = w.m[u(n + at.N_WHEN)] * _WINDOW
    for cell in range(w.s[at.CELLS]):
        clients = 0
        for tick in range(from_, to):
            clients += w.m[u(spot(w, at.PENDING, tick, cell))]
            w.m[u(spot(w, at.PENDING, tick, cell))] = 0
            if clients:
                second, latency = w.m[u(one(w, at.SECONDS_OF, tick))], when - w.m[u(one(w, at.DUE, tick))]
                w.m[u(deep(w, at.EFFECTIVE, second, bin_of(latency), w.m[u(one(w, at.GROUPS, cell))]))] += (
                    clients
                )
                w.m[u(spot(w, at.HELD, second, cell))] += clients
                w.m[u(spot(w, at.SKIPPED, second, cell))] += clients
                if latency < _LATE_FROM:
                    w.m[u(spot(w, at.IN_TIME, second, cell))] += clients
        w.m[u(spot(w, at.PENDING, to, cell))] = 0
    _note_news(w, w.m[u(one(w, at.SECONDS_OF, from_))], w.m[u(one(w, at.SECONDS_OF, to - 1))])
    w.m[u(n + at.N_FROM)], w.m[u(n + at.N_TO)] = 0, 0


@inner
def caught_up(w: Any, held: int, cell: int, tick: int, now: int) -> None:
    """A client that held a tick has a newer one, and learns which ones it has missed."""
    n = one(w, at.NUMBERS, 0)
    held = max(held, w.m[u(n + at.N_CLOSED)])
    w.m[u(spot(w, at.AWAY_BY_HELD, held + 1, cell))] -= 1
    if held + 1 >= tick:
        return
    if now // _WINDOW != w.m[u(n + at.N_WHEN)]:
        settle(w)
        w.m[u(n + at.N_WHEN)] = now // _WINDOW
        w.m[u(n + at.N_FROM)], w.m[u(n + at.N_TO)] = held + 1, held + 1
    old = tick
    # What is a second old or more is counted later, for many clients at once.
    while old > held + 1 and w.m[u(n + at.N_WHEN)] * _WINDOW - w.m[u(one(w, at.DUE, old - 1))] < at.SECOND:
        old -= 1
        latency = now - w.m[u(one(w, at.DUE, old))]
        second = w.m[u(one(w, at.SECONDS_OF, old))]
        w.m[u(deep(w, at.EFFECTIVE, second, bin_of(latency), w.m[u(one(w, at.GROUPS, cell))]))] += 1
        w.m[u(spot(w, at.HELD, second, cell))] += 1
        w.m[u(spot(w, at.SKIPPED, second, cell))] += 1
        if latency < _LATE_FROM:
            w.m[u(spot(w, at.IN_TIME, second, cell))] += 1
        _note_news(w, second, second)
    w.m[u(n + at.N_MISSED)] += tick - held - 1
    if old > held + 1:
        w.m[u(spot(w, at.PENDING, held + 1, cell))] += 1
        w.m[u(spot(w, at.PENDING, old, cell))] -= 1
        w.m[u(n + at.N_FROM)], w.m[u(n + at.N_TO)] = (
            min(w.m[u(n + at.N_FROM)], held + 1),
            max(w.m[u(n + at.N_TO)], old),
        )


@inner
def sample(w: Any, now: int, latest: int) -> None:
    """A point of the grid; latest: the newest tick that anybody can hold."""
    n = one(w, at.NUMBERS, 0)
    stale = 0
    for pod in range(w.s[at.PODS]):
        tick = w.pods[u(pod)].last_tick
        age = now - w.m[u(one(w, at.DUE, tick))] if tick >= 0 else now
        for cell in range(w.s[at.CELLS]):
            clients = w.m[u(spot(w, at.WITH_TICK, pod, cell))]
            if clients:
                w.m[u(spot(w, at.STALENESS, bin_of(age), w.m[u(one(w, at.GROUPS, cell))]))] += clients
                if age < at.SECOND:
                    w.m[u(one(w, at.USEFUL, cell))] += clients
                else:
                    stale += clients
    for held in range(latest + 2):
        for cell in range(w.s[at.CELLS]):
            clients = w.m[u(spot(w, at.AWAY_BY_HELD, held, cell))]
            if clients:
                age = max(0, now - (w.m[u(one(w, at.DUE, held - 1))] if held else 0))
                w.m[u(spot(w, at.STALENESS, bin_of(age), w.m[u(one(w, at.GROUPS, cell))]))] += clients
                if age >= at.SECOND:
                    stale += clients
    w.m[u(n + at.N_STALE)] += stale
    w.m[u(n + at.N_POINTS)] += 1


@inner
def finalise(w: Any, now: int, latest: int) -> None:
    """Counts what nobody holds yet as censored; latest: the newest tick that is due."""
    settle(w)
    n = one(w, at.NUMBERS, 0)
    for cell in range(w.s[at.CELLS]):
        without = 0
        for tick in range(latest + 1):
            without += w.m[u(spot(w, at.AWAY_BY_HELD, tick, cell))]
            for pod in range(w.s[at.PODS]):
                if min(max(w.pods[u(pod)].last_tick, -1), latest) + 1 == tick:
                    without += w.m[u(spot(w, at.WITH_TICK, pod, cell))]
            if without:
                second = w.m[u(one(w, at.SECONDS_OF, tick))]
                w.m[
                    u(
                        deep(
                            w,
                            at.CENSORED,
                            second,
                            bin_of(now - w.m[u(one(w, at.DUE, tick))]),
                            w.m[u(one(w, at.GROUPS, cell))],
                        )
                    )
                ] += without
                w.m[u(spot(w, at.NEVER_HELD, second, cell))] += without
        for tick in range(latest + 1):
            w.m[u(spot(w, at.AWAY_BY_HELD, latest + 1, cell))] += w.m[u(spot(w, at.AWAY_BY_HELD, tick, cell))]
            w.m[u(spot(w, at.AWAY_BY_HELD, tick, cell))] = 0
    if latest >= 0:
        _note_news(w, 0, w.m[u(one(w, at.SECONDS_OF, latest))])
    w.m[u(n + at.N_CLOSED)] = latest
