"""A user's nginx configuration: what a run needs of it, what it changes, what it refuses. nginx checks it."""

import json
from pathlib import Path
from typing import Any

import pytest

from scenarios.host.machine import MachineError
from scenarios.proxies.certificates import Authority
from scenarios.proxies.own_nginx.host import (
    ABOUT,
    LocalOwnNginx,
    check,
    files_of,
    own_configuration,
    read_own_log,
    tells_refusals,
)
from scenarios.scenario.loader import load
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import build

EXAMPLE = Path(__file__).parents[4] / "examples" / "nginx"

PLAIN = """user www-data; pid /run/nginx.pid; daemon on;
error_log /var/log/nginx/error.log;
events {}
http {
    include mime.types;
    include parts/*.conf;
    client_body_temp_path /var/lib/nginx/body;
    access_log /var/log/nginx/access.log;
    upstream gateway {
        server {{ pods }} max_fails=3;
    }
    server {
        listen {{ listen }};
        location /socket.io/ {
            proxy_pass http://gateway;
        }
    }
}
"""


def scenario(folder: Path, text: str = PLAIN, **tables: Any) -> Scenario:
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    edge = {"nginx_conf": "nginx.conf", **tables.pop("edge", {})}
    return build({"folder": str(folder), "edge": edge, **tables}, source="test")


def host(folder: Path, chosen: Scenario) -> LocalOwnNginx:
    made = LocalOwnNginx(
        port=28_080,
        directory=folder / "run",
        cores=(),
        binary=None,
        file=Path(chosen.folder) / chosen.edge.nginx_conf,
    )
    made.private = folder / "private"
    made.directory.mkdir()
    made.private.mkdir()
    return made


def test_a_file_of_production_is_accepted_with_two_placeholders(tmp_path: Path) -> None:
    check(scenario(tmp_path), None)


def test_the_example_is_accepted() -> None:
    check(load(str(EXAMPLE / "mass-drop.toml")), None)


