"""The proxy: whom its limits let in, and to which pod it sends them."""

from typing import Any

from scenarios.limits import leaky_bucket, token_bucket, window
from scenarios.simulator.loop import at
from scenarios.simulator.loop.compiled import hot, inner
from scenarios.simulator.loop.tables import item, one, spot, u

_elapsed_ms = inner(leaky_bucket.elapsed_ms)
_excess_after = inner(leaky_bucket.excess_after)
_missing_at = inner(token_bucket.missing_at)
_counted = inner(window.counted)
_rate = inner(window.rate)

_REQUESTS_OF_POLLING = 5

REFUSED, BEGUN, LET_IN = range(3)
"""BEGUN: the first of several requests is let in, and a later one refused."""


# -- limits -------------------------------------------------------------------------------------------


@inner
def _pass_rates(w: Any, address: int, now_ms: int, is_new: bool, fits: bool) -> tuple[bool, int]:
    """(whether one request passes all rates, milliseconds for which it is held back)."""
    s = w.s
    passes = fits
    asks_on = s[at.IN_TURN] and s[at.DRY_RUN]
    for number in range(s[at.RULES]):
        rule = item(w, at.RULE_ROWS, number)
        if w.lim[u(spot(w, at.EXEMPT, number, address))] or not (
            is_new or w.lim[u(rule + at.R_ALL_REQUESTS)]
        ):
            continue
        bucket = spot(w, at.KEYS, number, 0 if w.lim[u(rule + at.R_SHARED)] else address)
        if w.lim[u(rule + at.R_KIND)] == at.WINDOW_OF_ALL:
            w.lim[u(bucket + 0)], w.lim[u(bucket + 1)], w.lim[u(bucket + 2)] = _counted(
                w.lim[u(bucket + 0)],
                w.lim[u(bucket + 1)],
                w.lim[u(bucket + 2)],
                w.lim[u(rule + at.R_PERIOD)],
                now_ms,
            )
            passes &= (
                _rate(
                    w.lim[u(bucket + 0)],
                    w.lim[u(bucket + 1)],
                    w.lim[u(bucket + 2)],
                    w.lim[u(rule + at.R_PERIOD)],
                    now_ms,
                )
                <= w.lim[u(rule + at.R_BURST)]
            )
        elif passes or asks_on:
            has_room = _has_room(w, rule, bucket, now_ms)
            if has_room and s[at.IN_TURN]:
                _charge(w, rule, bucket, now_ms)
            passes &= has_room
    if not passes:
        return False, 0
    held_ms = 0
    for number in range(s[at.RULES]):
        rule = item(w, at.RULE_ROWS, number)
        if w.lim[u(spot(w, at.EXEMPT, number, address))] or not (
            is_new or w.lim[u(rule + at.R_ALL_REQUESTS)]
        ):
            continue
        bucket = spot(w, at.KEYS, number, 0 if w.lim[u(rule + at.R_SHARED)] else address)
        if not s[at.IN_TURN] and w.lim[u(rule + at.R_KIND)] != at.WINDOW_OF_ALL:
            _charge(w, rule, bucket, now_ms)
        if w.lim[u(rule + at.R_DELAYS)]:
            held_ms = max(held_ms, w.lim[u(bucket + 0)] * 1000 // w.lim[u(rule + at.R_RATE)])
    return True, held_ms


@inner
def _fits(w: Any, client: int) -> bool:
    """Whether every cap has room for one more request in flight."""
    address = w.clients[u(client)].address
    rules = w.s[at.RULES]
    for number in range(w.s[at.IN_FLIGHT]):
        if (
            not w.lim[u(spot(w, at.EXEMPT, rules + number, address))]
            and w.lim[u(spot(w, at.COUNTS, number, address))] >= w.lim[u(one(w, at.CAPS, number))]
        ):
            return False
    return True


@inner
def _hold(w: Any, client: int) -> None:
    """A request of a client is in flight from now on."""
    address = w.clients[u(client)].address
    rules = w.s[at.RULES]
    for number in range(w.s[at.IN_FLIGHT]):
        if not w.lim[u(spot(w, at.EXEMPT, rules + number, address))]:
            w.lim[u(spot(w, at.COUNTS, number, address))] += 1
            w.lim[u(one(w, at.HOLDS, client))] |= 1 << number


@inner
def let_in(w: Any, client: int, now_ms: int) -> tuple[int, int]:
    """(what becomes of a client's requests, nanoseconds for which they are held back)."""
    s = w.s
    c = w.clients[u(client)]
    fits = True
    if s[at.IN_FLIGHT] and not s[at.RATES_FIRST]:
        fits = _fits(w, client)
    polls = c.marks & at.POLLS and c.marks & at.SERVED
    requests = _REQUESTS_OF_POLLING if polls else 1
    passed, held_ms = 0, 0
    while passed < requests:
        passes, wait_ms = _pass_rates(w, c.address, now_ms, passed == 0, fits)
        if not passes:
            break
        held_ms = max(held_ms, wait_ms)
        passed += 1
    whole = passed == requests
    if s[at.IN_FLIGHT]:
        if s[at.RATES_FIRST]:
            # A dry run asks on, but does not count what it would have refused.
            if (whole or s[at.DRY_RUN]) and _fits(w, client):
                _hold(w, client)
            elif whole:
                whole, passed = False, 0
        elif whole or s[at.DRY_RUN]:
            # In a dry run HAProxy counts also what it would have refused.
            _hold(w, client)
    if s[at.DRY_RUN]:
        return LET_IN, 0
    if whole:
        return LET_IN, held_ms * at.MILLISECOND
    return (BEGUN if passed else REFUSED), 0


@inner
def _charge(w: Any, rule: int, bucket: int, now_ms: int) -> None:
    """One more request has passed."""
    if w.lim[u(rule + at.R_KIND)] == at.LEAKY:
        w.lim[u(bucket + 0)] = _excess_after(
            w.lim[u(bucket + 0)], w.lim[u(rule + at.R_RATE)], _elapsed_ms(w.lim[u(bucket + 1)], now_ms)
        )
        w.lim[u(bucket + 1)] = max(w.lim[u(bucket + 1)], now_ms)
    elif w.lim[u(rule + at.R_KIND)] == at.TOKENS:
        w.lim[u(bucket + 0)] = (
            _missing_at(w.lim[u(bucket + 0)], w.lim[u(bucket + 1)], w.lim[u(rule + at.R_RATE)], now_ms)
            + w.lim[u(rule + at.R_PERIOD)]
        )
        w.lim[u(bucket + 1)] = max(w.lim[u(bucket + 1)], now_ms)
    else:
        w.lim[u(bucket + 0)], w.lim[u(bucket + 1)], w.lim[u(bucket + 2)] = _counted(
            w.lim[u(bucket + 0)],
            w.lim[u(bucket + 1)],
            w.lim[u(bucket + 2)],
            w.lim[u(rule + at.R_PERIOD)],
            now_ms,
        )


@inner
def _has_room(w: Any, rule: int, bucket: int, now_ms: int) -> bool:
    """Whether one more request passes this rule."""
    if w.lim[u(rule + at.R_KIND)] == at.LEAKY:
        elapsed = _elapsed_ms(w.lim[u(bucket + 1)], now_ms)
        return bool(
            _excess_after(w.lim[u(bucket + 0)], w.lim[u(rule + at.R_RATE)], elapsed)
            <= w.lim[u(rule + at.R_BURST)] * 1000
        )
    if w.lim[u(rule + at.R_KIND)] == at.TOKENS:
        missing = _missing_at(w.lim[u(bucket + 0)], w.lim[u(bucket + 1)], w.lim[u(rule + at.R_RATE)], now_ms)
        return bool(missing <= w.lim[u(rule + at.R_BURST)] * w.lim[u(rule + at.R_PERIOD)])
    return bool(
        _rate(
            w.lim[u(bucket + 0)],
            w.lim[u(bucket + 1)],
            w.lim[u(bucket + 2)],
            w.lim[u(rule + at.R_PERIOD)],
            now_ms,
        )
        < w.lim[u(rule + at.R_BURST)]
    )


@hot
def end_of_request(w: Any, client: int) -> None:
    """The connection of a client has ended, if it had one."""
    if w.s[at.IN_FLIGHT] == 0:
        return
    for number in range(w.s[at.IN_FLIGHT]):
        if w.lim[u(one(w, at.HOLDS, client))] & (1 << number):
            w.lim[u(spot(w, at.COUNTS, number, w.clients[u(client)].address))] -= 1
    w.lim[u(one(w, at.HOLDS, client))] = 0


# -- balance ------------------------------------------------------------------------------------------


@hot
def choose(w: Any, client: int) -> int:
    """The pod that a newcomer is sent to; -1 where there is none."""
    s = w.s
    if s[at.UPSTREAM] == 0:
        return -1
    if s[at.BALANCE] == at.LEAST_CONN:
        return int(w.m[u(w.s[at.LEVELS] + 2 * (s[at.LEAST]))])
    if s[at.BALANCE] == at.ROUND_ROBIN:
        turn = s[at.TURN]
        s[at.TURN] = turn + 1
        return int(w.m[u(one(w, at.UPSTREAM_PODS, turn % s[at.UPSTREAM]))])
    return int(w.m[u(one(w, at.HOME, w.clients[u(client)].address))])


@hot
def link(w: Any, pod: int, level: int) -> None:
    """A pod is the last one with so many connections."""
    pods = w.pods
    last = w.m[u(w.s[at.LEVELS] + 2 * level + 1)]
    pods[u(pod)].before, pods[u(pod)].after = last, -1
    if last < 0:
        w.m[u(w.s[at.LEVELS] + 2 * level)] = pod
    else:
        pods[u(last)].after = pod
    w.m[u(w.s[at.LEVELS] + 2 * level + 1)] = pod


@hot
def unlink(w: Any, pod: int, level: int) -> None:
    """A pod has another number of connections."""
    pods = w.pods
    before, after = pods[u(pod)].before, pods[u(pod)].after
    if before < 0:
        w.m[u(w.s[at.LEVELS] + 2 * level)] = after
    else:
        pods[u(before)].after = after
    if after < 0:
        w.m[u(w.s[at.LEVELS] + 2 * level + 1)] = before
    else:
        pods[u(after)].before = before


@hot
def connect(w: Any, pod: int, more: int) -> None:
    """A pod has one connection more, or one less (-1).

    Among the pods with equally many, the one that has had as many for the longest time is the first.
    """
    s = w.s
    p = w.pods[u(pod)]
    before = p.connections
    p.connections = before + more
    if not p.routed or s[at.BALANCE] != at.LEAST_CONN:
        return
    unlink(w, pod, before)
    link(w, pod, before + more)
    if more < 0:
        s[at.LEAST] = min(s[at.LEAST], before - 1)
    elif s[at.LEAST] == before and w.m[u(w.s[at.LEVELS] + 2 * before)] < 0:
        s[at.LEAST] = before + 1


@inner
def route(w: Any, rows: Any) -> None:
    """From now on newcomers go to these pods."""
    s = w.s
    least = s[at.BALANCE] == at.LEAST_CONN
    for pod in range(s[at.PODS]):
        if w.pods[u(pod)].routed and least:
            unlink(w, pod, w.pods[u(pod)].connections)
        w.pods[u(pod)].routed = False
    s[at.UPSTREAM] = len(rows)
    s[at.LEAST] = at.NEVER
    for place in range(len(rows)):
        pod = rows[place, 0]
        w.m[u(one(w, at.UPSTREAM_PODS, place))] = pod
        w.pods[u(pod)].routed = True
        if least:
            link(w, pod, w.pods[u(pod)].connections)
            s[at.LEAST] = min(s[at.LEAST], w.pods[u(pod)].connections)
