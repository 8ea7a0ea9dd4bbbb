"""Clients of Action Cable."""

import itertools
import math
import random
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from scenarios.policies.backoff import Milliseconds, Seconds, Share
from scenarios.policies.stock.client import (
    REFUSED_BY_THE_NAMESPACE,
    Attempts,
    Factor,
    StockClient,
    at_most,
)


class ActionCable(StockClient, frozen=True, kw_only=True):
    """Action Cable looks for a stale connection every 6 to 12 s, and reopens it then.

        phase: what is left of an interval of staleThreshold·U(1, 2), at a random time
        delay(0) = phase if phase ≥ staleThreshold, else phase + staleThreshold·U(1, 2)
        delay(n) = staleThreshold·(1 + r)^min(n, 10)·(1 + r·U(0, 1)), r = reconnectionBackoffRate

    A close by itself starts nothing: the monitor has to find the connection stale. Its clock runs from the
    start of an attempt; here a delay counts from its end, and the feed is taken to have sent something just
    before the connection was lost. A `disconnect` message without `reconnect` is final.
    Source: rails/rails, actioncable/app/javascript/action_cable/connection_monitor.js and connection.js.
    """

    library = "@rails/actioncable"
    version = "8.1.400"
    package = "npm:@rails/actioncable"
    sees = "browser"
    reset = "joined"
    stops_on = REFUSED_BY_THE_NAMESPACE

    staleThreshold: Seconds = 6.0
    """Silence after which a connection is stale, in seconds."""
    reconnectionBackoffRate: Share = 0.15
    """Growth of the delay with each attempt, and jitter, as a share of it."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        # A long interval is more likely to be hit by the loss than a short one.
        interval_s = self.staleThreshold * math.sqrt(1 + 3 * rng.random())
        phase_s = interval_s * rng.random()
        yield phase_s if phase_s >= self.staleThreshold else phase_s + self._poll_s(0, rng)
        for n in itertools.count(1):
            yield self._poll_s(n, rng)

    def _poll_s(self, attempts: int, rng: random.Random) -> float:
        rate = self.reconnectionBackoffRate
        jitter = rng.random() * (rate if attempts else 1.0)
        return float(self.staleThreshold * (1 + rate) ** min(attempts, 10) * (1 + jitter))


class AnyCable(StockClient, frozen=True, kw_only=True):
    """AnyCable doubles a random delay without a cap: after ten failures, clients are gone for an hour.

        v = U(pingInterval·backoffRateⁿ, pingInterval·backoffRateⁿ⁺¹)·(1 + U(-jitterRatio, jitterRatio))
        delay(n) = v ms, at most maxInterval if there is one

    pingInterval and maxReconnectAttempts are options of createCable(), the others of backoffWithJitter().
    The attempts start over with the welcome message. A `disconnect` message without `reconnect` is final.
    Source: anycable/anycable-client, packages/core/monitor/index.js and create-cable/index.js.
    """

    library = "@anycable/core"
    version = "1.1.7"
    package = "npm:@anycable/core"
    sees = "browser"
    reset = "joined"
    stops_on = REFUSED_BY_THE_NAMESPACE

    pingInterval: Annotated[float, Meta(gt=0, le=86_400_000)] = 3000.0
    """Time between pings, and the shortest delay without jitter, in milliseconds."""
    backoffRate: Factor = 2.0
    """Growth of the delay with each attempt."""
    jitterRatio: Share = 0.5
    """Largest deviation, as a share of the delay."""
    maxInterval: Milliseconds | None = None
    """Cap of the delay, in milliseconds; left out: none."""
    maxReconnectAttempts: Attempts | None = None
    """Attempts after which it gives up; left out: never."""

    def curve(self, rng: random.Random) -> Iterator[float]:
        return at_most(self.maxReconnectAttempts, self._endless(rng))

    def _endless(self, rng: random.Random) -> Iterator[float]:
        for n in itertools.count():
            # Beyond 40 attempts, years would become longer years.
            left_ms = self.pingInterval * self.backoffRate ** min(n, 40)
            delay_ms = left_ms + (left_ms * self.backoffRate - left_ms) * rng.random()
            delay_ms *= 1 + 2 * (rng.random() - 0.5) * self.jitterRatio
            yield min(delay_ms, self.maxInterval or math.inf) / 1000
