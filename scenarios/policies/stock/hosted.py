"""Clients of hosted services."""

import random
from collections.abc import Iterator

from scenarios.policies.backoff import Milliseconds
from scenarios.policies.orders import Told
from scenarios.policies.outcome import Outcome, OutcomeKind
from scenarios.policies.stock.client import Steps, StockClient, stepped


class Pusher(StockClient, frozen=True, kw_only=True):
    """pusher-js reconnects one second after a close; failed attempts are 15, 30, then 60 s apart.

        delay(0) = 1 s; 0 after the close codes 4000 and 4200 to 4299
        delay(1) = 0, then 15, 30, 60, 60, … s

    No jitter, and no options. That is the client with `enabledTransports: ["ws", "wss"]`, as Laravel Echo has
    it; without them it tries HTTP as well. A failed attempt keeps its time-out, which doubles: the delay
    counts from its start, here from its end. A page that has been connected within half an hour makes attempt
    1 immediately after attempt 0.
    Source: pusher/pusher-js, src/core/connection/connection_manager.ts and strategies/sequential_strategy.ts.
    """

    library = "pusher-js"
    version = "8.6.0"
    package = "npm:pusher-js"
    sees = "browser"
    stops_on = frozenset({OutcomeKind.CONNECT_ERROR})
    final = "the close codes 4001 to 4099 and 4300 or more"

    def curve(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        return stepped((1000, 0, 15_000, 30_000), 60_000)

    def stops(self, outcome: Outcome) -> bool:
        code = outcome.close_code or 0
        return 4001 <= code < 4100 or code >= 4300

    def delays(self, rng: random.Random) -> Told:
        outcome = yield
        delays = self.curve(rng)
        code = outcome.close_code or 0
        while not self.stops(outcome):
            delay_s = next(delays)
            at_once = outcome.had_session and (code == 4000 or 4200 <= code < 4300)
            outcome = yield 0.0 if at_once else delay_s


class Ably(StockClient, frozen=True, kw_only=True):
    """ably-js reconnects immediately, then waits 16 to 30 s; after two minutes, exactly 30 s without jitter.

        delay(0) = 0
        delay(n) = disconnectedRetryTimeout·min((n + 3)/3, 2)·U(0.8, 1) ms, up to two minutes of outage
        then the client is suspended, and waits suspendedRetryTimeout ms each time

    The attempt that is due when the two minutes are over is put off by suspendedRetryTimeout. A suspended
    client whose transport opens and closes is not suspended any more; the model leaves that out. An error
    that the service calls fatal is final.
    Source: ably/ably-js, src/common/lib/transport/connectionmanager.ts and util/utils.ts.
    """

    library = "ably-js"
    version = "2.28.0"
    package = "npm:ably"
    sees = "browser"
    reset = "joined"
    stops_on = frozenset({OutcomeKind.CONNECT_ERROR})

    disconnectedRetryTimeout: Milliseconds = 15_000.0
    """Delay of a client that is not suspended, before growth and jitter, in milliseconds."""
    suspendedRetryTimeout: Milliseconds = 30_000.0
    """Delay of a suspended client, in milliseconds."""
    connectionStateTtl: Milliseconds = 120_000.0
    """Outage after which a client is suspended, in milliseconds; the service may say another."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        yield 0.0
        waited_ms, n = 0.0, 1
        while True:
            delay_ms = self.disconnectedRetryTimeout * min((n + 3) / 3, 2) * (1 - rng.random() * 0.2)
            if waited_ms + delay_ms >= self.connectionStateTtl:
                break
            waited_ms += delay_ms
            yield delay_ms / 1000
            n += 1
        yield (self.connectionStateTtl - waited_ms + self.suspendedRetryTimeout) / 1000
        while True:
            yield self.suspendedRetryTimeout / 1000


class FirebaseDatabase(StockClient, frozen=True, kw_only=True):
    """The Firebase Realtime Database reconnects immediately, then with full jitter up to five minutes.

        v = 1000, then min(1.3·v, maxReconnectDelay)
        delay(n) = U(0, 1)·max(0, v - time since the last attempt began) ms

    So a session of more than a second is followed by an immediate attempt. The delay starts over after 30 s
    of connection. A hidden page waits the longest delay; showing it makes an attempt at once.
    Source: firebase/firebase-js-sdk, packages/database/src/core/PersistentConnection.ts.
    """

    library = "Firebase Realtime Database (JavaScript)"
    version = "1.1.5"
    package = "npm:@firebase/database"
    sees = "browser"
    reset = "never"

    maxReconnectDelay: Milliseconds = 300_000.0
    """Cap of the ceiling, in milliseconds; 30,000 for clients with the credentials of an administrator."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        v_ms = 1000.0
        yield 0.0
        while True:
            v_ms = min(self.maxReconnectDelay, v_ms * 1.3)
            yield int(rng.random() * v_ms) / 1000

    def delays(self, rng: random.Random) -> Told:
        v_ms = 1000.0
        outcome = yield
        while True:
            if outcome.session_s > 30:
                v_ms = 1000.0
            left_ms = max(0.0, v_ms - outcome.session_s * 1000)
            v_ms = min(self.maxReconnectDelay, v_ms * 1.3)
            outcome = yield int(rng.random() * left_ms) / 1000


class LiveKit(StockClient, frozen=True, kw_only=True):
    """livekit-client makes ten attempts within a minute, each with a jitter of half its delay, then stops.

        delay(0) = U(0, 500) ms
        delay(n) = retryDelays[n]·U(0.5, 1.5) ms

    The attempts start over with each connection.
    Source: livekit/client-sdk-js, src/room/DefaultReconnectPolicy.ts.
    """

    library = "livekit-client"
    version = "2.23.0"
    package = "npm:livekit-client"
    sees = "browser"
    reset = "joined"

    retryDelays: Steps = (0, 300, 1200, 2700, 4800, 7000, 7000, 7000, 7000, 7000)
    """Delays without jitter, in milliseconds; after the last one the client stops."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        for n, delay_ms in enumerate(self.retryDelays):
            first = n == 0 and delay_ms == 0
            yield (rng.random() * 500 if first else round(delay_ms * (0.5 + rng.random()))) / 1000
