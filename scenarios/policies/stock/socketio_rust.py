"""The client of Socket.IO for Rust."""

import random
from collections.abc import Iterator

from scenarios.policies.backoff import Milliseconds
from scenarios.policies.orders import Told
from scenarios.policies.outcome import Outcome, OutcomeKind
from scenarios.policies.stock.client import Attempts, StockClient, growing

_MAX_ELAPSED_S = 900.0
"""The back-off's max_elapsed_time, which the client leaves at its default."""


class RustSocketIo(StockClient, frozen=True, kw_only=True):
    """rust_socketio never starts over, and after a quarter of an hour makes its attempts without any delay.

        v = min(reconnect_delay_min·1.5ⁿ, reconnect_delay_max)
        delay(n) = v·U(0.5, 1.5) ms; 0 once 15 minutes have passed since the client was made

    That is the blocking client. One back-off serves it for as long as it lives: n grows over all outages, and
    its 15 minutes (max_elapsed_time of the crate backoff) run from the client's start, not the outage's. Once
    they are over, the back-off gives no delay and the loop does not sleep. The namespace's answer is not
    awaited: a refused handshake leaves the transport open. The asynchronous client makes its first attempt
    immediately, has a new back-off in each outage, and the same end of its delays after 15 minutes of outage.
    Source: 1c3t3a/rust-socketio, socketio/src/client/client.rs and builder.rs, with the crate backoff.
    """

    library = "rust_socketio"
    version = "0.6.0"
    reset = "never"
    stops_on = frozenset({OutcomeKind.CONNECT_ERROR})
    final = "a disconnect by the server (DISCONNECT), unless reconnect_on_disconnect is set"

    reconnect: bool = True
    """Whether it reconnects at all."""
    reconnect_on_disconnect: bool = False
    """Whether it reconnects after a disconnect by the server."""
    max_reconnect_attempts: Attempts | None = None
    """Attempts of one outage after which it gives up; left out: never."""
    reconnect_delay_min: Milliseconds = 1000.0
    """First delay, without jitter, in milliseconds."""
    reconnect_delay_max: Milliseconds = 5000.0
    """Cap of the delay, without jitter, in milliseconds."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        for delay_ms in growing(self.reconnect_delay_min, 1.5, self.reconnect_delay_max):
            yield delay_ms * (0.5 + rng.random()) / 1000

    def stops(self, outcome: Outcome) -> bool:
        by_server = outcome.kind is OutcomeKind.NAMESPACE_DISCONNECT
        return not self.reconnect or (by_server and not self.reconnect_on_disconnect)

    def delays(self, rng: random.Random) -> Told:
        outcome = yield
        made_s = outcome.at_s - outcome.session_s
        delays = self.curve(rng)
        attempts = 0
        while not self.stops(outcome):
            attempts = 1 if outcome.had_session else attempts + 1
            if self.max_reconnect_attempts is not None and attempts > self.max_reconnect_attempts:
                return
            delay_s = next(delays)
            over = outcome.at_s - made_s + delay_s > _MAX_ELAPSED_S
            outcome = yield 0.0 if over else delay_s
