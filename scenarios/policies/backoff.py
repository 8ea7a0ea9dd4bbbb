"""Back-offs: the delay before attempt n = 0, 1, 2, …, independent of the other attempts of the process.

Each is a frozen value whose `delays(rng)` gives seconds. Nothing here reads a clock or a global random
source: the same seed gives the same delays.
"""

import itertools
import math
import random
from collections.abc import Callable, Iterator
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from scenarios.policies.following import Policy
from scenarios.policies.outcome import OutcomeKind, Reset, Sees

# Up to a day: with infinity, some formulas below would have no value.
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Milliseconds = Annotated[float, Meta(ge=0, le=86_400_000)]
Share = Annotated[float, Meta(ge=0, le=1)]


class BasePolicy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What policies have in common: the rules that a client follows beside its delays."""

    reset: ClassVar[Reset] = "open"
    stops_on: ClassVar[frozenset[OutcomeKind]] = frozenset()
    sees: ClassVar[Sees] = "all"

    def delays(self, rng: random.Random) -> Iterator[float]:
        """As `Policy.delays`."""
        raise NotImplementedError

    def for_clients(self) -> Callable[[], Policy]:
        """As `Policy.for_clients`: without state, all clients follow the very same policy."""
        return lambda: self


class Naive(BasePolicy, frozen=True, kw_only=True):
    """Reconnect immediately; only the round trips of an attempt slow the client down.

        delay(n) = 0

    Source: the incident that this project began with.
    """

    def delays(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        while True:
            yield 0.0


class Backo2(BasePolicy, frozen=True, kw_only=True):
    """The back-off of socket.io-client, which applies the cap after the jitter.

        ms = min·2ⁿ; r = random(); dev = ⌊r·jitter·ms⌋; ms -= dev where ⌊10·r⌋ is even, else ms += dev
        delay(n) = ⌊min(ms, max)⌋ ms

    One random number gives both sign and size, so the multipliers form a comb over [0.55, 1.5). The jitter
    is lost once min·2ⁿ is well above max: every client then waits exactly max. After about a thousand
    attempts the arithmetic overflows, and half of the delays are 0.
    Source: socketio/socket.io, packages/socket.io-client/lib/contrib/backo2.ts.
    """

    min_ms: Milliseconds = 1000.0
    """Delay before attempt 0, without jitter."""
    max_ms: Milliseconds = 5000.0
    """Cap of the delay."""
    jitter: Share = 0.5
    """Largest deviation, as a share of the delay."""

    def delays(self, rng: random.Random) -> Iterator[float]:
        for n in itertools.count():
            yield capped_backo2_ms(self.min_ms, self.max_ms, self.jitter, n, rng.random()) / 1000


class FullJitter(BasePolicy, frozen=True, kw_only=True):
    """Wait a random time between a floor and a ceiling that doubles with every attempt.

        delay(n) = U(floor, max(floor, min(cap, base·2ⁿ)))

    Without a floor, the mean is half the ceiling. AWS's simulator counts attempts from 1, so its first
    ceiling is 2·base.
    Source: aws-samples/aws-arch-backoff-simulator, src/backoff_simulator.py.
    """

    base_s: Seconds = 0.2
    """Ceiling of the first delay."""
    cap_s: Seconds = 30.0
    """Cap of the ceiling."""
    floor_s: Seconds = 0.0
    """No delay is shorter."""

    def delays(self, rng: random.Random) -> Iterator[float]:
        for n in itertools.count():
            ceiling_s = min(self.cap_s, times_power_of_two(self.base_s, n))
            yield rng.uniform(self.floor_s, max(self.floor_s, ceiling_s))


class EqualJitter(BasePolicy, frozen=True, kw_only=True):
    """Wait half of a ceiling that doubles with every attempt, and a random part of the other half.

        v = min(cap, base·2ⁿ)
        delay(n) = v/2 + U(0, v/2)

    No client reconnects immediately, and the mean is three quarters of the ceiling. AWS's simulator counts
    attempts from 1, so its first ceiling is 2·base.
    Source: aws-samples/aws-arch-backoff-simulator, src/backoff_simulator.py.
    """

    base_s: Seconds = 0.2
    """Ceiling of the first delay."""
    cap_s: Seconds = 30.0
    """Cap of the ceiling."""

    def delays(self, rng: random.Random) -> Iterator[float]:
        for n in itertools.count():
            half_s = min(self.cap_s, times_power_of_two(self.base_s, n)) / 2
            yield half_s + rng.uniform(0, half_s)


class DecorrelatedJitter(BasePolicy, frozen=True, kw_only=True):
    """Wait a random time between the base and three times the last delay.

        delay(n) = min(cap, U(base, 3·delay(n-1))), delay(-1) = base

    The cap is applied after the draw, so some clients wait exactly the cap: with these defaults, 29 % of the
    clients in a long outage.
    Source: aws-samples/aws-arch-backoff-simulator, src/backoff_simulator.py.
    """

    base_s: Seconds = 0.2
    """Shortest delay."""
    cap_s: Seconds = 30.0
    """Longest delay."""

    def delays(self, rng: random.Random) -> Iterator[float]:
        delay_s = self.base_s
        while True:
            delay_s = min(self.cap_s, rng.uniform(self.base_s, 3 * delay_s))
            yield delay_s


class Grpc(BasePolicy, frozen=True, kw_only=True):
    """The connection back-off of gRPC, which applies the jitter after the cap, so it is never lost.

        delay(n) = min(cap, base·factorⁿ)·U(1 - jitter, 1 + jitter)

    gRPC makes its first attempt immediately; here n counts from its first retry, so a client that has just
    lost its connection waits. gRPC also counts a delay from the start of the last attempt, so its own clients
    wait a little less. Its document and grpc-go have no jitter in the first delay; gRPC core does.
    Source: grpc/grpc, doc/connection-backoff.md and src/core/util/backoff.cc.
    """

    base_s: Seconds = 1.0
    """First delay, without jitter."""
    factor: Annotated[float, Meta(ge=1, le=1000)] = 1.6
    """Multiple of the last delay."""
    cap_s: Seconds = 120.0
    """Cap of the delay, without jitter."""
    jitter: Share = 0.2
    """Largest deviation, as a share of the delay."""

    def delays(self, rng: random.Random) -> Iterator[float]:
        delay_s = min(self.cap_s, self.base_s)
        while True:
            yield delay_s * rng.uniform(1 - self.jitter, 1 + self.jitter)
            delay_s = min(self.cap_s, delay_s * self.factor)


class AxiosRetry(BasePolicy, frozen=True, kw_only=True):
    """A few retries without jitter within a time budget, after which the client gives up.

        delay(0) = 0
        delay(k) = min(base·2ᵏ, max) ms, k = 1, …, retries; none whose delays sum to the budget or more

    With 200 ms and a budget of 1,500 ms that is 0, 400 and 800 ms: there is no third retry. In axios-retry
    the duration of the attempts counts against the same budget; a policy has no clock, so this is the most.
    A client that has given up stays disconnected unless `again_after_s` starts a new call.
    Source: softonic/axios-retry, src/index.ts, with the delays of the incident's author.
    """

    base_ms: Milliseconds = 200.0
    """Half of the delay before the first retry."""
    max_ms: Milliseconds = 2000.0
    """Cap of the delay."""
    retries: Annotated[int, Meta(ge=0, le=1000)] = 3
    """Largest number of retries."""
    budget_ms: Milliseconds = 1500.0
    """Largest sum of the delays."""
    again_after_s: Seconds | None = None
    """Time from giving up to a new call; left out: the client gives up for good."""

    def delays(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        yield 0.0
        yield from self._retries()
        while self.again_after_s is not None:
            yield self.again_after_s
            yield from self._retries()

    def _retries(self) -> Iterator[float]:
        waited_ms = 0.0
        for k in range(1, self.retries + 1):
            delay_ms = min(times_power_of_two(self.base_ms, k), self.max_ms)
            waited_ms += delay_ms
            if waited_ms >= self.budget_ms:
                return
            yield delay_ms / 1000


class Spread(BasePolicy, frozen=True, kw_only=True):
    """Reconnect at a random time in a window wide enough for the gateway, then back off with full jitter.

        delay(0) = hold + U(0, window)
        delay(n) = U(0, min(cap, base·2ⁿ⁻¹)) for n ≥ 1

    If N clients each cost c seconds of CPU, a window W ≥ 2·N·c/(P·(1 - ρ)) needs at most half of what P pods
    have left beside the feed. A hold gives a gateway time to finish the queued handshakes of clients that
    have left.
    Source: derived here, like the fixes of public projects.
    """

    hold_s: Seconds = 0.0
    """Time in which no client reconnects."""
    window_s: Seconds = 8.0
    """Window after it, in which all clients reconnect once."""
    base_s: Seconds = 1.0
    """Ceiling of the delay before attempt 1."""
    cap_s: Seconds = 30.0
    """Cap of the ceiling."""

    def delays(self, rng: random.Random) -> Iterator[float]:
        yield self.hold_s + rng.uniform(0, self.window_s)
        yield from FullJitter(base_s=self.base_s, cap_s=self.cap_s).delays(rng)


class Rounds(BasePolicy, frozen=True, kw_only=True):
    """Make some attempts one after the other, pause, and begin again, for ever.

        delay(n) = D where n is no multiple of the attempts of a round, or n = 0; D + pause where it is

    A client library that gives up after some attempts does this where the page makes a new client of it.
    Source: socketio/socket.io, issue 3730: 5 attempts at D and a pause of 10·D.
    """

    attempts: Annotated[int, Meta(ge=1, le=1_000_000)] = 5
    """Attempts of a round."""
    delay_s: Seconds = 1.0
    """Delay before each attempt."""
    pause_s: Seconds = 10.0
    """Time between two rounds, on top of the delay."""

    def delays(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        for n in itertools.count():
            yield self.delay_s + (self.pause_s if n and n % self.attempts == 0 else 0.0)


def backo2_ms(min_ms: float, jitter: float, n: int, draw: float) -> float:
    """The delay of backo2 before its cap: min·2ⁿ with a jitter that takes sign and size from one draw."""
    ms = times_power_of_two(min_ms, n)
    deviation = _floor(draw * jitter * ms) if jitter else 0.0
    return ms - deviation if math.floor(draw * 10) % 2 == 0 else ms + deviation


def capped_backo2_ms(min_ms: float, max_ms: float, jitter: float, n: int, draw: float) -> int:
    """The delay of backo2 as JavaScript computes it."""
    ms = backo2_ms(min_ms, jitter, n, draw)
    # JavaScript: ∞ - ∞ is NaN, Math.min keeps it, and NaN | 0 is 0.
    return 0 if math.isnan(ms) else int(min(ms, max_ms))


def times_power_of_two(value: float, n: int) -> float:
    """value·2ⁿ; infinity where that is too large."""
    try:
        return math.ldexp(value, n)
    except OverflowError:
        return math.inf


def _floor(value: float) -> float:
    return value if math.isinf(value) or math.isnan(value) else math.floor(value)
