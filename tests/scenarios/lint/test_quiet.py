"""Time-outs that count from the last byte, for Socket.IO and for other WebSockets."""

from pathlib import Path

import pytest

from scenarios.lint.clients import Clients
from scenarios.lint.finding import Severity
from scenarios.lint.lint import lint
from scenarios.lint.quiet import too_short

NGINX = "location {path} {{\n  proxy_pass http://a;\n  {timeout}\n}}\n"
HAPROXY = """frontend clients
  use_backend gateway if {{ path_beg {path} }}
backend gateway
  {timeout}
  server a 10.0.0.1:3000
"""
INGRESS = """kind: Ingress
metadata:
  name: websocket
  annotations:
    nginx.ingress.kubernetes.io/affinity: cookie
{timeout}
spec:
  rules:
  - http:
      paths:
      - path: {path}
"""
ENVOY = """static_resources:
  listeners:
  - filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          stat_prefix: clients
          http_filters: []
          {timeout}
          upgrade_configs: [{{upgrade_type: websocket}}]
          route_config:
            virtual_hosts:
            - routes:
              - match: {{prefix: {path}}}
                route: {{cluster: a}}
"""
KEY = "    nginx.ingress.kubernetes.io/proxy-read-timeout: '60'"
EACH = {
    "nginx": (NGINX, "proxy_read_timeout 60s;", "nginx-read-timeout"),
    "nginx by default": (NGINX, "", "nginx-read-timeout"),
    "haproxy": (HAPROXY, "timeout tunnel 60s", "haproxy-tunnel-timeout"),
    "ingress": (INGRESS, KEY, "kubernetes-read-timeout"),
    "ingress by default": (INGRESS, "", "kubernetes-read-timeout"),
    "envoy": (ENVOY, "stream_idle_timeout: 60s", "envoy-idle-timeout"),
}


@pytest.mark.parametrize(
    ("limit_s", "socket_io", "other"),
    [
        (25, Severity.ERROR, Severity.ERROR),
        (26, Severity.WARNING, Severity.WARNING),
        (44, Severity.WARNING, Severity.WARNING),
        (45, Severity.NOTE, Severity.WARNING),
        (60, Severity.NOTE, Severity.WARNING),
        (61, None, None),
    ],
)
def test_default_pings_of_socket_io_outlast_a_timeout_above_interval_and_timeout(
    limit_s: float, socket_io: Severity | None, other: Severity | None
) -> None:
    for engine_io, severity in ((True, socket_io), (False, other)):
        short = too_short(limit_s, engine_io=engine_io)
        assert (short.severity if short else None) == severity


@pytest.mark.parametrize(("text", "timeout", "rule"), EACH.values(), ids=EACH)
@pytest.mark.parametrize(
    ("path", "clients", "severity"),
    [
        ("/socket.io/", Clients(), Severity.NOTE),
        ("/socket.io/", Clients(websocket_only=True), Severity.NOTE),
        ("/ws", Clients(), Severity.WARNING),
        ("/gateway", Clients(paths=("/gateway",)), Severity.NOTE),
        ("/gateway", Clients(paths=("/gateway",), websocket_only=True), Severity.WARNING),
    ],
)
def test_a_minute_is_a_note_where_socket_io_pings_and_a_warning_elsewhere(
    tmp_path: Path, text: str, timeout: str, rule: str, path: str, clients: Clients, severity: Severity
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text.format(path=path, timeout=timeout), encoding="utf-8")
    assert [one.severity for one in lint(file, rule.partition("-")[0], clients) if one.rule.name == rule] == [
        severity
    ]
