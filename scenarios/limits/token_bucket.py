"""The limit of proxies other than nginx as a pure rule: a bucket of tokens that fills all the time.

    tokens' = min(burst + 1, tokens + rate·Δt); refused where tokens' < 1; otherwise one is taken

A key that was never seen has a full bucket, and a refusal takes nothing. With excess = burst − tokens after
each request, this is the rule of `leaky_bucket.py` without its delays: the same requests are let in, but for
what nginx cuts off times and rates.

- Envoy's local rate limit is such a bucket. Its `tokens_per_fill` and `fill_interval` do not mean that tokens
  come in portions: it divides one by the other, and fills continuously. Several rules are filters in a row,
  so a request that a later rule refuses has already paid at the earlier ones. And Envoy does not take an IPv4
  address that is written as an IPv6 one for the address that it is: all of these share one /64.
- HAProxy has no such thing, but `nginx/haproxy.cfg.template` keeps one in its stick tables. As at nginx,
  nobody pays unless all rules agree.

Buckets are counted in fractions of a token that are whole numbers at whole milliseconds: a token is as many
of them as the second or minute of its rate has milliseconds.

Source: envoyproxy/envoy, source/common/common/token_bucket_impl.cc and
source/extensions/filters/common/local_ratelimit/local_ratelimit_impl.cc, as of 1.40.
"""

import ipaddress
from collections.abc import Sequence

from msgspec import Struct

from scenarios.limits.leaky_bucket import NEVER_MS, Decision, EdgeRule


class TokenRule(Struct, frozen=True):
    """What one local rate limit says."""

    tokens: int
    """That come in an interval."""
    interval_ms: int
    burst: int
    """Tokens that a full bucket has beyond the first."""

    @property
    def capacity(self) -> int:
        """Of a bucket, in fractions of a token."""
        return (self.burst + 1) * self.interval_ms


def token_rule(rule: EdgeRule) -> TokenRule:
    """A rule of the edge as such a bucket: whole tokens a second or a minute, as nginx's rates are."""
    return TokenRule(rule.rate.number, 60_000 if rule.rate.per == "m" else 1_000, rule.burst)


def counts_as(rule: EdgeRule, address: str, *, new: bool) -> str:
    """The key that a request is counted under at Envoy; empty where it is not counted."""
    if not _is_mapped(address):
        return rule.counts_as(address, new=new)
    source = ipaddress.ip_address(address)
    # Were it any other IPv6 address, this would be its network; no IPv4 range has it in it.
    exempt = any(source in ipaddress.ip_network(network) for network in rule.exempt)
    counted = not exempt and (new or rule.key == "all-per-address")
    return ("::/64" if rule.per_address else "everybody") if counted else ""


def _is_mapped(address: str) -> bool:
    return getattr(ipaddress.ip_address(address), "ipv4_mapped", None) is not None


def missing_at(missing: int, last_ms: int, tokens: int, now_ms: int) -> int:
    """What a full bucket has more by now, in fractions of a token; missing: at `last_ms`."""
    return max(0, missing - tokens * max(0, now_ms - last_ms))


class TokenBucket(Struct, frozen=True):
    """What is remembered of one key."""

    missing: int = 0
    """What a full bucket has more, at `last_ms`, in fractions of a token."""
    last_ms: int = NEVER_MS
    """When a token was last taken; any clock of whole milliseconds."""

    def missing_at(self, rule: TokenRule, now_ms: int) -> int:
        """What is missing by now."""
        return missing_at(self.missing, self.last_ms, rule.tokens, now_ms)

    def has_one(self, rule: TokenRule, now_ms: int) -> bool:
        """Whether there is a whole token."""
        return self.missing_at(rule, now_ms) + rule.interval_ms <= rule.capacity

    def without_one(self, rule: TokenRule, now_ms: int) -> "TokenBucket":
        """The bucket after a token was taken."""
        return TokenBucket(self.missing_at(rule, now_ms) + rule.interval_ms, max(self.last_ms, now_ms))


def decide(
    rules: Sequence[TokenRule],
    buckets: Sequence[TokenBucket | None],
    now_ms: int,
    *,
    together: bool = False,
    dry_run: bool = False,
) -> tuple[Decision, tuple[TokenBucket | None, ...]]:
    """What all rules, one after the other, make of one request, and the buckets after it.

    buckets: the one that the request belongs to, for each rule; None where that rule does not count it.
    together: nobody pays unless all rules agree. dry_run: a refusal ends nothing, so that later rules are
    asked as well; the decision is the first refusal.
    """
    after = list(buckets)
    refused_by: int | None = None
    for n, (rule, bucket) in enumerate(zip(rules, buckets, strict=True)):
        if bucket is None:
            continue
        if bucket.has_one(rule, now_ms):
            after[n] = bucket.without_one(rule, now_ms)
            continue
        refused_by = n if refused_by is None else refused_by
        if not dry_run:
            break
    paid = buckets if together and refused_by is not None else after
    return Decision(refused_by=refused_by), tuple(paid)
