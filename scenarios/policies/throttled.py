"""Policies with a throttle: a client waits for its delay, and then until the throttle admits the attempt.

Without a base the delays are 0, as those of a naive client, and only the throttle delays an attempt; with a
base they are those of full jitter. With `shared`, all clients ask one throttle, as in one program; otherwise
each client has its own, as in a browser. Several generator processes have one throttle each, and divide its
absolute numbers among them. If a throttle rejects an attempt without a wait time, the client asks
again after `ask_again_s`.
"""

import math
import random
from collections.abc import Callable, Iterator
from typing import Annotated

from msgspec import Meta, Struct

from scenarios.policies.backoff import BasePolicy, FullJitter, Seconds, Share
from scenarios.policies.following import Course, Policy
from scenarios.policies.orders import Attempt, Stop, Told, Wait
from scenarios.policies.outcome import OutcomeKind, Reset, Sees
from scenarios.policies.throttles import (
    AdaptiveThrottle,
    BreakerThrottle,
    BucketThrottle,
    BudgetThrottle,
    InOrder,
    Throttle,
)

# More than 0: asking a closed throttle again immediately would never end.
AskAgain = Annotated[float, Meta(gt=0, le=86_400)]


class GatedPolicy(BasePolicy, frozen=True, kw_only=True):
    """What policies with a throttle have in common."""

    base_s: Seconds = 0.0
    """Ceiling of the first delay, as with `full-jitter`; 0 for no delays."""
    cap_s: Seconds = 30.0
    """Cap of the ceiling."""
    shared: bool = False
    """All clients share one throttle; otherwise each has its own."""
    ask_again_s: AskAgain = 1.0
    """Time until a client asks again, where the throttle names none."""

    def delays(self, rng: random.Random) -> Iterator[float]:
        """The delays alone, as if the throttle admitted everything."""
        return FullJitter(base_s=self.base_s, cap_s=self.cap_s).delays(rng)

    def throttle(self) -> Throttle:
        """A new throttle."""
        raise NotImplementedError

    def for_clients(self) -> Callable[[], Policy]:
        """As `Policy.for_clients`: the throttle is what clients share, or have each for themselves."""
        if self.shared:
            every = Throttled(self, InOrder(self.throttle()))
            return lambda: every
        return lambda: Throttled(self, self.throttle())


class Throttled(Struct, frozen=True, eq=False):
    """A policy whose attempts wait for a throttle, which outlives the resets of the back-off."""

    policy: Policy
    throttle: Throttle

    @property
    def reset(self) -> Reset:
        return self.policy.reset

    @property
    def stops_on(self) -> frozenset[OutcomeKind]:
        return self.policy.stops_on

    @property
    def sees(self) -> Sees:
        return self.policy.sees

    def for_clients(self) -> Callable[[], Policy]:
        return lambda: self

    def delays(self, rng: random.Random) -> Told:
        """Waits as the policy wants, then as the throttle wants; tells both how the attempt has ended."""
        course = Course(self.policy, rng)
        outcome = yield
        while True:
            now_s = outcome.at_s
            order = course.after(outcome, outcome.session_s, now_s)
            while type(order) is Wait:
                now_s = (yield order).at_s
                order = course.woken(now_s)
            if type(order) is Stop:
                return
            if type(order) is not Attempt:
                now_s = (yield Wait(order)).at_s  # type: ignore[arg-type]
            while wait_s := self.throttle.wait_s(now_s, rng, outcome.had_session):
                if wait_s == math.inf:
                    return
                now_s = (yield Wait(wait_s)).at_s
            outcome = yield Attempt()
            joined = outcome.kind is OutcomeKind.JOINED
            self.throttle.ended(joined, outcome.at_s)
            if joined:
                course.joined(outcome.at_s)
                outcome = yield


