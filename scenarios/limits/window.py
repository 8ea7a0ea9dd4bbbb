"""A limit per sliding window as a pure rule, in HAProxy's own arithmetic.

HAProxy does not remember single requests. It counts those of the present period and of the one before, and
takes these for evenly spread:

    rate = ⌊(before · remaining + now · period) / period⌋

with `remaining` the rest of the present period. A period begins with the first request after one that has
ended; a period in which nothing came makes both counts 0. Where the present period has no request yet, and
the one before had at most one, that one still counts in full.

- Without `charge_refusals`, a request is refused where rate ≥ connections, and only one that is let in is
  counted (`gpc0_rate`).
- With it, every request is counted first, and refused where rate > connections (`http_req_rate`): a client
  that never stops asking keeps itself out.

Source: haproxy/haproxy, src/freq_ctr.c and include/haproxy/freq_ctr.h, as of 2.6; documentation of
`http_req_rate` and `gpc0_rate`.
"""

import numpy as np
from msgspec import Struct

from scenarios.limits.counted import CountedRule
from scenarios.limits.leaky_bucket import NEVER_MS, Whole


class WindowRule(CountedRule, frozen=True, kw_only=True):
    """So many new connections of an address in any window of so many seconds."""

    connections: int
    window_s: int
    charge_refusals: bool = False
    """Refused requests count as well."""

    @property
    def period_ms(self) -> int:
        """The window, as HAProxy counts time."""
        return self.window_s * 1000


class Counter(Struct, frozen=True):
    """What HAProxy remembers of one key."""

    now: int = 0
    """Requests of the present period."""
    before: int = 0
    """Requests of the period before."""
    began_ms: int = NEVER_MS
    """When the present period began."""

    def counted(self, period_ms: int, at_ms: int) -> "Counter":
        """The counter after one more request."""
        if at_ms - self.began_ms < period_ms:
            return Counter(self.now + 1, self.before, self.began_ms)
        next_ms = self.began_ms + period_ms
        if at_ms - next_ms < period_ms:
            return Counter(1, self.now, _even(next_ms))
        return Counter(1, 0, _even(at_ms))

    def rate(self, period_ms: int, at_ms: int) -> int:
        """Requests per period, as HAProxy reads it."""
        now, before = self.now, self.before
        remaining_ms = self.began_ms + period_ms - at_ms
        if remaining_ms < 0:
            remaining_ms += period_ms
            now, before = 0, now if remaining_ms >= 0 else 0
        if not now and before <= 1:
            return before
        return (before * remaining_ms + now * period_ms) // period_ms


def _even(ms: int) -> int:
    """HAProxy keeps a lock in the lowest bit of a time."""
    return ms & ~1


def decide(rule: WindowRule, counter: Counter, at_ms: int) -> tuple[bool, Counter]:
    """Whether one request is let in, by this rule alone, and the counter after it."""
    period_ms = rule.period_ms
    counted = counter.counted(period_ms, at_ms)
    if rule.charge_refusals:
        return counted.rate(period_ms, at_ms) <= rule.connections, counted
    if counter.rate(period_ms, at_ms) >= rule.connections:
        return False, counter
    return True, counted


class Counters:
    """Counters of many keys as arrays; the same as `decide` for one request after the other."""

    def __init__(self, rule: WindowRule, keys: int) -> None:
        self._rule = rule
        self._now: Whole = np.zeros(keys, np.int64)
        self._before: Whole = np.zeros(keys, np.int64)
        self._began_ms: Whole = np.full(keys, NEVER_MS, np.int64)

    def admits(self, keys: Whole, at_ms: int, asking: Whole) -> Whole:
        """How many of its requests each key gets through in one millisecond. Nothing is counted yet."""
        period_ms = self._rule.period_ms
        now, before, began_ms = self._now[keys], self._before[keys], self._began_ms[keys]
        remaining_ms = began_ms + period_ms - at_ms
        over = remaining_ms < 0
        remaining_ms = np.where(over, remaining_ms + period_ms, remaining_ms)
        before = np.where(over, np.where(remaining_ms >= 0, now, 0), before)
        now = np.where(over, 0, now)
        rate = (before * remaining_ms + now * period_ms) // period_ms
        admitted = np.clip(self._rule.connections - rate, 0, asking)
        if not self._rule.charge_refusals:
            first = np.where((now == 0) & (before <= 1), before, rate)
            admitted = np.where(first >= self._rule.connections, 0, admitted)
        return admitted

    def count(self, keys: Whole, at_ms: int, requests: Whole) -> None:
        """Counts so many requests of each of these keys."""
        period_ms = self._rule.period_ms
        some = requests > 0
        keys, requests = keys[some], requests[some]
        began_ms, now = self._began_ms[keys], self._now[keys]
        goes_on = at_ms - began_ms < period_ms
        follows = ~goes_on & (at_ms - began_ms < 2 * period_ms)
        before = np.where(goes_on, self._before[keys], np.where(follows, now, 0))
        self._now[keys] = np.where(goes_on, now, 0) + requests
        self._before[keys] = before
        self._began_ms[keys] = np.where(
            goes_on, began_ms, np.where(follows, began_ms + period_ms, at_ms) & ~1
        )
