"""Browsers: a layer below the policy of any client that opens WebSockets in a page.

The client waits for the delay of its own policy, and then the browser may hold the WebSocket back by a rule
of its own, which outlives the client's back-off. Each client is the only page of its browser.
"""

import random
from collections.abc import Callable, Iterator

from msgspec import Struct

from scenarios.fields import NameOrTable
from scenarios.policies.backoff import BasePolicy
from scenarios.policies.following import Policy
from scenarios.policies.outcome import OutcomeKind, Reset, Sees
from scenarios.policies.throttled import Throttled
from scenarios.policies.throttles import ROUNDING_S, Throttle

FIREFOX_BASE_S = (0.2, 0.4)
FIREFOX_GROWTH = 1.5
FIREFOX_CAP_S = FIREFOX_LIFE_S = 60.0
CHROMIUM_BASE_S = (1.0, 5.0)
CHROMIUM_MOST_DOUBLINGS = 16
CHROMIUM_ROLL_S = 120.0


class FirefoxThrottle:
    """After a failure, the next WebSocket to the same host waits; the wait grows, and is forgotten later."""

    __slots__ = ("_delay_s", "_failed_s", "_grows")

    def __init__(self) -> None:
        self._delay_s = 0.0
        self._failed_s = 0.0
        self._grows = False

    def wait_s(self, now_s: float, rng: random.Random, first: bool) -> float:  # noqa: ARG002
        """As `Throttle`."""
        if self._grows:
            self._grows = False
            grown_s = self._delay_s * FIREFOX_GROWTH
            self._delay_s = min(FIREFOX_CAP_S, grown_s) if grown_s else rng.uniform(*FIREFOX_BASE_S)
        since_s = now_s - self._failed_s
        if since_s >= FIREFOX_LIFE_S + self._delay_s:
            self._delay_s = 0.0
        rest_s = self._delay_s - since_s
        return rest_s if rest_s > ROUNDING_S else 0.0

    def ended(self, joined: bool, now_s: float) -> None:
        """As `Throttle`."""
        if joined:
            self._delay_s, self._grows = 0.0, False
        else:
            self._failed_s, self._grows = now_s, True


class ChromiumThrottle:
    """Every WebSocket waits a random time that doubles with the failures of the last two to four minutes."""

    __slots__ = ("_before", "_due_s", "_now", "_period")

    def __init__(self) -> None:
        self._due_s: float | None = None
        self._period = 0
        # (failed, made) connections of this period of two minutes, and of the one before it.
        self._now = self._before = (0, 0)

    def wait_s(self, now_s: float, rng: random.Random, first: bool) -> float:  # noqa: ARG002
        """As `Throttle`."""
        if self._due_s is None:
            self._roll(now_s)
            failed, made = (a + b for a, b in zip(self._now, self._before, strict=True))
            doublings = min(failed // (made + 1), CHROMIUM_MOST_DOUBLINGS)
            self._due_s = now_s + rng.uniform(*CHROMIUM_BASE_S) * 2.0 ** (doublings - CHROMIUM_MOST_DOUBLINGS)
        rest_s = self._due_s - now_s
        if rest_s > ROUNDING_S:
            return rest_s
        self._due_s = None
        return 0.0

    def ended(self, joined: bool, now_s: float) -> None:
        """As `Throttle`."""
        self._roll(now_s)
        failed, made = self._now
        self._now = (failed, made + 1) if joined else (failed + 1, made)

    def _roll(self, now_s: float) -> None:
        period = int(now_s // CHROMIUM_ROLL_S)
        if period != self._period:
            self._before = self._now if period == self._period + 1 else (0, 0)
            self._now = (0, 0)
            self._period = period


class Browser(BasePolicy, frozen=True, kw_only=True):
    """What browsers have in common."""

    policy: NameOrTable = "socketio-js"
    """Policy of the client in the page: a name, a table with `name`, or `module:function`."""

    def throttle(self) -> Throttle:
        """A new browser's."""
        raise NotImplementedError

    def around(self, client: Policy) -> "InBrowser":
        """The client's policy in this browser."""
        return InBrowser(client, self)


class Firefox(Browser, frozen=True, kw_only=True):
    """Firefox holds a WebSocket back after a failed one to the same host.

        wait from the failure on: U(200, 400) ms, 1.5 times as long after each further failure, at most 60 s

    It is forgotten after a connection that was made, and 60 s after it is over.
    Source: mozilla/gecko-dev, netwerk/protocol/websocket/WebSocketChannel.cpp.
    """

    def throttle(self) -> Throttle:
        return FirefoxThrottle()


class Chromium(Browser, frozen=True, kw_only=True):
    """Chromium delays each WebSocket of a page by the failures and successes of the last minutes.

        wait: U(1, 5) s · 2 ^ min(16, ⌊failures / (successes + 1)⌋) / 65,536

    It counts two to four minutes. Ten failures make some 50 ms, sixteen or more 1 to 5 s, so that an endless
    immediate retry becomes one attempt every three seconds. Other pages of the browser are left out.
    Source: chromium/chromium, services/network/websocket_throttler.cc.
    """

    def throttle(self) -> Throttle:
        return ChromiumThrottle()


class InBrowser(Struct, frozen=True, eq=False):
    """A client's policy in a browser, as `Policy`. What it sees is what a browser shows."""

    client: Policy
    browser: Browser

    @property
    def reset(self) -> Reset:
        return self.client.reset

    @property
    def stops_on(self) -> frozenset[OutcomeKind]:
        return self.client.stops_on

    @property
    def sees(self) -> Sees:
        return "browser"

    def for_clients(self) -> Callable[[], Policy]:
        new_client = self.client.for_clients()
        return lambda: Throttled(InBrowser(new_client(), self.browser), self.browser.throttle())

    def delays(self, rng: random.Random) -> Iterator[float]:
        """Those of the client, as if the browser let each WebSocket begin."""
        return self.client.delays(rng)
