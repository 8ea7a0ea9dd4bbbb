"""The proxy between the clients and the pods: which one, on which port, with which limit."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from scenarios.fields import NameOrTable
from scenarios.scenario.edge.nginx import NginxSettings
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
    nginx_conf: Line = ""
    """Your own nginx configuration in place of this program's, relative to the folder of the scenario file.
    It names `{{ listen }}` and `{{ pods }}`; see docs/your-own-nginx.md."""
    nginx_log_format: Line = ""
    """Name of the `log_format` in `nginx_conf` whose access log tells which requests a limit refused. Left
    out: `storm`, where the file has it; otherwise nginx's refusals are unknown."""
    tls: Tls | None = None
    nginx: NginxSettings = field(default_factory=NginxSettings)

    @property
    def limits_the_ramp(self) -> bool:
        """Whether the limit is in force from the start. To put it in force later takes a reload, after which
        `worker_shutdown_timeout_s` would cut the whole fleet."""
        return self.nginx.worker_shutdown_timeout_s > 0