WRONG: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "no listen": (
        "listen {{ listen }}",
        "listen 127.0.0.1:80",
        {},
        "nginx.conf: no {{ listen }}: expected `listen {{ listen }};` in the server that clients reach",
    ),
    "the listen in a comment": (
        "listen {{ listen }};",
        "listen 127.0.0.1:80; # listen {{ listen }};",
        {},
        "nginx.conf: no {{ listen }}: expected",
    ),
    "no pods": (
        "{{ pods }}",
        "127.0.0.1:3000",
        {},
        "nginx.conf: no {{ pods }}: expected `server {{ pods }};` in the upstream of the pods",
    ),
    "another address": (
        "listen {{ listen }};",
        "listen {{ listen }}; listen 8080;",
        {},
        "nginx.conf:13: listen 8080: expected {{ listen }}, or an address of this machine's loopback",
    ),
    "all addresses of IPv6": (
        "listen {{ listen }};",
        "listen {{ listen }}; listen [::]:8080;",
        {},
        "listen [::]:8080:",
    ),
    "a server without listen": (
        "    server {\n",
        "    server { return 301 https://$host; }\n    server {\n",
        {},
        "nginx.conf:12: server without listen: expected one, on {{ listen }} or this machine's loopback",
    ),
    "a pod elsewhere": (
        "server {{ pods }}",
        "server 192.0.2.1:80; server {{ pods }}",
        {},
        "nginx.conf:10: server 192.0.2.1:80: leads to another host: expected {{ pods }}, or a service on",
    ),
    "another service": (
        "location /socket.io/",
        "location /api { proxy_pass https://api.example.com/; } location /socket.io/",
        {},
        "nginx.conf:14: proxy_pass https://api.example.com/: leads to another host",
    ),
    "an unknown directive": (
        "        location",
        "        locations",
        {},
        'unknown directive "locations"',
    ),
    "a value that nginx rejects": (
        "max_fails=3",
        "max_fails=x",
        {},
        'invalid parameter "max_fails=x"',
    ),
    "a missing file": (
        "include mime.types",
        "include fastcgi.conf",
        {},
        "nginx.conf:5: include fastcgi.conf: no such file",
    ),
    "TLS that the scenario does not have": (
        "listen {{ listen }};",
        "listen {{ listen }} ssl;",
        {},
        "nginx.conf:13: listen 127.0.0.1:",
    ),
    "no TLS": (
        "listen {{ listen }};",
        "listen {{ listen }}; ssl_certificate {{ certificate }}; ssl_certificate_key {{ certificate_key }};",
        {"edge": {"tls": {}}},
        "expected `listen {{ listen }} ssl;` with [edge.tls]",
    ),
    "no certificate": (
        "listen {{ listen }};",
        "listen {{ listen }} ssl;",
        {"edge": {"tls": {}}},
        "nginx.conf: no {{ certificate }}: expected `ssl_certificate {{ certificate }};` with [edge.tls]",
    ),
    "no PROXY protocol": (
        "",
        "",
        {"fleet": {"source": "proxy-protocol"}},
        'expected proxy_protocol with fleet.source = "proxy-protocol"',
    ),
    "no pod header": (
        "",
        "",
        {"gateway": {"command": "node server.js"}},
        "nginx.conf: no header X-Storm-Pod: expected `add_header X-Storm-Pod $upstream_addr always;`",
    ),
    "no log in the format": (
        "",
        "",
        {"edge": {"nginx_log_format": "main"}},
        "edge.nginx_log_format: ",
    ),
    "the format that needs no name": (
        "",
        "",
        {"edge": {"nginx_log_format": "combined"}},
        "edge.nginx_log_format: log_format combined: expected $msec, and $limit_req_status or",
    ),
    "no log at all": (
        "access_log /var/log/nginx/access.log",
        "access_log off",
        {"edge": {"nginx_log_format": "combined"}},
        "has no access_log with a log_format combined",
    ),
    "a format that does not tell": (
        "access_log /var/log/nginx/access.log",
        "log_format main '$msec $status'; access_log /var/log/nginx/access.log main",
        {"edge": {"nginx_log_format": "main"}},
        "edge.nginx_log_format: log_format main: expected $msec, and $limit_req_status or $limit_conn_status",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_a_run_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    old, new, tables, said = WRONG[name]
    chosen = scenario(tmp_path, PLAIN.replace(old, new), **tables)
    with pytest.raises(MachineError) as refused:
        check(chosen, None)
    assert said in str(refused.value)


def test_nginx_names_the_line_of_the_users_file_also_in_an_included_one(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "limits.conf").write_text("\nlimit_req_zones x;\n", encoding="utf-8")
    with pytest.raises(MachineError) as refused:
        check(scenario(tmp_path), None)
    assert str(refused.value) == (
        f"edge.nginx_conf: nginx rejects {tmp_path}/nginx.conf:"
        f' unknown directive "limit_req_zones" in {tmp_path}/parts/limits.conf:2'
    )


def test_placeholders_and_relative_paths_of_included_files_work(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "users").write_text("a:b", encoding="utf-8")
    server = PLAIN[PLAIN.index("    server {\n") : PLAIN.rindex("}")]
    server = server.replace(
        "location", "auth_basic a; auth_basic_user_file users; include parts/more; location"
    )
    (tmp_path / "parts" / "server.conf").write_text(server, encoding="utf-8")
    (tmp_path / "parts" / "more").write_text("server_tokens off;", encoding="utf-8")
    check(
        scenario(tmp_path, PLAIN.replace(PLAIN[PLAIN.index("    server {\n") : PLAIN.rindex("}")], "")), None
    )


def test_a_run_writes_into_its_own_folders_alone_and_keeps_no_configuration(tmp_path: Path) -> None:
    text = PLAIN.replace("events {}", "events {} # token secret")
    chosen = scenario(tmp_path, text)
    made = host(tmp_path, chosen)
    files = files_of(chosen, own_configuration(chosen), made, ["127.0.0.1:9"])
    made.put(files)
    rendered = files["nginx.conf"]
    for path in ("/var", "/run/nginx", "www-data", "daemon"):
        assert path not in rendered
    assert rendered.count("\n") == text.count("\n")
    kept = "".join(path.read_text() for path in made.directory.rglob("*") if path.is_file())
    assert "secret" not in kept
    about = json.loads((made.directory / ABOUT).read_text(encoding="utf-8"))
    assert (about["file"], len(about["sha256"]), about["log_format"]) == ("nginx.conf", 64, None)


STORM = "log_format storm '$msec\\t$status\\t$limit_req_status'; access_log /var/log/nginx/access.log storm"
LOGS = {"the project's own": ("storm", ""), "one that is named": ("main", "main")}


@pytest.mark.parametrize("name", LOGS)
def test_refusals_are_read_by_the_format_of_the_file(tmp_path: Path, name: str) -> None:
    written, named = LOGS[name]
    text = PLAIN.replace("access_log /var/log/nginx/access.log", STORM.replace("storm", written))
    chosen = scenario(tmp_path, text, edge={"nginx_log_format": named})
    made = host(tmp_path, chosen)
    made.put(files_of(chosen, own_configuration(chosen), made, ["127.0.0.1:9"]))
    log = made.directory / "access.log"
    log.write_text("1.5\t429\tREJECTED\n2.5\t101\tPASSED\n3.5\t4", encoding="utf-8")
    assert tells_refusals(log)
    assert [(line.ended_wall_s, line.limit_status) for line in read_own_log(log)] == [
        (1.5, "REJECTED"),
        (2.5, "PASSED"),
    ]


def test_refusals_are_unknown_without_a_log_that_tells(tmp_path: Path) -> None:
    chosen = scenario(tmp_path)
    made = host(tmp_path, chosen)
    made.put(files_of(chosen, own_configuration(chosen), made, ["127.0.0.1:9"]))
    log = made.directory / "access.log"
    assert not tells_refusals(log)
    assert read_own_log(log) == []


def test_with_tls_the_certificate_of_the_run_is_in_its_place(tmp_path: Path) -> None:
    chosen = load(str(EXAMPLE / "mass-drop.toml"))
    made = host(tmp_path, chosen)
    assert made.private is not None
    certificate = Authority(made.private, key="ecdsa-p256", host="127.0.0.1").issue()
    files = files_of(chosen, own_configuration(chosen), made, ["127.0.0.1:9"])
    made.put(files)
    assert f"ssl_certificate_key {certificate};" in files["nginx.conf"]
