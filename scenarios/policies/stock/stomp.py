"""Clients of STOMP over WebSocket."""

import random
from collections.abc import Iterator
from typing import Literal

from scenarios.policies.backoff import Milliseconds
from scenarios.policies.stock.client import StockClient, growing


class StompJs(StockClient, frozen=True, kw_only=True):
    """STOMP.js waits a fixed time without jitter: clients that are disconnected together stay together.

        delay(n) = reconnectDelay ms
        delay(n) = min(reconnectDelay·2ⁿ, maxReconnectDelay) ms with reconnectTimeMode = "EXPONENTIAL"

    The delay starts over once the broker has sent CONNECTED. No close code and no ERROR frame is final. A
    reconnectDelay of 0 switches reconnects off.
    Source: stomp-js/stompjs, src/client.ts.
    """

    library = "@stomp/stompjs"
    version = "7.5.0"
    package = "npm:@stomp/stompjs"
    sees = "browser"
    reset = "joined"

    reconnectDelay: Milliseconds = 5000.0
    """Delay, in milliseconds."""
    maxReconnectDelay: Milliseconds = 900_000.0
    """Cap of the delay, in milliseconds; 0: none."""
    reconnectTimeMode: Literal["LINEAR", "EXPONENTIAL"] = "LINEAR"
    """Whether the delay doubles with each attempt."""

    def curve(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        if not self.reconnectDelay:
            return
        factor = 2.0 if self.reconnectTimeMode == "EXPONENTIAL" else 1.0
        # Without a cap: a day, after which nobody waits for the next attempt.
        cap_ms = max(self.reconnectDelay, self.maxReconnectDelay or 86_400_000)
        yield from (delay_ms / 1000 for delay_ms in growing(self.reconnectDelay, factor, cap_ms))
