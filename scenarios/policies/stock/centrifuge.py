"""Clients of Centrifugo."""

import itertools
import random
from collections.abc import Iterator

from scenarios.policies.backoff import Milliseconds, Seconds, times_power_of_two
from scenarios.policies.outcome import Outcome
from scenarios.policies.stock.client import REFUSED_BY_THE_NAMESPACE, StockClient

_MESSAGE_TOO_BIG = 1009


def _is_permanent(outcome: Outcome) -> bool:
    """Whether the close code is one that Centrifugo sends to say: do not come back."""
    code = outcome.close_code or 0
    return 3500 <= code < 4000 or 4500 <= code < 5000


class Centrifuge(StockClient, frozen=True, kw_only=True):
    """centrifuge-js has full jitter on top of a shortest delay, so clients stay spread.

        delay(n) = min(maxReconnectDelay, minReconnectDelay + v) ms
        v = a whole number from 0 to min(maxReconnectDelay, minReconnectDelay·2ⁿ)

    The attempts start over once the server has answered the connect command. A permanent error in that answer
    is final, and so are the close codes that Centrifugo sends to say so.
    Source: centrifugal/centrifuge-js, src/utils.ts and centrifuge.ts.
    """

    library = "centrifuge (JavaScript)"
    version = "5.8.0"
    package = "npm:centrifuge"
    sees = "browser"
    reset = "joined"
    stops_on = REFUSED_BY_THE_NAMESPACE
    final = "the close code 1009, and those from 3500 to 3999 and from 4500 to 4999 that come with a reason"

    minReconnectDelay: Milliseconds = 500.0
    """Shortest delay, in milliseconds."""
    maxReconnectDelay: Milliseconds = 20_000.0
    """Longest delay, in milliseconds."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        for n in itertools.count():
            most_ms = min(self.maxReconnectDelay, times_power_of_two(self.minReconnectDelay, min(n, 31)))
            delay_ms = self.minReconnectDelay + int(rng.random() * (most_ms + 1))
            yield min(self.maxReconnectDelay, delay_ms) / 1000

    def stops(self, outcome: Outcome) -> bool:
        return outcome.close_code == _MESSAGE_TOO_BIG or (_is_permanent(outcome) and bool(outcome.reason))


class CentrifugeGo(StockClient, frozen=True, kw_only=True):
    """centrifuge-go caps its delay after the jitter: in a long outage, nearly all clients wait the cap.

        delay(n) = min(MaxReconnectDelay, U(MinReconnectDelay, MinReconnectDelay·2ⁿ⁺¹))

    The attempts start over once the server has answered the connect command. A permanent error in that answer
    is final, and so are the close codes that Centrifugo sends to say so. Its handshake times out after one
    second, unless HandshakeTimeout says otherwise. Its back-off is jpillora/backoff.
    Source: centrifugal/centrifuge-go, reconnect.go, client.go and transport_websocket.go.
    """

    library = "centrifuge-go"
    version = "0.12.1"
    reset = "joined"
    stops_on = REFUSED_BY_THE_NAMESPACE
    final = "the close codes 3500 to 3999 and 4500 to 4999"

    MinReconnectDelay: Seconds = 0.2
    """Shortest delay, in seconds."""
    MaxReconnectDelay: Seconds = 20.0
    """Longest delay, in seconds."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        # Zero stands for the default.
        least_s, most_s = self.MinReconnectDelay or 0.2, self.MaxReconnectDelay or 20.0
        for n in itertools.count(1):
            ceiling_s = times_power_of_two(least_s, min(n, 40))
            yield min(most_s, least_s + rng.random() * (ceiling_s - least_s))

    def stops(self, outcome: Outcome) -> bool:
        return _is_permanent(outcome)


class CentrifugePython(StockClient, frozen=True, kw_only=True):
    """centrifuge-python has full jitter on top of a shortest delay, so clients stay spread.

        delay(n) = min(max_reconnect_delay, min_reconnect_delay + v)
        v = U(0, min(max_reconnect_delay, min_reconnect_delay·2ⁿ))

    The attempts start over once the server has answered the connect command. A permanent error in that answer
    is final, and so are the close codes that Centrifugo sends to say so.
    Source: centrifugal/centrifuge-python, centrifuge/utils.py and client.py.
    """

    library = "centrifuge-python"
    version = "0.7.0"
    package = "pypi:centrifuge-python"
    reset = "joined"
    stops_on = REFUSED_BY_THE_NAMESPACE
    final = "the close codes 3500 to 3999 and 4500 to 4999"

    min_reconnect_delay: Seconds = 0.1
    """Shortest delay, in seconds."""
    max_reconnect_delay: Seconds = 20.0
    """Longest delay, in seconds."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        for n in itertools.count():
            most_s = min(self.max_reconnect_delay, times_power_of_two(self.min_reconnect_delay, min(n, 31)))
            yield min(self.max_reconnect_delay, self.min_reconnect_delay + rng.uniform(0, most_s))

    def stops(self, outcome: Outcome) -> bool:
        return _is_permanent(outcome)
