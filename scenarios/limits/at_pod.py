"""Limits at the pod: a refusal before a handshake has cost anything."""

from typing import Annotated, Literal

from msgspec import Meta

from gateway_stub.protocol import Admission
from scenarios.limits.base import Limits, PodLimit


class LagShed(PodLimit, frozen=True, kw_only=True):
    """A pod whose event loop is late sheds new connections before they cost anything.

        503 where lag > above_lag_ms

    It needs no rate, because it follows from the real cost of handshakes. The lag is measured after the fact,
    so a wave that arrives between two measurements is still admitted.

    Source: the limit's own definition; gateway_stub implements it.
    """

    above_lag_ms: Annotated[float, Meta(gt=0, le=86_400_000)] = 250.0
    """Loop lag above which a pod sheds."""

    def limits(self, name: str) -> Limits:  # noqa: ARG002
        return Limits(admission=Admission(shed_above_lag_ms=self.above_lag_ms, close_1013=self.close_1013))


class HandshakeSlots(PodLimit, frozen=True, kw_only=True):
    """A pod has a maximum number of concurrent handshakes, and sheds the others with 503.

        503 where active handshakes ≥ slots

    An active handshake finishes before its client gives up, if slots·c is well below the client's connect
    timeout, with c the CPU-seconds of one handshake.

    Source: the limit's own definition; gateway_stub implements it.
    """

    slots: Annotated[int, Meta(ge=1, le=1_000_000)] = 2
    """Concurrent handshakes of a pod."""

    def limits(self, name: str) -> Limits:  # noqa: ARG002
        return Limits(admission=Admission(handshake_slots=self.slots, close_1013=self.close_1013))


class PodWindow(PodLimit, frozen=True, kw_only=True):
    """New connections of one client IP in any window of time, counted exactly by each pod before the upgrade.

        429 where connections of the IP in the last window_s ≥ connections

    This is what a rate limiter inside the application does. Each pod counts for itself: with P pods that
    share the load, an IP may make up to P times as many connections. The refusal says Retry-After with the
    length of the window. With `charge_refusals` refused attempts count as well, and a client that retries
    too early for long enough never gets in.

    Source: the limit's own definition; gateway_stub implements it.
    """

    connections: Annotated[int, Meta(ge=1, le=65_535)] = 10
    """Connections that one IP may make in a window."""
    window_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    """Length of the window."""
    charge_refusals: bool = False
    """Count refused attempts as well."""
    source: Literal["forwarded", "peer"] = "forwarded"
    """The address that is counted: the client's, as the proxy forwards it, or that of the peer, which is the
    proxy. With `peer`, all clients share one address: what happens where X-Forwarded-For is lost."""

    def limits(self, name: str) -> Limits:  # noqa: ARG002
        admission = Admission(
            window_connections=self.connections,
            window_s=self.window_s,
            window_charges_refusals=self.charge_refusals,
            window_by_peer=self.source == "peer",
            close_1013=self.close_1013,
        )
        return Limits(admission=admission)
