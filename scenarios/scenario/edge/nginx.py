"""The settings of nginx, each under the name of its directive; the other proxies have none of them.

Without them nginx is as clean as a proxy can be: nothing is cut, retried or ejected.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct

from scenarios.fields import PositiveSeconds, Seconds, invalid
from scenarios.scenario.edge.settings import foreign_complaints

NextUpstream = Literal[
    "error",
    "timeout",
    "invalid_header",
    "http_500",
    "http_502",
    "http_503",
    "http_504",
    "http_403",
    "http_404",
    "http_429",
    "non_idempotent",
]
"""Conditions of `proxy_next_upstream`."""

CONNECTIONS_PER_CLIENT = 2
"""That a worker has open for a joined client: one to the client, one to the pod."""

OWN_CONNECTIONS = 2
"""That a worker has open for itself: the socket that it listens on, and one to the master."""

_MOST_WORKERS = 64


class NginxSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of nginx by the names of its directives, only with `edge.proxy = "nginx"`."""

    workers: Annotated[int, Meta(ge=1, le=_MOST_WORKERS)] = 1
    """`worker_processes`. The workers and the pods share `gateway.cores`."""
    worker_connections: Annotated[int, Meta(ge=0, le=1 << 20)] = 0
    """Open connections of each worker. A WebSocket takes two: one to the client, one to the pod. A worker
    that has no more closes what it accepts. 0: enough in each worker for all clients."""
    multi_accept: bool = True
    """A worker that wakes up accepts all waiting connections, and leaves none to the other workers. nginx's
    own default is off."""
    reuseport: bool = False
    """Each worker has a listening socket of its own, and the kernel spreads new connections over them.
    Without, the worker that happens to wake up accepts."""
    worker_shutdown_timeout_s: Seconds = 0.0
    """After a reload, the old workers close the connections that they still have after this time; 0: never.
    Everything that changes the limit or the pods is a reload. So a limit is in force during the ramp, too."""
    proxy_read_timeout_s: PositiveSeconds = 3_600.0
    """A connection that carries nothing for this long is closed, a WebSocket as well. Ticks and pings are
    something."""
    proxy_connect_timeout_s: PositiveSeconds = 60.0
    """Timeout for a pod to accept a connection."""
    max_fails: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Failures within `fail_timeout_s` after which a pod gets no new connections for `fail_timeout_s`; 0: no
    pod is ejected. A failure is a refused connection, a timeout, or what `proxy_next_upstream` names."""
    fail_timeout_s: Annotated[int, Meta(ge=1, le=86_400)] = 10
    """Only with `max_fails`."""
    proxy_next_upstream: tuple[NextUpstream, ...] = ()
    """When a request that failed at one pod goes to the next one, such as `["error", "timeout", "http_503"]`.
    Empty: never, which is nginx's `off`."""
    upstream_zone: bool = False
    """`zone`: the workers count connections and failures of the pods together. Without, each worker counts
    its own, for `least_conn` and for `max_fails`."""


STOCK_NGINX = NginxSettings(
    worker_connections=512,
    multi_accept=False,
    proxy_read_timeout_s=60,
    max_fails=1,
    proxy_next_upstream=("error", "timeout"),
)
"""Source: documentation of nginx's core, proxy and upstream modules."""


def nginx_complaints(
    settings: NginxSettings, *, proxy: str, target_url: str, served_clients: int
) -> Iterator[str]:
    """What is wrong with the settings, each beginning with the key.

    served_clients: that have to join before the steady state begins.
    """
    yield from foreign_complaints(settings, of="nginx", proxy=proxy, target_url=target_url)
    needed = -(-CONNECTIONS_PER_CLIENT * served_clients // settings.workers) + OWN_CONNECTIONS
    if 0 < settings.worker_connections < needed:
        yield invalid(
            "edge.nginx.worker_connections",
            settings.worker_connections,
            f"at least {needed} with edge.nginx.workers = {settings.workers}, for {CONNECTIONS_PER_CLIENT} of"
            f" each of {served_clients} clients, and {OWN_CONNECTIONS} of each worker itself",
        )
