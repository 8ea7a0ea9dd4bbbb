"""Clients of ASP.NET Core SignalR."""

import random
from collections.abc import Iterator

from scenarios.policies.outcome import OutcomeKind
from scenarios.policies.stock.client import Steps, StockClient


class SignalR(StockClient, frozen=True, kw_only=True):
    """SignalR makes four attempts without jitter, then stops for good.

        delay(n) = retryDelays[n] ms

    It reconnects only if built with withAutomaticReconnect(). A hub that closes the connection without
    allowing to reconnect stops the client; a refused handshake is a failed attempt. The .NET client has the
    same delays.
    Source: dotnet/aspnetcore, clients/ts/signalr/src/DefaultReconnectPolicy.ts and HubConnection.ts.
    """

    library = "@microsoft/signalr"
    version = "10.0.11"
    package = "npm:@microsoft/signalr"
    sees = "browser"
    reset = "joined"
    stops_on = frozenset({OutcomeKind.NAMESPACE_DISCONNECT})

    retryDelays: Steps = (0, 2000, 10_000, 30_000)
    """The argument of withAutomaticReconnect(), in milliseconds; after the last one the client stops."""

    def curve(self, rng: random.Random) -> Iterator[float]:  # noqa: ARG002
        return (delay_ms / 1000 for delay_ms in self.retryDelays)
