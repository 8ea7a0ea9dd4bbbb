"""The proxy between the clients and the pods: which one, on which port, with which limit."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from scenarios.fields import NameOrTable
from scenarios.scenario.edge.nginx import NginxSettings
from scenarios.scenario.edge.stock import Defaults, nginx_in_force


class Edge(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The proxy between the clients and the pods."""

    limit: NameOrTable = "none"
    """Limit on new connections: by name, several names joined by `+`, or a table with `name` and its
    parameters."""
    proxy: Literal["nginx", "envoy", "haproxy"] = "nginx"
    """Limits work in the same way at each; a limit that a proxy does not support is rejected at load time."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """0 takes a free port."""
    defaults: Defaults = "bench"
    """What holds where the scenario says nothing. `bench`: nothing is cut, bounded, retried or ejected.
    `stock`: the proxy's own time-outs, bounds and retries, such as Envoy's 1,024 requests, and nginx's
    `max_fails=1`."""
    nginx: NginxSettings = field(default_factory=NginxSettings)

    @property
    def nginx_in_force(self) -> NginxSettings:
        """The settings of nginx, with its own defaults if the scenario wants those."""
        return nginx_in_force(self.nginx, self.defaults)

    @property
    def limits_the_ramp(self) -> bool:
        """Whether the limit is in force from the start. To put it in force later takes a reload, after which
        `worker_shutdown_timeout_s` would cut the whole fleet."""
        return self.nginx.worker_shutdown_timeout_s > 0
