"""Clients of GraphQL subscriptions."""

import itertools
import random
from collections.abc import Iterator

from scenarios.policies.backoff import Milliseconds, Share, capped_backo2_ms
from scenarios.policies.orders import Told
from scenarios.policies.outcome import Outcome, OutcomeKind
from scenarios.policies.stock.client import Attempts, StockClient, at_most

_NORMAL = 1000
_FATAL = frozenset({4004, 4005, 4400, 4401, 4406, 4409, 4429, 4500})
# Not `sees = "browser"`: the library does not see why, but it sees an error instead of a close.
_BEFORE_THE_OPEN = frozenset(
    {OutcomeKind.REFUSED, OutcomeKind.TLS, OutcomeKind.TIMEOUT, OutcomeKind.HTTP_STATUS}
)
_RETRIED = frozenset({1000, 1001, 1005, 1006, 1012, 1013, 1014})


class GraphqlWs(StockClient, frozen=True, kw_only=True):
    """graphql-ws makes one attempt after a lost connection, and stops for good if that attempt fails.

        delay(n) = 2ⁿ s + U(300, 3000) ms, n < retryAttempts

    A WebSocket that fails before it opens is an error, which the library does not retry unless it was built
    with `shouldRetry: () => true`; one that opens and closes is retried. The attempts start over once the
    server has acknowledged the connection. After the close code 1000 a client with a subscription reconnects
    immediately, and the attempt does not count.
    Source: enisdenjo/graphql-ws, src/client.ts.
    """

    library = "graphql-ws"
    version = "6.4.2"
    package = "npm:graphql-ws"
    reset = "joined"
    final = (
        "a connection that fails before it opens, the close codes 4004, 4005, 4400, 4401, 4406, 4409, 4429 "
        "and 4500, and those from 1002 to 1999 except 1005, 1006 and 1012 to 1014"
    )

    retryAttempts: Attempts = 5
    """Attempts after which it gives up."""
    shouldRetry: bool = False
    """Whether it was built with `shouldRetry: () => true`."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        for n in range(self.retryAttempts):
            yield 2.0 ** min(n, 900) + (300 + int(rng.random() * 2700)) / 1000

    def stops(self, outcome: Outcome) -> bool:
        code = outcome.close_code or 0
        fatal = code in _FATAL or (1000 <= code < 2000 and code not in _RETRIED)
        return fatal or (outcome.kind in _BEFORE_THE_OPEN and not self.shouldRetry)

    def delays(self, rng: random.Random) -> Told:
        outcome = yield
        delays = self.curve(rng)
        while not self.stops(outcome):
            delay_s = 0.0 if outcome.close_code == _NORMAL else next(delays, None)
            if delay_s is None:
                return
            outcome = yield delay_s


class SubscriptionsTransportWs(StockClient, frozen=True, kw_only=True):
    """subscriptions-transport-ws, no longer maintained, caps its delay after the jitter.

        ms = minTimeout·2ⁿ; r = random(); dev = ⌊r·0.5·ms⌋; ms -= dev where ⌊10·r⌋ is even, else ms += dev
        delay(n) = ⌊min(ms, maxTimeout)⌋ ms

    It reconnects only if built with `reconnect: true`. The attempts start over once the server has
    acknowledged the connection.
    Source: apollographql/subscriptions-transport-ws, src/client.ts, with the package backo2.
    """

    library = "subscriptions-transport-ws"
    version = "0.11.0"
    package = "npm:subscriptions-transport-ws"
    sees = "browser"
    reset = "joined"

    reconnectionAttempts: Attempts | None = None
    """Attempts after which it gives up; left out: never."""
    minTimeout: Milliseconds = 100.0
    """Delay before attempt 0, without jitter, in milliseconds."""
    maxTimeout: Milliseconds = 10_000.0
    """Cap of the delay, in milliseconds."""
    jitter: Share = 0.5
    """Largest deviation, as a share of the delay before its cap; the library has no option for it."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        return at_most(self.reconnectionAttempts, self._endless(rng))

    def _endless(self, rng: random.Random) -> Iterator[float]:
        for n in itertools.count():
            yield capped_backo2_ms(self.minTimeout, self.maxTimeout, self.jitter, n, rng.random()) / 1000
