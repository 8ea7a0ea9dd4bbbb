"""TLS at the proxy: what each is told; nginx and Envoy accept it."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from scenarios.proxies import envoy, haproxy
from scenarios.proxies.certificates import Authority
from scenarios.proxies.nginx import check_syntax, render
from scenarios.scenario.validate import build

SETTINGS: list[dict[str, Any]] = [
    {"versions": versions, "session_cache": cache, "session_tickets": tickets}
    for versions, cache, tickets in itertools.product(
        (["1.2"], ["1.3"], ["1.2", "1.3"]), (True, False), (True, False)
    )
]


@pytest.mark.parametrize("tls", SETTINGS, ids=str)
def test_nginx_accepts_tls(tmp_path: Path, tls: dict[str, Any]) -> None:
    scenario = build({"edge": {"tls": tls}}, source="test")
    certificate = Authority(tmp_path, key="ecdsa-p256", host="127.0.0.1").issue()
    text = render(
        scenario,
        listen="127.0.0.1:18999",
        pods=["127.0.0.1:9001"],
        directory=tmp_path,
        certificate=certificate,
    )
    assert f"ssl_protocols {' '.join(f'TLSv{version}' for version in tls['versions'])};" in text
    assert ("ssl_session_cache shared:tls:1m;" in text) == tls["session_cache"]
    assert f"ssl_session_tickets {'on' if tls['session_tickets'] else 'off'};" in text
    path = tmp_path / "gateway.conf"
    path.write_text(text, encoding="utf-8")
    assert check_syntax(path) == ""


@pytest.mark.parametrize("tls", SETTINGS, ids=str)
def test_envoy_accepts_tls(tmp_path: Path, tls: dict[str, Any]) -> None:
    scenario = build({"edge": {"proxy": "envoy", "tls": tls}}, source="test")
    certificate = Authority(tmp_path, key="rsa-2048", host="127.0.0.1").issue()
    files = envoy.render(
        scenario,
        listen="127.0.0.1:18999",
        pods=["127.0.0.1:9001"],
        directory=tmp_path,
        certificate=certificate,
    )
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name in (envoy.WHOLE, envoy.BOOTSTRAP):
        assert envoy.check_syntax(tmp_path / name) == ""
        said = files[name]
        assert f"disable_stateful_session_resumption: {str(not tls['session_cache']).lower()}" in said
        assert f"disable_stateless_session_resumption: {str(not tls['session_tickets']).lower()}" in said
        assert f"minimum_protocol_version: TLSv{min(tls['versions']).replace('.', '_')}" in said
        assert f"maximum_protocol_version: TLSv{max(tls['versions']).replace('.', '_')}" in said


def test_a_scenario_without_tls_says_nothing_of_it(tmp_path: Path) -> None:
    scenario = build({}, source="test")
    text = render(scenario, listen="127.0.0.1:1", pods=["127.0.0.1:2"], directory=tmp_path)
    assert "ssl" not in text
    assert "ssl" not in haproxy.render(scenario, listen="127.0.0.1:1", pods=["127.0.0.1:2"])
    files = envoy.render(scenario, listen="127.0.0.1:1", pods=["127.0.0.1:2"], directory=tmp_path)
    assert not any("transport_socket" in text for text in files.values())
    assert envoy.PAIR not in files


BINDS = {
    "everything": ({}, "ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.3", False),
    "one version": ({"versions": ["1.3"]}, "ssl-min-ver TLSv1.3 ssl-max-ver TLSv1.3", False),
    "no tickets": ({"session_tickets": False}, "ssl-max-ver TLSv1.3 no-tls-tickets", False),
    "no cache": ({"session_cache": False}, "ssl-max-ver TLSv1.3", True),
}


@pytest.mark.parametrize("name", BINDS)
def test_haproxy_is_told_the_same(tmp_path: Path, name: str) -> None:
    tls, said, without_cache = BINDS[name]
    scenario = build({"edge": {"proxy": "haproxy", "tls": tls}}, source="test")
    text = haproxy.render(
        scenario, listen="127.0.0.1:1", pods=["127.0.0.1:2"], certificate=tmp_path / "c.pem"
    )
    (bind,) = (line for line in text.splitlines() if line.startswith("    bind"))
    assert bind.startswith(
        f"    bind 127.0.0.1:1 backlog 4096 ssl crt {tmp_path}/c.pem alpn http/1.1 ssl-min"
    )
    assert bind.endswith(said)
    assert ("    tune.ssl.cachesize 0" in text.splitlines()) == without_cache
