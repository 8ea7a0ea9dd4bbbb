"""Whom the limits of the proxy let in, request by request."""

from typing import Any

from scenarios.limits import leaky_bucket, token_bucket, window
from scenarios.simulator.loop import at
from scenarios.simulator.loop.parts import inner
from scenarios.simulator.loop.tables import item, one, spot, u

_elapsed_ms = inner(leaky_bucket.elapsed_ms)
_excess_after = inner(leaky_bucket.excess_after)
_missing_at = inner(token_bucket.missing_at)
_counted = inner(window.counted)
_rate = inner(window.rate)

_REQUESTS_OF_POLLING = 5

REFUSED, BEGUN, LET_IN = range(3)
"""BEGUN: the first of several requests is let in, and a later one refused."""


@inner
def _count(w: Any, rule: int, bucket: int, now_ms: int) -> None:
    """One more request of a sliding window."""
    w.lim[u(bucket + 0)], w.lim[u(bucket + 1)], w.lim[u(bucket + 2)] = _counted(
        w.lim[u(bucket + 0)],
        w.lim[u(bucket + 1)],
        w.lim[u(bucket + 2)],
        w.lim[u(rule + at.R_PERIOD)],
        now_ms,
    )


@inner
def _rate_at(w: Any, rule: int, bucket: int, now_ms: int) -> int:
    """Requests per sliding window."""
    return int(
        _rate(
            w.lim[u(bucket + 0)],
            w.lim[u(bucket + 1)],
            w.lim[u(bucket + 2)],
            w.lim[u(rule + at.R_PERIOD)],
            now_ms,
        )
    )


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
        _count(w, rule, bucket, now_ms)


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
    return bool(_rate_at(w, rule, bucket, now_ms) < w.lim[u(rule + at.R_BURST)])


@inner
def _bucket(w: Any, number: int, client: int, is_new: bool) -> int:
    """Where the count stands that a rule has for a request of a client; -1 where it does not count it."""
    rule = item(w, at.RULE_ROWS, number)
    key = w.clients[u(client)].address
    if w.lim[u(spot(w, at.EXEMPT, number, key))] or not (is_new or w.lim[u(rule + at.R_ALL_REQUESTS)]):
        return -1
    token = w.lim[u(rule + at.R_TOKEN)]
    if token > 0:
        key = w.lim[u(spot(w, at.TOKENS_OF, token - 1, client))]
        if key < 0:
            return -1
    elif w.lim[u(rule + at.R_SHARED)]:
        key = 0
    return spot(w, at.KEYS, number, key)


@inner
def _pass_rates(w: Any, client: int, now_ms: int, is_new: bool, fits: bool) -> tuple[bool, int]:
    """(whether one request passes all rates, milliseconds for which it is held back)."""
    s = w.s
    passes = fits
    asks_on = s[at.IN_TURN] and s[at.DRY_RUN]
    for number in range(s[at.RULES]):
        rule, bucket = item(w, at.RULE_ROWS, number), _bucket(w, number, client, is_new)
        if bucket < 0:
            continue
        if w.lim[u(rule + at.R_KIND)] == at.PERIODS_OF_ALL:
            _count(w, rule, bucket, now_ms)
            passes &= _rate_at(w, rule, bucket, now_ms) <= w.lim[u(rule + at.R_BURST)]
        elif passes or asks_on:
            has_room = _has_room(w, rule, bucket, now_ms)
            if has_room and s[at.IN_TURN]:
                _charge(w, rule, bucket, now_ms)
            passes &= has_room
    if not passes:
        return False, 0
    held_ms = 0
    for number in range(s[at.RULES]):
        rule, bucket = item(w, at.RULE_ROWS, number), _bucket(w, number, client, is_new)
        if bucket < 0:
            continue
        if not s[at.IN_TURN] and w.lim[u(rule + at.R_KIND)] != at.PERIODS_OF_ALL:
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
        passes, wait_ms = _pass_rates(w, client, now_ms, passed == 0, fits)
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
def end_of_request(w: Any, client: int) -> None:
    """The connection of a client has ended, if it had one."""
    for number in range(w.s[at.IN_FLIGHT]):
        if w.lim[u(one(w, at.HOLDS, client))] & (1 << number):
            w.lim[u(spot(w, at.COUNTS, number, w.clients[u(client)].address))] -= 1
    if w.s[at.IN_FLIGHT]:
        w.lim[u(one(w, at.HOLDS, client))] = 0
