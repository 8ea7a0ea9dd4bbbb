"""Clients of Centrifugo."""

import itertools
import random
from collections.abc import Iterator

from scenarios.policies.backoff import Milliseconds, times_power_of_two
from scenarios.policies.outcome import Outcome
from scenarios.policies.stock.client import REFUSED_BY_THE_NAMESPACE, StockClient

_MESSAGE_TOO_BIG = 1009


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
        code = outcome.close_code or 0
        permanent = 3500 <= code < 4000 or 4500 <= code < 5000
        return code == _MESSAGE_TOO_BIG or (permanent and bool(outcome.reason))
