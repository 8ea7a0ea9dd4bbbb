"""Clients of Phoenix channels."""

import random
from collections.abc import Callable, Iterator
from typing import Annotated

from msgspec import Meta

from scenarios.policies.following import Policy
from scenarios.policies.orders import Told
from scenarios.policies.outcome import Outcome, OutcomeKind
from scenarios.policies.stock.client import Steps, StockClient, stepped

_ReloadMs = Annotated[float, Meta(gt=0, le=86_400_000)]


class Phoenix(StockClient, frozen=True, kw_only=True):
    """phoenix.js follows a table without jitter: seven attempts in the first 1.26 s, all clients together.

        delay(n) = reconnectAfterMs[n] ms; after the end of the table, its last entry

    The library takes a function; here it is the table of what it returns. The attempts start over at the
    open. Any close code leads to the next attempt. A hidden page makes none until it is shown.
    Source: phoenixframework/phoenix, assets/js/phoenix/socket.js and timer.js.
    """

    library = "phoenix (JavaScript)"
    version = "1.8.16"
    package = "npm:phoenix"
    sees = "browser"

    reconnectAfterMs: Steps = (10, 50, 100, 150, 200, 250, 500, 1000, 2000, 5000)
    """Delays in milliseconds; the last one repeats."""

    def curve(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        return stepped(self.reconnectAfterMs, self.reconnectAfterMs[-1] if self.reconnectAfterMs else 0.0)


class SupabaseRealtime(Phoenix, frozen=True, kw_only=True):
    """Supabase's realtime-js is phoenix.js with a table of its own, without jitter.

        delay(n) = reconnectAfterMs[n] ms; after the end of the table, its last entry

    The attempts start over at the open.
    Source: supabase/supabase-js, packages/core/realtime-js/src/RealtimeClient.ts.
    """

    library = "@supabase/realtime-js"
    version = "2.109.0"
    package = "npm:@supabase/realtime-js"

    reconnectAfterMs: Steps = (1000, 2000, 5000, 10_000)
    """Delays in milliseconds; the last one repeats."""


class LiveView(Phoenix, frozen=True, kw_only=True):
    """Phoenix LiveView follows the table of phoenix.js; a refused join reloads the page, after 5 to 10 s.

        delay(n) = reconnectAfterMs[n] ms; after the end of the table, its last entry
        after a refused join: a whole number from reloadJitterMin to reloadJitterMax ms
        after maxReloads reloads in a row: failsafeJitter ms, without jitter

    The attempts start over at the open. A reload asks for the page itself before it connects, and is taken to
    get it. The count of reloads is kept in the browser's storage, and starts over once joined.
    Source: phoenixframework/phoenix_live_view, assets/js/phoenix_live_view/live_socket.ts and view.ts.
    """

    library = "phoenix_live_view"
    version = "1.2.12"
    package = "npm:phoenix_live_view"

    reloadJitterMin: _ReloadMs = 5000.0
    """Shortest time to a reload, in milliseconds."""
    reloadJitterMax: _ReloadMs = 10_000.0
    """Longest time to a reload, in milliseconds."""
    maxReloads: Annotated[int, Meta(ge=1, le=1_000_000)] = 10
    """Reloads in a row after which failsafeJitter holds."""
    failsafeJitter: _ReloadMs = 30_000.0
    """Time to a reload after so many, in milliseconds."""

    def for_clients(self) -> Callable[[], Policy]:
        return lambda: _Page(self)

    def delays(self, rng: random.Random) -> Told:
        return _Page(self).delays(rng)


class _Page:
    """One client, with what its browser remembers over reloads and opens."""

    def __init__(self, view: LiveView) -> None:
        self.view = view
        self.reset, self.stops_on, self.sees = view.reset, view.stops_on, view.sees
        self.reloads = 0
        self.counted: Outcome | None = None

    def for_clients(self) -> Callable[[], Policy]:
        return lambda: self

    def delays(self, rng: random.Random) -> Told:
        outcome = yield
        table = self.view.curve(rng)
        while True:
            if outcome.kind is OutcomeKind.CONNECT_ERROR:
                delay_s = self._reload_s(outcome, rng)
            else:
                self.reloads = 0 if outcome.had_session else self.reloads
                delay_s = next(table)
            outcome = yield delay_s

    def _reload_s(self, refused: Outcome, rng: random.Random) -> float:
        view = self.view
        # An open starts a new iterator, and both the old and the new one are told this outcome.
        if refused is not self.counted:
            self.counted = refused
            self.reloads += 1
        if self.reloads > view.maxReloads:
            return view.failsafeJitter / 1000
        least, most = view.reloadJitterMin, view.reloadJitterMax
        return (int(rng.random() * (most - least + 1)) + least) / 1000
