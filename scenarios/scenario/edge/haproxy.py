"""The settings of HAProxy, each under the name of its keyword; the other proxies have none of them."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct

from scenarios.fields import PositiveSeconds, Seconds, invalid
from scenarios.scenario.edge.settings import foreign_complaints, room_complaints

HOUR_S = 3_600.0


class HaproxySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of HAProxy by the names of its keywords, only with `edge.proxy = "haproxy"`."""

    nbthread: Annotated[int, Meta(ge=1, le=64)] = 1
    """Threads of the worker. They and the pods share `gateway.cores`."""
    maxconn: Annotated[int, Meta(ge=0, le=1 << 20)] = 0
    """Open connections of clients; a WebSocket is one. Who comes when there are as many waits in the kernel's
    accept queue. 0: enough for all clients."""
    timeout_connect_s: Seconds = 60.0
    """`timeout connect`: time for a pod to accept a connection; 0: no such timeout."""
    timeout_client_s: Seconds = HOUR_S
    """`timeout client`: a client that says nothing for this long is cut. A WebSocket has `timeout_tunnel_s`
    instead, if that is set. 0: no such timeout."""
    timeout_server_s: Seconds = HOUR_S
    """`timeout server`: the same for a pod, and so for the answer to a request."""
    timeout_tunnel_s: Seconds = HOUR_S
    """`timeout tunnel`: a WebSocket that carries nothing for this long, in either direction, is cut. 0: the
    timeouts of client and server hold."""
    hard_stop_after_s: Seconds = 0.0
    """`hard-stop-after`: after a reload, the old worker closes the connections that it still has after this
    time; 0: never. Everything that changes the limit or the pods is a reload. So a limit is in force during
    the ramp, too."""
    observe: Literal["", "layer4", "layer7"] = ""
    """Takes a pod out for errors of the clients' own connections: `layer4` refused connections and timeouts,
    `layer7` answers of 500 and above as well, and so the 503 of a pod that sheds load. Empty: no pod is taken
    out, and none is checked."""
    error_limit: Annotated[int, Meta(ge=1, le=1_000_000)] = 10
    """Consecutive errors after which `observe` takes a pod out."""
    inter_s: PositiveSeconds = 2.0
    """Interval of the checks of a pod, with `observe`. A pod that was taken out is back after two that
    succeed."""


STOCK_HAPROXY = HaproxySettings(
    timeout_connect_s=0, timeout_client_s=0, timeout_server_s=0, timeout_tunnel_s=0
)
"""Source: HAProxy's configuration manual; `maxconn` follows there from the number of open files."""


def haproxy_complaints(
    settings: HaproxySettings, *, proxy: str, target_url: str, served_clients: int, counts_rates: bool
) -> Iterator[str]:
    """What is wrong with the settings, each beginning with the key.

    served_clients: that have to join before the steady state begins. counts_rates: whether the limit has a
    rate.
    """
    yield from foreign_complaints(settings, of="haproxy", proxy=proxy, target_url=target_url)
    yield from room_complaints(settings, of="haproxy", bounds=("maxconn",), clients=served_clients)
    if counts_rates and settings.nbthread > 1:
        yield invalid(
            "edge.haproxy.nbthread",
            settings.nbthread,
            "1 with a limit of a rate: two threads would take the same token of a bucket",
        )
