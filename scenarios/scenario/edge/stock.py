"""A proxy's own defaults, in the place of those of a clean bench."""

from collections.abc import Iterator
from typing import Literal

from msgspec.structs import replace

from scenarios.fields import invalid
from scenarios.scenario.edge.nginx import NginxSettings, changed

Defaults = Literal["bench", "stock"]

ENVOY_REQUESTS = 1_024
"""Envoy's own bound of requests to a cluster, and of connections; a WebSocket is one of each."""

ENVOY_CONNECT_S, ENVOY_IDLE_S = 5.0, 300.0
"""How long Envoy waits for a connection to a pod, and after which time without traffic it ends a stream."""

_STOCK_NGINX = NginxSettings(
    worker_connections=512,
    multi_accept=False,
    proxy_read_timeout_s=60,
    max_fails=1,
    proxy_next_upstream=("error", "timeout"),
)
"""Source: documentation of nginx's core, proxy and upstream modules."""


def nginx_in_force(settings: NginxSettings, defaults: Defaults) -> NginxSettings:
    """The settings with nginx's own defaults in the place of keys that say nothing else than the bench's."""
    return replace(_STOCK_NGINX, **changed(settings)) if defaults == "stock" else settings


def stock_complaints(
    defaults: Defaults, *, proxy: str, target_url: str, served_clients: int
) -> Iterator[str]:
    """What is wrong with a proxy's own defaults.

    served_clients: that have to join before the steady state begins.
    """
    if defaults == "bench":
        return
    if target_url:
        yield invalid("edge.defaults", defaults, "'bench' with target.url, which has its own proxy")
    if proxy == "envoy" and served_clients > ENVOY_REQUESTS:
        yield invalid(
            "fleet.clients",
            served_clients,
            f"at most {ENVOY_REQUESTS} with edge.defaults = 'stock' and edge.proxy = 'envoy': its circuit"
            " breakers let no more WebSockets through, so the others would never join",
        )