class CircuitBreaker(GatedPolicy, frozen=True, kw_only=True):
    """Stop when most attempts fail, and test with one attempt after a fixed time.

        opens: failures/fires > error_threshold over the last `buckets` seconds
        half-opens: exactly reset_s after it opened; one attempt is admitted, which closes or opens it

    Nothing is random: clients whose breakers opened at the same time retry at the same time. There is no
    minimum volume, so one failure can open it. A client with its own breaker then makes about one attempt per
    reset time.
    Source: nodeshift/opossum, lib/circuit.js (where the reset time is 30 s unless set).
    """

    error_threshold: Share = 0.5
    """Share of failures above which it opens."""
    reset_s: Seconds = 10.0
    """Time from opening to half-open."""
    buckets: Annotated[int, Meta(ge=1, le=3600)] = 10
    """Seconds over which failures count."""

    def throttle(self) -> Throttle:
        return BreakerThrottle(
            error_threshold=self.error_threshold,
            reset_s=self.reset_s,
            bucket_s=1.0,
            buckets=self.buckets,
            ask_again_s=self.ask_again_s,
        )


class RetryBudget(GatedPolicy, frozen=True, kw_only=True):
    """Allow retries as a share of first attempts, plus a fixed number per second.

        retries ≤ min_per_s·window + ratio·first attempts, both over the last window

    With the defaults that is 50 + 0.2 times the first attempts per 10 s. A budget belongs to one program, so
    it is shared. When all clients lose the connection at once, all first attempts are free; only retries are
    throttled.
    Source: tower-rs/tower, tower/src/retry/budget/tps_budget.rs (with a minimum of 10 per second by default).
    """

    shared: bool = True
    ratio: Annotated[float, Meta(ge=0, le=1000)] = 0.2
    """Retries for each first attempt."""
    min_per_s: Annotated[int, Meta(ge=0, le=1_000_000)] = 5
    """Retries per second that are always allowed."""
    window_s: Annotated[int, Meta(ge=1, le=60)] = 10
    """Time over which attempts count."""

    def throttle(self) -> Throttle:
        return BudgetThrottle(
            ratio=self.ratio,
            min_per_s=self.min_per_s,
            window_s=self.window_s,
            ask_again_s=self.ask_again_s,
        )


class SreThrottle(GatedPolicy, frozen=True, kw_only=True):
    """Reject an attempt with a probability that grows with the share of recent attempts that failed.

        p(reject) = max(0, (requests - k·accepts)/(requests + 1)) over the last window

    A rejected attempt counts as a request. If the gateway accepts at least one in k, nothing is throttled. A
    single client is admitted with probability 1/(n + 1) after n failed or rejected attempts.
    Source: Site Reliability Engineering, chapter 21, "Client-Side Throttling".
    """

    k: Annotated[float, Meta(ge=1, le=1000)] = 2.0
    """Attempts for each success that are never throttled."""
    window_s: Annotated[float, Meta(ge=1, le=86_400)] = 120.0
    """Time over which attempts count."""

    def throttle(self) -> Throttle:
        return AdaptiveThrottle(k=self.k, window_s=self.window_s, ask_again_s=self.ask_again_s)


class TokenBucket(GatedPolicy, frozen=True, kw_only=True):
    """Every retry costs a token, and each success returns a part of one.

        tokens = capacity; per retry, tokens -= 1; per success, tokens = min(capacity, tokens + per_success)

    First attempts are free. Only a success fills the bucket, so a client with its own bucket gives up for
    good when the bucket is empty; with a shared bucket it asks again until enough others have succeeded.
    Source: Marc Brooker, "Fixing retries with token buckets and circuit breakers", 2022-02-28.
    """

    capacity: Annotated[float, Meta(ge=0, le=1_000_000)] = 10.0
    """Tokens of a full bucket."""
    per_success: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.1
    """Tokens that a success returns."""

    def throttle(self) -> Throttle:
        return BucketThrottle(
            capacity=self.capacity,
            per_success=self.per_success,
            ask_again_s=self.ask_again_s if self.shared else math.inf,
        )
