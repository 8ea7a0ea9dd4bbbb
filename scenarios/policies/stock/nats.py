"""Clients of NATS, with one server in their pool."""

import itertools
import random
from collections.abc import Iterator

from scenarios.policies.backoff import Milliseconds, Seconds
from scenarios.policies.orders import Told
from scenarios.policies.outcome import OutcomeKind
from scenarios.policies.stock.client import Attempts, StockClient, at_most


class NatsJs(StockClient, frozen=True, kw_only=True):
    """NATS for JavaScript reconnects immediately, then every two seconds with little jitter, ten times.

        wait = reconnectTimeWait + a whole number from 0 to reconnectJitter
        delay(0) = max(0, wait - session)
        delay(n) = wait ms, n < maxReconnectAttempts

    The library waits since its last attempt: so only after a session of less than two seconds does it wait
    before attempt 0. It draws the wait anew each time it looks, and waits for the longest so far. A refused
    CONNECT is a failed attempt.
    Source: nats-io/nats.js, core/src/options.ts and protocol.ts.
    """

    library = "@nats-io/nats-core"
    version = "3.4.0"
    package = "npm:@nats-io/nats-core"
    reset = "joined"

    reconnect: bool = True
    """Whether it reconnects at all."""
    reconnectTimeWait: Milliseconds = 2000.0
    """Shortest time between two attempts at the same server, in milliseconds."""
    reconnectJitter: Milliseconds = 100.0
    """Largest jitter, in milliseconds; with TLS, the default of the library's reconnectJitterTLS is 1,000."""
    maxReconnectAttempts: Attempts | None = 10
    """Failed attempts after which it gives up; left out: never (-1)."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        return self._attempts(rng, 86_400.0)

    def delays(self, rng: random.Random) -> Told:
        outcome = yield
        yield from self._attempts(rng, outcome.session_s)

    def _attempts(self, rng: random.Random, session_s: float) -> Iterator[float]:
        n = 0
        since_ms = session_s * 1000
        while self.reconnect and (self.maxReconnectAttempts is None or n < self.maxReconnectAttempts):
            yield self._delay_ms(rng, since_ms) / 1000
            since_ms = 0.0
            n += 1

    def _delay_ms(self, rng: random.Random, since_ms: float) -> float:
        now_ms = since_ms
        while now_ms < (wait_ms := self._wait_ms(rng)):
            now_ms = wait_ms
        return now_ms - since_ms

    def _wait_ms(self, rng: random.Random) -> float:
        jitter_ms = int(rng.random() * (self.reconnectJitter + 1)) if self.reconnectJitter else 0
        return self.reconnectTimeWait + jitter_ms


class NatsPython(StockClient, frozen=True, kw_only=True):
    """nats-py reconnects immediately, then every two seconds without jitter, sixty times.

        delay(0) = 0, or reconnect_time_wait after a session that was shorter
        delay(n) = reconnect_time_wait, n ≤ max_reconnect_attempts

    The attempts start over once the server has answered CONNECT.
    Source: nats-io/nats.py, nats/aio/client.py.
    """

    library = "nats-py"
    version = "2.16.0"
    package = "pypi:nats-py"
    reset = "joined"

    allow_reconnect: bool = True
    """Whether it reconnects at all."""
    reconnect_time_wait: Seconds = 2.0
    """Delay after a failed attempt, in seconds."""
    max_reconnect_attempts: Attempts | None = 60
    """Failed attempts after which it gives up; left out: never (-1)."""

    def curve(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        return self._attempts(0.0)

    def delays(self, rng: random.Random) -> Told:  # noqa: ARG002
        outcome = yield
        yield from self._attempts(
            self.reconnect_time_wait if outcome.session_s < self.reconnect_time_wait else 0.0
        )

    def _attempts(self, first_s: float) -> Iterator[float]:
        most = self.max_reconnect_attempts
        n = 0
        while self.allow_reconnect and (most is None or n <= most):
            yield self.reconnect_time_wait if n else first_s
            n += 1


class NatsGo(StockClient, frozen=True, kw_only=True):
    """nats.go waits two seconds with little jitter before each attempt, sixty times.

        delay(n) = ReconnectWait + U(0, ReconnectJitter), n < MaxReconnect

    It waits before the first attempt, too, unlike the clients for JavaScript and Python. The attempts start
    over once the server has answered CONNECT. A second refused CONNECT since then is final, unless
    IgnoreAuthErrorAbort is set.
    Source: nats-io/nats.go, nats.go.
    """

    library = "nats.go"
    version = "1.53.1"
    reset = "joined"
    final = "a second refused CONNECT since the last session, unless IgnoreAuthErrorAbort is set"

    AllowReconnect: bool = True
    """Whether it reconnects at all."""
    ReconnectWait: Seconds = 2.0
    """Shortest delay, in seconds."""
    ReconnectJitter: Seconds = 0.1
    """Largest jitter, in seconds; with TLS, the default of the library's ReconnectJitterTLS is 1."""
    MaxReconnect: Attempts | None = 60
    """Failed attempts after which it gives up; left out: never (-1)."""
    IgnoreAuthErrorAbort: bool = False
    """Whether it goes on after a second refused CONNECT."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        endless = (self.ReconnectWait + self.ReconnectJitter * rng.random() for _ in itertools.repeat(None))
        return at_most(self.MaxReconnect if self.AllowReconnect else 0, endless)

    def delays(self, rng: random.Random) -> Told:
        outcome = yield
        refused = 0
        for delay_s in self.curve(rng):
            refused += outcome.kind is OutcomeKind.CONNECT_ERROR
            if refused > 1 and not self.IgnoreAuthErrorAbort:
                return
            outcome = yield delay_s
