"""What nginx's limits do to clients that share one IP and reconnect at the same time."""

from collections.abc import Sequence

from msgspec import Struct

from scenarios.limits.leaky_bucket import EdgeRule, LeakyBucket, decide

RETRY_AFTER_MS = 1000
_FIRST_MS = 1_000_000


class SharedIp(Struct, frozen=True):
    """When the clients behind one IP are admitted."""

    clients: int
    at_once: int
    """Admitted on their first request, without a delay."""
    last_in_s: float
    """When nginx admitted the last one, in seconds from the first request."""


def shared_ip(rules: Sequence[EdgeRule], clients: int) -> SharedIp:
    """All send one request in the same millisecond; a client that is rate-limited retries every second."""
    bucket_rules = [rule.bucket for rule in rules]
    buckets: Sequence[LeakyBucket | None] = [LeakyBucket() for _ in rules]
    waiting, now_ms, at_once, last_ms = clients, _FIRST_MS, 0, _FIRST_MS
    while waiting:
        refused = 0
        for _ in range(waiting):
            decision, buckets = decide(bucket_rules, buckets, now_ms)
            if decision.refused_by is not None:
                refused += 1
                continue
            at_once += now_ms == _FIRST_MS and not decision.delay_ms
            last_ms = max(last_ms, now_ms + decision.delay_ms)
        waiting, now_ms = refused, now_ms + RETRY_AFTER_MS
    return SharedIp(clients, at_once, (last_ms - _FIRST_MS) / 1000)
