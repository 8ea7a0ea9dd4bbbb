"""Configurations within other files, such as a ConfigMap: findings have the lines of the file."""

from pathlib import Path

import pytest

from scenarios.lint.clients import Clients
from scenarios.lint.finding import LintError, Severity
from scenarios.lint.lint import lint
from scenarios.lint.parts import kind_of, parts

CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: edge
data:
  nginx.conf: |
    server {
      location /ws {
        proxy_pass http://gateway:3000;
      }
    }

  haproxy.cfg: |
    frontend clients
      bind *:80
      timeout client 20s
      default_backend websockets
    backend websockets
      timeout server 20s
      server a 10.0.0.1:3000
"""


def test_each_configuration_of_a_config_map_is_checked_at_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "map.yaml"
    file.write_text(CONFIG_MAP)
    errors = {
        one.rule.name: one.place.line for one in lint(file, None, Clients()) if one.severity is Severity.ERROR
    }
    assert errors == {"nginx-websocket-headers": 8, "haproxy-tunnel-timeout": 18}


def test_one_proxy_of_several_can_be_named(tmp_path: Path) -> None:
    file = tmp_path / "map.yaml"
    file.write_text(CONFIG_MAP)
    assert {one.rule.name.partition("-")[0] for one in lint(file, "haproxy", Clients())} == {"haproxy"}


def test_a_text_in_yaml_that_cannot_be_read_is_named_and_the_rest_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "map.yaml"
    file.write_text(CONFIG_MAP.replace("http://gateway:3000;", "http://gateway:3000"))
    found = {one.rule.name: one for one in lint(file, None, Clients())}
    assert found["nginx-not-judged"].place.line == 7
    assert 'map.yaml:9: directive "proxy_pass" is not terminated' in found["nginx-not-judged"].found
    assert "haproxy-tunnel-timeout" in found


def test_a_snippet_is_no_configuration_of_its_own() -> None:
    text = "kind: Ingress\nmetadata:\n  annotations:\n    a/snippet: |\n      location /ws { return 1; }\n"
    assert [one.kind for one in parts(text, Path("a.yaml"), None)] == ["kubernetes"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("# see http://nginx.org/\nserver {\n  listen 80;\n}\n", "nginx"),
        ("{{ if .x }}\nserver {\n  listen {{ .port }};\n}\n{{ end }}\n", "nginx"),
        ("<% if @a %>\nlisten chat\n<% end %>\n  bind :80\n", "haproxy"),
        ("apiVersion: v1\nkind: Ingress\n", "kubernetes"),
        ("- virtual_hosts:\n  - name: a\n", "envoy"),
    ],
)
def test_the_kind_is_seen_through_comments_and_placeholders(text: str, kind: str) -> None:
    assert kind_of(text, Path("a")) == kind


def test_yaml_of_something_else_is_an_error() -> None:
    with pytest.raises(LintError, match="expected a configuration of nginx, HAProxy or Envoy"):
        parts("apiVersion: v1\nkind: Service\n", Path("a.yaml"), None)


def test_files_of_nginx_s_folder_are_found_beside_the_file_that_includes_them(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "nginx.conf").write_text("events {}\nhttp {\n  include /etc/nginx/conf.d/*.conf;\n}\n")
    (tmp_path / "conf.d" / "a.conf").write_text(
        "server {\n  location /ws {\n    proxy_pass http://a;\n  }\n}\n"
    )
    found = {one.rule.name: one.place for one in lint(tmp_path / "nginx.conf", None, Clients())}
    assert found["nginx-websocket-headers"].file == str(tmp_path / "conf.d" / "a.conf")


def test_a_file_that_is_not_there_is_named_once_and_nothing_is_said_to_be_missing(tmp_path: Path) -> None:
    file = tmp_path / "a.conf"
    location = "  location /{} {{\n    include proxy.conf;\n    proxy_pass http://a:1;\n  }}\n"
    file.write_text("server {\n" + location.format("a") + location.format("b") + "}\n")
    (one,) = lint(file, None, Clients())
    assert (one.rule.name, one.place.line) == ("nginx-not-judged", 3)
    assert one.found == "the included file proxy.conf is not here (and 1 more)"
