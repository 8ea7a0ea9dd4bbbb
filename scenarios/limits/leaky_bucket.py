"""nginx's `limit_req` as a pure rule, in nginx's own arithmetic: milliseconds and thousandths of a request.

    excess' = max(0, excess − ⌊rate·Δt⌋ + 1); refused where excess' > burst

Δt is the time since the key was last charged. A refusal charges nothing, and a key that was never charged has
an excess of 0, so that its first request is free. Where the excess has to wait (without `nodelay`), a request
is held back for excess'/rate. Several rules in one location are asked in order: the first refusal ends it,
and nobody is charged unless all of them let the request pass.

nginx also forgets keys, which changes nothing here: by itself it drops a key only once that is idle for a
minute and its excess is gone. A full zone drops the key that was asked for least recently; ours have room for
everybody.

Source: nginx/nginx, src/http/modules/ngx_http_limit_req_module.c, as of 1.31.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from scenarios.limits.counted import CountedRule, token_megabytes

Key = Literal["new-per-address", "all-per-address", "new-per-token", "new-together"]
"""What a rule counts: new connections of each address, all requests of each address, new connections with the
same token, or new connections of everybody in one bucket. A new connection is a GET on the Engine.IO path
without a session id."""

NEVER_MS = -(10**11)
"""When a key that was never charged was last charged: so long ago that no excess is left of it, and little
enough for 64 bits to hold what the highest rate makes of it."""

_LOWEST_PER_S = 1 / 60
_HIGHEST_PER_S = 10_000


class Rate(Struct, frozen=True):
    """A rate as nginx takes it: a whole number of requests per second or per minute."""

    number: int
    per: str
    """`s` or `m`."""

    @property
    def millis(self) -> int:
        """Thousandths of a request per second, cut off as nginx does: 1r/m is 16."""
        return self.number * 1000 // (60 if self.per == "m" else 1)

    def __str__(self) -> str:
        return f"{self.number}r/{self.per}"


def nginx_rate(rate_per_s: float) -> Rate:
    """The rate that nginx can keep which is nearest to the one asked for.

    Whole numbers stay as they are; everything else is rounded to whole requests per minute. The lowest rate
    is one a minute, the highest 10,000 a second.
    """
    rate_per_s = min(max(rate_per_s, _LOWEST_PER_S), _HIGHEST_PER_S)
    if rate_per_s == int(rate_per_s):
        return Rate(int(rate_per_s), "s")
    return Rate(round(rate_per_s * 60), "m")


class BucketRule(Struct, frozen=True):
    """What one `limit_req` line says."""

    rate_millis: int
    """Thousandths of a request per second."""
    burst: int
    """Requests."""
    nodelay: bool = True


class EdgeRule(CountedRule, frozen=True, kw_only=True):
    """One `limit_req` rule of nginx."""

    key: Key
    rate_per_s: float | None
    """As asked for; None where the scenario decides."""
    burst: int
    nodelay: bool
    token: str = ""
    """What tells clients apart, with the key `new-per-token`: `header:NAME` or `cookie:NAME`."""

    @property
    def rate(self) -> Rate:
        """What nginx makes of the rate."""
        if self.rate_per_s is None:
            raise ValueError(f"limit {self.name!r} has no rate: it is derived from the scenario")
        return nginx_rate(self.rate_per_s)

    @property
    def bucket(self) -> BucketRule:
        """The same rule for `leaky_bucket.py`."""
        return BucketRule(self.rate.millis, self.burst, self.nodelay)

    @property
    def per_address(self) -> bool:
        """Whether every address has a bucket of its own."""
        return self.key in {"new-per-address", "all-per-address"}

    @property
    def all_requests(self) -> bool:
        """Whether the requests of a session count as well, and not only new connections."""
        return self.key == "all-per-address"

    def zone_megabytes(self, clients: int) -> int:
        """Room for all keys."""
        return token_megabytes(clients) if self.token else super().zone_megabytes(clients)

    def counts_as(self, address: str, *, new: bool, token: str = "") -> str:
        """The key that a request is counted under, as the template's maps have it; empty where it is not.

        token: the value of the header or cookie, for a rule that counts by one.
        """
        if self.per_address:
            return super().counts_as(address, new=new)
        if self.is_exempt(address) or not new:
            return ""
        return token if self.token else "everybody"


def elapsed_ms(last_ms: int, now_ms: int) -> int:
    """How long ago a key was last charged, as nginx takes it."""
    elapsed = now_ms - last_ms
    # nginx takes a step back of more than a minute for a counter that has wrapped.
    return 1 if elapsed < -60_000 else max(0, elapsed)


def excess_after(excess_millis: int, rate_millis: int, elapsed: int) -> int:
    """The excess, in thousandths of a request, that one more request of a key would make.

    excess_millis: when the key was last charged, so many milliseconds ago.
    """
    return max(0, excess_millis - rate_millis * elapsed // 1000 + 1000)


class LeakyBucket(Struct, frozen=True):
    """What nginx remembers of one key."""

    excess_millis: int = 0
    """Thousandths of a request, at `last_ms`."""
    last_ms: int = NEVER_MS
    """When it was last charged; any clock of whole milliseconds that does not stand still."""

    def excess_with(self, rule: BucketRule, now_ms: int) -> int:
        """The excess, in thousandths, that one more request would make."""
        return excess_after(self.excess_millis, rule.rate_millis, elapsed_ms(self.last_ms, now_ms))

    def charged(self, rule: BucketRule, now_ms: int) -> "LeakyBucket":
        """The bucket after one more request, let in by whoever asked."""
        last_ms = now_ms if elapsed_ms(self.last_ms, now_ms) else self.last_ms
        return LeakyBucket(self.excess_with(rule, now_ms), last_ms)


class Decision(Struct, frozen=True):
    """What becomes of one request."""

    refused_by: int | None = None
    """Which rule refused it, from 0; None where it passes."""
    delay_ms: int = 0
    """How long it is held back before it passes."""


def decide(
    rules: Sequence[BucketRule], buckets: Sequence[LeakyBucket | None], now_ms: int
) -> tuple[Decision, tuple[LeakyBucket | None, ...]]:
    """What all rules together make of one request, and the buckets after it.

    buckets: the one that the request belongs to, for each rule; None where that rule does not count it.
    """
    asked = list(zip(rules, buckets, strict=True))
    for n, (rule, bucket) in enumerate(asked):
        if bucket and bucket.excess_with(rule, now_ms) > rule.burst * 1000:
            return Decision(refused_by=n), tuple(buckets)
    after = tuple(bucket and bucket.charged(rule, now_ms) for rule, bucket in asked)
    waits = [
        bucket.excess_millis * 1000 // rule.rate_millis
        for rule, bucket in zip(rules, after, strict=True)
        if bucket and not rule.nodelay
    ]
    return Decision(delay_ms=max(waits, default=0)), after
