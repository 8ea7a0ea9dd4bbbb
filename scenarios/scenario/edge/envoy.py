"""The settings of Envoy, each under the name of its field; the other proxies have none of them."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from scenarios.fields import PositiveSeconds, Seconds
from scenarios.scenario.edge.settings import foreign_complaints, room_complaints

ENVOY_REQUESTS = 1_024
"""Envoy's own bound of requests to a cluster, and of connections; a WebSocket is one of each."""

Bound = Annotated[int, Meta(ge=0, le=1 << 20)]

CIRCUIT_BREAKERS = ("max_connections", "max_pending_requests", "max_requests")


class EnvoySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of Envoy by the names of its fields, only with `edge.proxy = "envoy"`."""

    concurrency: Annotated[int, Meta(ge=1, le=64)] = 1
    """`--concurrency`: worker threads. They and the pods share `gateway.cores`. A limit counts for all
    together; the load balancing does not."""
    max_connections: Bound = 0
    """Circuit breaker: connections to all pods together. Further requests wait for one. 0: no bound."""
    max_pending_requests: Bound = 0
    """Circuit breaker: requests that wait for a connection to a pod. Further ones get 503. 0: no bound."""
    max_requests: Bound = 0
    """Circuit breaker: requests to all pods together; a WebSocket is one for as long as it is open. Further
    ones get 503. 0: no bound."""
    connect_timeout_s: PositiveSeconds = 60.0
    """Timeout for a pod to accept a connection."""
    stream_idle_timeout_s: Seconds = 0.0
    """A WebSocket that carries nothing for this long, in either direction, is cut; 0: never. Ticks and pings
    are something."""
    consecutive_5xx: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Outlier detection: consecutive answers of 500 and above, failed connections and timeouts after which a
    pod is ejected. The 503 of a pod that sheds load counts. 0: no outlier detection."""
    base_ejection_time_s: PositiveSeconds = 30.0
    """For how long a pod is ejected, times how often it has been. Only with `consecutive_5xx`."""
    max_ejection_percent: Annotated[int, Meta(ge=0, le=100)] = 10
    """Largest share of the pods that is ejected: of fewer than ten, 10 ejects none. Where less than half of
    the pods are left, Envoy sends requests to all of them. Only with `consecutive_5xx`."""


STOCK_ENVOY = EnvoySettings(
    max_connections=ENVOY_REQUESTS,
    max_pending_requests=ENVOY_REQUESTS,
    max_requests=ENVOY_REQUESTS,
    connect_timeout_s=5,
    stream_idle_timeout_s=300,
)
"""Source: Envoy's API reference, of Cluster, CircuitBreakers and HttpConnectionManager."""


def envoy_complaints(
    settings: EnvoySettings, *, proxy: str, target_url: str, served_clients: int
) -> Iterator[str]:
    """What is wrong with the settings, each beginning with the key.

    served_clients: that have to join before the steady state begins.
    """
    yield from foreign_complaints(settings, of="envoy", proxy=proxy, target_url=target_url)
    bounds = ("max_connections", "max_requests")
    yield from room_complaints(settings, of="envoy", bounds=bounds, clients=served_clients)
