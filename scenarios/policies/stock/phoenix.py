"""Clients of Phoenix channels."""

import random
from collections.abc import Iterator

from scenarios.policies.stock.client import Steps, StockClient, stepped


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
