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

from msgspec import Struct

from scenarios.limits.counted import CountedRule
from scenarios.limits.leaky_bucket import NEVER_MS


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
        return Counter(*counted(self.now, self.before, self.began_ms, period_ms, at_ms))

    def rate(self, period_ms: int, at_ms: int) -> int:
        """Requests per period, as HAProxy reads it."""
        return rate(self.now, self.before, self.began_ms, period_ms, at_ms)


def counted(now: int, before: int, began_ms: int, period_ms: int, at_ms: int) -> tuple[int, int, int]:
    """(requests of the present period, of the one before, when the present one began) after one more request.

    HAProxy keeps a lock in the lowest bit of a time.
    """
    if at_ms - began_ms < period_ms:
        return now + 1, before, began_ms
    if at_ms - began_ms < 2 * period_ms:
        return 1, now, (began_ms + period_ms) & ~1
    return 1, 0, at_ms & ~1


def rate(now: int, before: int, began_ms: int, period_ms: int, at_ms: int) -> int:
    """Requests per period, as HAProxy reads it."""
    remaining_ms = began_ms + period_ms - at_ms
    if remaining_ms < 0:
        remaining_ms += period_ms
        before = now if remaining_ms >= 0 else 0
        now = 0
    if not now and before <= 1:
        return before
    return (before * remaining_ms + now * period_ms) // period_ms


def decide(rule: WindowRule, counter: Counter, at_ms: int) -> tuple[bool, Counter]:
    """Whether one request is let in, by this rule alone, and the counter after it."""
    period_ms = rule.period_ms
    counted = counter.counted(period_ms, at_ms)
    if rule.charge_refusals:
        return counted.rate(period_ms, at_ms) <= rule.connections, counted
    if counter.rate(period_ms, at_ms) >= rule.connections:
        return False, counter
    return True, counted
