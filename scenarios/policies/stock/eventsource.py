"""Clients of server-sent events."""

import itertools
import random
from collections.abc import Iterator
from typing import Annotated, ClassVar

from msgspec import Meta

from scenarios.policies.backoff import Milliseconds, Share
from scenarios.policies.outcome import Outcome, OutcomeKind, Reset
from scenarios.policies.stock.client import FINAL_STATUSES, StockClient, growing, is_final_status


class FixedRetry(StockClient, frozen=True, kw_only=True):
    """What clients share that wait the same time before each attempt, and take any HTTP status as final."""

    shortest_ms: ClassVar[float] = 0.0
    stops_on = frozenset({OutcomeKind.HTTP_STATUS})

    retry: Milliseconds = 3000.0
    """What the server has sent as `retry:`, or the client's default, in milliseconds."""

    def curve(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        return itertools.repeat(max(self.shortest_ms, self.retry) / 1000)


class EventSourceChromium(FixedRetry, frozen=True, kw_only=True):
    """EventSource in Chromium waits a fixed time without jitter; any HTTP status but 200 is final.

        delay(n) = retry ms

    A server that sends `retry:` sets the delay of its clients.
    Source: chromium/chromium, third_party/blink/renderer/modules/eventsource/event_source.cc.
    """

    library = "EventSource (Chromium)"
    version = "2026"


class EventSourceFirefox(FixedRetry, frozen=True, kw_only=True):
    """EventSource in Firefox waits a fixed time without jitter; any HTTP status but 200 is final.

        delay(n) = max(500, retry) ms

    A server that sends `retry:` sets the delay of its clients.
    Source: mozilla/gecko-dev, dom/base/EventSource.cpp.
    """

    library = "EventSource (Firefox)"
    version = "2026"
    shortest_ms = 500.0

    retry: Milliseconds = 5000.0
    """What the server has sent as `retry:`, or the client's default, in milliseconds."""


class EventSourceNpm(FixedRetry, frozen=True, kw_only=True):
    """The package eventsource for Node waits a fixed time without jitter; any HTTP status but 200 is final.

        delay(n) = retry ms

    A server that sends `retry:` sets the delay of its clients.
    Source: EventSource/eventsource, src/EventSource.ts.
    """

    library = "eventsource (npm)"
    version = "4.1.1"
    package = "npm:eventsource"


class FetchEventSource(StockClient, frozen=True, kw_only=True):
    """fetch-event-source waits a fixed time without jitter, and takes a stream that ends properly as final.

        delay(n) = retry ms

    A refused connection, any HTTP status and a broken stream lead to the next attempt, unless `onopen` or
    `onerror` throws. A stream that the server ends properly (here: a Close frame) ends the call, unless
    `onclose` throws. A server that sends `retry:` sets the delay of its clients, and so does a number that
    `onerror` returns.
    Source: Azure/fetch-event-source, src/fetch.ts.
    """

    library = "@microsoft/fetch-event-source"
    version = "2.0.1"
    package = "npm:@microsoft/fetch-event-source"
    final = "a Close frame, which stands for a stream that ends properly"

    retry: Milliseconds = 1000.0
    """What the server has sent as `retry:`, or the client's default, in milliseconds."""

    def curve(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        return itertools.repeat(self.retry / 1000)

    def stops(self, outcome: Outcome) -> bool:
        return outcome.close_code is not None


class LaunchDarklyEventSource(StockClient, frozen=True, kw_only=True):
    """launchdarkly-eventsource waits a fixed time, unless a cap makes it grow and a ratio gives it jitter.

        v = initialRetryDelayMillis
        v = min(initialRetryDelayMillis·2ⁿ, maxBackoffMillis) with maxBackoffMillis
        delay(n) = v - ⌊v·jitterRatio·U(0, 1)⌋ ms

    Without retryResetIntervalMillis, the count of attempts grows for ever; it changes nothing without a cap.
    Source: launchdarkly/js-eventsource, lib/eventsource.js and retry-delay.js.
    """

    library = "launchdarkly-eventsource"
    version = "2.2.0"
    package = "npm:launchdarkly-eventsource"
    final = FINAL_STATUSES

    initialRetryDelayMillis: Milliseconds = 1000.0
    """Delay before attempt 0, without jitter, in milliseconds."""
    maxBackoffMillis: Milliseconds | None = None
    """Cap of the delay, which then doubles with each attempt, in milliseconds; left out: it does not."""
    jitterRatio: Share = 0.0
    """Largest jitter, as a share of the delay."""
    retryResetIntervalMillis: Annotated[float, Meta(gt=0, le=86_400_000)] | None = None
    """How long a stream has to last for the attempts to start over; left out: they never do."""

    @property
    def reset(self) -> Reset:  # type: ignore[override]
        """As `BasePolicy.reset`: after retryResetIntervalMillis."""
        return "never" if self.retryResetIntervalMillis is None else self.retryResetIntervalMillis / 1000

    def curve(self, rng: random.Random) -> Iterator[float]:
        cap_ms = self.maxBackoffMillis
        growth = (1.0, self.initialRetryDelayMillis) if cap_ms is None else (2.0, cap_ms)
        for delay_ms in growing(self.initialRetryDelayMillis, *growth):
            yield (delay_ms - int(rng.random() * self.jitterRatio * delay_ms)) / 1000

    def stops(self, outcome: Outcome) -> bool:
        return is_final_status(outcome)
