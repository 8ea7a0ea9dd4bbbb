"""A plain configuration of each proxy, as people have one, with what `tune` prints pasted into it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from scenarios.proxies import envoy, haproxy, nginx

_NGINX = """\
daemon off;
pid "{folder}/nginx.pid";
error_log "{folder}/error.log";
events {{}}
http {{
    access_log off;
#http
    server {{
        listen {listen};
        location /socket.io/ {{
#location
            proxy_pass http://{pod};
        }}
    }}
}}
"""

_HAPROXY = """\
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s

frontend clients
    bind {listen}
#frontend clients
    default_backend gateway

backend gateway
    server pod {pod}

"""

_ENVOY = """\
static_resources:
  listeners:
  - address: {{socket_address: {{address: {host}, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {manager}
          stat_prefix: gateway
          use_remote_address: true
          upgrade_configs: [{{upgrade_type: websocket}}]
          route_config:
            virtual_hosts:
            - name: gateway
              domains: ["*"]
              routes:
              - match: {{prefix: "/socket.io/"}}
                route: {{cluster: gateway, timeout: 0s}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: gateway
    load_assignment:
      cluster_name: gateway
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: {pod_host}, port_value: {pod_port}}}}}}}
"""

_MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)

CHECKS: Mapping[str, Callable[[Path], str]] = {
    "nginx": nginx.check_syntax,
    "haproxy": haproxy.check_syntax,
    "envoy": envoy.check_syntax,
}
"""What each proxy says against a file; empty when it accepts it."""


def pasted(proxy: str, added: str, folder: Path, *, listen: str, pod: str) -> Path:
    """A file with the plain configuration and the lines that were added, each block where it belongs."""
    host, _, port = listen.partition(":")
    pod_host, _, pod_port = pod.partition(":")
    plain = {"nginx": _NGINX, "haproxy": _HAPROXY, "envoy": _ENVOY}[proxy].format(
        folder=folder,
        listen=listen,
        host=host,
        port=port,
        pod=pod,
        pod_host=pod_host,
        pod_port=pod_port,
        manager=_MANAGER,
    )
    lines = plain.splitlines()
    for block in added.split("\n…\n"):
        _paste(proxy, block.splitlines(), lines)
    path = folder / {"nginx": "nginx.conf", "haproxy": "haproxy.cfg", "envoy": "envoy.yaml"}[proxy]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _paste(proxy: str, block: list[str], lines: list[str]) -> None:
    first = block[0]
    if proxy == "nginx":
        place = "#location" if first.startswith(12 * " ") else "#http"
        at = lines.index(place)
        lines[at:at] = block
    elif f"#{first}" in lines:
        at = lines.index(f"#{first}")
        lines[at:at] = block[1:]
    elif proxy == "haproxy":
        lines += block
    else:
        at = next(number for number, line in enumerate(lines) if line.strip() == first)
        indent = lines[at][: len(lines[at]) - len(first)]
        lines[at + 1 : at + 1] = [f"{indent}{line}" for line in block[1:]]
