"""The proxy between the clients and the pods: which one, on which port, with which limit."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from scenarios.fields import NameOrTable
from scenarios.scenario.edge.envoy import STOCK_ENVOY, EnvoySettings
from scenarios.scenario.edge.haproxy import STOCK_HAPROXY, HaproxySettings
from scenarios.scenario.edge.nginx import STOCK_NGINX, NginxSettings
from scenarios.scenario.edge.stock import Defaults, in_force
from scenarios.scenario.edge.tls import Tls
from scenarios.scenario.program import Line


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
    nginx_conf: Line = ""
    """Your own nginx configuration in place of this program's, relative to the folder of the scenario file.
    It names `{{ listen }}` and `{{ pods }}`; see docs/your-own-nginx.md."""
    nginx_log_format: Line = ""
    """Name of the `log_format` in `nginx_conf` whose access log tells which requests a limit refused. Left
    out: `storm`, where the file has it; otherwise nginx's refusals are unknown."""
    tls: Tls | None = None
    nginx: NginxSettings = field(default_factory=NginxSettings)
    haproxy: HaproxySettings = field(default_factory=HaproxySettings)
    envoy: EnvoySettings = field(default_factory=EnvoySettings)

    @property
    def nginx_in_force(self) -> NginxSettings:
        """The settings of nginx, with its own defaults if the scenario wants those."""
        return in_force(self.nginx, STOCK_NGINX, self.defaults)

    @property
    def haproxy_in_force(self) -> HaproxySettings:
        """The settings of HAProxy, likewise."""
        return in_force(self.haproxy, STOCK_HAPROXY, self.defaults)

    @property
    def envoy_in_force(self) -> EnvoySettings:
        """The settings of Envoy, likewise."""
        return in_force(self.envoy, STOCK_ENVOY, self.defaults)

    @property
    def cuts_after_reload_s(self) -> float:
        """After this time from a reload the old workers close what they still have; 0: never."""
        return self.nginx.worker_shutdown_timeout_s or self.haproxy.hard_stop_after_s

    @property
    def limits_the_ramp(self) -> bool:
        """Whether the limit is in force from the start. To put it in force later takes a reload, after which
        `cuts_after_reload_s` would cut the whole fleet."""
        return self.cuts_after_reload_s > 0
