"""Policies with a gate: a client waits for its delay, and then until a gate lets the try through.

Without a base the delays are 0, as of the naive client, so that only the gate holds a try back; with one they
are those of full jitter. With `shared`, all clients ask one gate, as if they were one program's calls;
without it each has its own, as in a browser. Several generator processes have a gate each, and divide what it
allows in absolute numbers. Where a gate turns a try away without knowing for how long, the client asks again
after `ask_again_s`.
"""

import math
import random
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from scenarios.policies.backoff import BasePolicy, FullJitter, Seconds, Share
from scenarios.policies.throttles import BreakerGate, BucketGate, BudgetGate, Gate, ThrottleGate

# More than nothing: asking a closed gate again at once would never end.
AskAgain = Annotated[float, Meta(gt=0, le=86_400)]


class GatedPolicy(BasePolicy, frozen=True, kw_only=True):
    """What policies with a gate have in common."""

    base_s: Seconds = 0.0
    cap_s: Seconds = 30.0
    shared: bool = False
    ask_again_s: AskAgain = 1.0

    @property
    def shared_gate(self) -> bool:
        return self.shared

    def delays(self, rng: random.Random) -> Iterator[float]:
        return FullJitter(base_s=self.base_s, cap_s=self.cap_s).delays(rng)


class CircuitBreaker(GatedPolicy, frozen=True, kw_only=True):
    """Stop trying when most tries fail, and let one through after a fixed time to see.

        opens: failures/fires > error_threshold over the last `buckets` seconds
        half-opens: exactly reset_s after it opened; one try is let through, which closes or opens it

    Nothing is random: clients whose breakers opened together come back together. There is no least volume, so
    a failure can open it at once. A client with a breaker of its own then tries about once per reset time.
    Source: nodeshift/opossum, lib/circuit.js (where the reset time is 30 s unless set).
    """

    error_threshold: Share = 0.5
    reset_s: Seconds = 10.0
    buckets: Annotated[int, Meta(ge=1, le=3600)] = 10

    def gate(self) -> Gate:
        return BreakerGate(
            error_threshold=self.error_threshold,
            reset_s=self.reset_s,
            bucket_s=1.0,
            buckets=self.buckets,
            ask_again_s=self.ask_again_s,
        )


class RetryBudget(GatedPolicy, frozen=True, kw_only=True):
    """Allow a share of retries on top of first tries, and a few in any case.

        retries ≤ min_per_s·window + ratio·first tries, both over the last window

    With the defaults that is 50 + 0.2 times the first tries per 10 s. A budget belongs to one program, so it
    is shared. When everybody loses the connection at once, everybody's first try is free; only retries are
    held down.
    Source: tower-rs/tower, tower/src/retry/budget/tps_budget.rs (with 10 per second in any case unless set).
    """

    shared: bool = True
    ratio: Annotated[float, Meta(ge=0, le=1000)] = 0.2
    min_per_s: Annotated[int, Meta(ge=0, le=1_000_000)] = 5
    window_s: Annotated[int, Meta(ge=1, le=60)] = 10

    def gate(self) -> Gate:
        return BudgetGate(
            ratio=self.ratio,
            min_per_s=self.min_per_s,
            window_s=self.window_s,
            ask_again_s=self.ask_again_s,
        )


class SreThrottle(GatedPolicy, frozen=True, kw_only=True):
    """Turn a try away with a probability that grows with the share of recent tries that failed.

        p(reject) = max(0, (requests - k·accepts)/(requests + 1)) over the last window

    What is turned away counts as a request. A gateway that accepts at least one in k is not throttled at all.
    A client on its own is let through with probability 1/(n + 1) after n asks that came to nothing.
    Source: Site Reliability Engineering, chapter 21, "Client-Side Throttling".
    """

    k: Annotated[float, Meta(ge=1, le=1000)] = 2.0
    window_s: Annotated[float, Meta(ge=1, le=86_400)] = 120.0

    def gate(self) -> Gate:
        return ThrottleGate(k=self.k, window_s=self.window_s, ask_again_s=self.ask_again_s)


class TokenBucket(GatedPolicy, frozen=True, kw_only=True):
    """Pay for every retry with a token, of which each success brings back a part.

        tokens = capacity; per retry, tokens -= 1; per success, tokens = min(capacity, tokens + per_success)

    First tries are free. Nothing but a success fills the bucket, so a client with a bucket of its own gives
    up for good when that is empty; with a shared one it asks again, until enough others have succeeded.
    Source: Marc Brooker, "Fixing retries with token buckets and circuit breakers", 2022-02-28.
    """

    capacity: Annotated[float, Meta(ge=0, le=1_000_000)] = 10.0
    per_success: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.1

    def gate(self) -> Gate:
        return BucketGate(
            capacity=self.capacity,
            per_success=self.per_success,
            ask_again_s=self.ask_again_s if self.shared else math.inf,
        )
