"""What nginx's limits do to clients that share one address and come back at the same moment."""

from collections.abc import Sequence

from msgspec import Struct

from scenarios.limits.leaky_bucket import EdgeRule, LeakyBucket, decide

ASKS_AGAIN_MS = 1000
_FIRST_MS = 1_000_000


class Neighbours(Struct, frozen=True):
    """What became of so many clients behind one address."""

    clients: int
    at_once: int
    """Let in the first time they asked, without a wait."""
    last_in_s: float
    """When nginx let the last one through, in seconds from when all asked."""


def neighbours(rules: Sequence[EdgeRule], clients: int) -> Neighbours:
    """All ask with one request at the same millisecond; who is refused asks again every second."""
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
        waiting, now_ms = refused, now_ms + ASKS_AGAIN_MS
    return Neighbours(clients, at_once, (last_ms - _FIRST_MS) / 1000)
