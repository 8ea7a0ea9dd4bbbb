"""Libraries around a plain WebSocket."""

import random
from collections.abc import Iterator

from scenarios.policies.backoff import Milliseconds, Seconds
from scenarios.policies.outcome import Outcome, Reset
from scenarios.policies.stock.client import (
    FINAL_STATUSES,
    Attempts,
    Factor,
    StockClient,
    at_most,
    growing,
    is_final_status,
)


class ReconnectingWebSocket(StockClient, frozen=True, kw_only=True):
    """reconnecting-websocket draws its first delay once per page, and has no other jitter.

        min = minReconnectionDelay, or U(1000, 5000) where that is left out
        delay(n) = min(min·reconnectionDelayGrowFactorⁿ, maxReconnectionDelay) ms

    The attempts start over once a connection has been open for minUptime. A page keeps the delay that it has
    drawn; here each outage draws one.
    Source: pladaria/reconnecting-websocket, reconnecting-websocket.ts.
    """

    library = "reconnecting-websocket"
    version = "4.4.0"
    package = "npm:reconnecting-websocket"
    sees = "browser"

    minReconnectionDelay: Milliseconds | None = None
    """First delay, in milliseconds; left out: drawn once from 1,000 to 5,000."""
    maxReconnectionDelay: Milliseconds = 10_000.0
    """Cap of the delay, in milliseconds."""
    reconnectionDelayGrowFactor: Factor = 1.3
    """Growth of the delay with each attempt."""
    minUptime: Milliseconds = 5000.0
    """How long a connection has to be open for the attempts to start over, in milliseconds."""
    maxRetries: Attempts | None = None
    """Attempts after which it gives up; left out: never."""

    @property
    def reset(self) -> Reset:  # type: ignore[override]
        """As `BasePolicy.reset`: after minUptime."""
        return self.minUptime / 1000

    def curve(self, rng: random.Random) -> Iterator[float]:
        first_ms = self.minReconnectionDelay
        if first_ms is None:
            first_ms = 1000 + 4000 * rng.random()
        delays_ms = growing(first_ms, self.reconnectionDelayGrowFactor, self.maxReconnectionDelay)
        return at_most(self.maxRetries, (delay_ms / 1000 for delay_ms in delays_ms))


class PartySocket(ReconnectingWebSocket, frozen=True, kw_only=True):
    """partysocket grows a fixed delay without jitter: clients that are disconnected together stay together.

        delay(n) = min(minReconnectionDelay·reconnectionDelayGrowFactorⁿ, maxReconnectionDelay) ms

    The attempts start over once a connection has been open for minUptime.
    Source: cloudflare/partykit, packages/partysocket/src/ws.ts.
    """

    library = "partysocket"
    version = "1.3.0"
    package = "npm:partysocket"

    minReconnectionDelay: Milliseconds = 3000.0
    """First delay, in milliseconds."""


class ReactUseWebSocket(StockClient, frozen=True, kw_only=True):
    """react-use-websocket waits a fixed time without jitter, and stops after twenty attempts.

        delay(n) = reconnectInterval ms, n < reconnectAttempts

    It reconnects only if given `shouldReconnect`. The attempts start over at the open.
    Source: robtaussig/react-use-websocket, src/lib/constants.ts and attach-listener.ts.
    """

    library = "react-use-websocket"
    version = "4.13.0"
    sees = "browser"

    reconnectInterval: Milliseconds = 5000.0
    """Delay, in milliseconds."""
    reconnectAttempts: Attempts = 20
    """Attempts after which it gives up."""

    def curve(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        return (self.reconnectInterval / 1000 for _ in range(self.reconnectAttempts))


class PythonWebsockets(StockClient, frozen=True, kw_only=True):
    """websockets for Python reconnects immediately after a session, then backs off with hardly any jitter.

        delay(0) = 0
        delay(1) = U(0, initial_delay)
        delay(n) = min(min_delay·factorⁿ⁻², max_delay) for n ≥ 2

    That is `async for websocket in connect(…)`; connect() alone does not reconnect. The parameters are those
    of its back-off, which environment variables set. The attempts start over with each connection.
    Source: python-websockets/websockets, src/websockets/client.py and asyncio/client.py.
    """

    library = "websockets (Python)"
    version = "17.4"
    package = "pypi:websockets"
    final = FINAL_STATUSES

    initial_delay: Seconds = 5.0
    """Ceiling of the first delay after a failed attempt, in seconds."""
    min_delay: Seconds = 3.1
    """Second delay after a failed attempt, in seconds."""
    max_delay: Seconds = 90.0
    """Cap of the delay, in seconds."""
    factor: Factor = 1.618
    """Growth of the delay with each attempt."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        yield 0.0
        yield self.initial_delay * rng.random()
        yield from growing(self.min_delay, self.factor, self.max_delay)

    def stops(self, outcome: Outcome) -> bool:
        return is_final_status(outcome)


class SockJs(StockClient, frozen=True, kw_only=True):
    """sockjs-client does not reconnect: its application does, or a library above it such as STOMP.js.

        no delay: the first close is the last event

    A page whose code makes a new SockJS object after a close has the delays of that code. Each object asks
    for /info first, then tries one transport after the other. For STOMP.js over SockJS, take stompjs.
    Source: sockjs/sockjs-client, lib/main.js.
    """

    library = "sockjs-client"
    version = "1.6.1"
    package = "npm:sockjs-client"
    sees = "browser"

    def curve(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        return iter(())
