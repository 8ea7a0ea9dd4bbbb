"""Settings of the proxy are checked when a scenario is loaded."""

from typing import Any

import pytest

from scenarios.scenario.edge.nginx import NginxSettings
from scenarios.scenario.edge.settings import changed
from scenarios.scenario.validate import ScenarioError, build

POLLING = {"transport": "polling-upgrade"}


def built(nginx: dict[str, Any], **tables: Any) -> NginxSettings:
    edge = {"nginx": nginx, **tables.pop("edge", {})}
    return build({"edge": edge, **tables}, source="f.toml").edge.nginx


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "at another proxy": (
        {"workers": 4},
        {"edge": {"proxy": "envoy"}},
        "edge.nginx.workers: invalid value 4: expected edge.proxy = 'nginx' for it, got 'envoy'",
    ),
    "the key that is set is named": (
        {"workers": 1, "max_fails": 1},
        {"edge": {"proxy": "haproxy"}},
        "edge.nginx.max_fails: invalid value 1: expected edge.proxy = 'nginx' for it, got 'haproxy'",
    ),
    "at somebody's own proxy": (
        {"reuseport": True},
        {"target": {"url": "http://127.0.0.1:9"}},
        "edge.nginx.reuseport: invalid value True: expected no such key with target.url",
    ),
    "room for fewer than all": (
        {"workers": 4, "worker_connections": 151},
        {},
        "edge.nginx.worker_connections: invalid value 151: expected at least 152 with edge.nginx.workers = 4,"
        " for 2 of each of 300 clients",
    ),
    "no worker": ({"workers": 0}, {}, "edge.nginx.workers: invalid value 0: expected an integer >= 1"),
    "a part of a second": (
        {"fail_timeout_s": 0.5},
        {},
        "edge.nginx.fail_timeout_s: invalid value 0.5: expected an integer",
    ),
    "another condition": (
        {"proxy_next_upstream": ["off"]},
        {},
        "edge.nginx.proxy_next_upstream[0]: invalid value 'off': expected 'error', 'timeout'",
    ),
    "another name": ({"worker": 4}, {}, "edge.nginx.worker: unknown key: did you mean edge.nginx.workers?"),
    "a hash that Envoy does not have": (
        {},
        {"edge": {"proxy": "envoy"}, "gateway": {"balance": "ip_hash"}},
        "gateway.balance: invalid value 'ip_hash': expected 'hash' with edge.proxy = 'envoy'",
    ),
    "settings of HAProxy at another proxy": (
        {},
        {"edge": {"haproxy": {"timeout_tunnel_s": 60}}},
        "edge.haproxy.timeout_tunnel_s: invalid value 60.0: expected edge.proxy = 'haproxy' for it",
    ),
    "settings of Envoy at another proxy": (
        {},
        {"edge": {"proxy": "haproxy", "envoy": {"concurrency": 2}}},
        "edge.envoy.concurrency: invalid value 2: expected edge.proxy = 'envoy' for it, got 'haproxy'",
    ),
    "room for fewer than all at HAProxy": (
        {},
        {"edge": {"proxy": "haproxy", "haproxy": {"maxconn": 299}}},
        "edge.haproxy.maxconn: invalid value 299: expected at least 300, for a WebSocket of each of 300",
    ),
    "room for fewer than all at Envoy": (
        {},
        {"edge": {"proxy": "envoy", "envoy": {"max_requests": 299}}},
        "edge.envoy.max_requests: invalid value 299: expected at least 300",
    ),
    "a rate that two threads count": (
        {},
        {"edge": {"proxy": "haproxy", "limit": "per-ip", "haproxy": {"nbthread": 2}}},
        "edge.haproxy.nbthread: invalid value 2: expected 1 with a limit of a rate",
    ),
    "polling clients that any pod may get": (
        {},
        {"fleet": POLLING, "gateway": {"balance": "round_robin"}},
        "gateway.balance: invalid value 'round_robin': expected 'cookie', 'ip_hash' or 'hash' with polling",
    ),
}


@pytest.mark.parametrize(("nginx", "tables", "complaint"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_with_its_key(
    nginx: dict[str, Any], tables: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        built(nginx, **tables)
    assert str(caught.value).startswith(f"f.toml: {complaint}")


def test_room_for_all_clients_is_enough() -> None:
    assert built({"workers": 4, "worker_connections": 152}).worker_connections == 152


def test_clients_that_never_join_need_no_room() -> None:
    groups = [{"name": "old", "share": 0.5, "protocol": 3}, {"name": "new"}]
    assert built({"worker_connections": 302}, fleet={"group": groups}).worker_connections == 302


def test_a_default_that_is_written_down_is_no_setting() -> None:
    written = {"workers": 1, "proxy_read_timeout_s": 3600, "proxy_next_upstream": []}
    assert changed(built(written, edge={"proxy": "envoy"})) == {}


@pytest.mark.parametrize("balance", ["cookie", "ip_hash", "hash"])
def test_polling_clients_may_have_every_sticky_balance(balance: str) -> None:
    assert build({"fleet": POLLING, "gateway": {"balance": balance}}, source="f").gateway.balance == balance


@pytest.mark.parametrize(("timeout_s", "limits"), [(0, False), (60, True)])
@pytest.mark.parametrize(
    ("proxy", "key"), [("nginx", "worker_shutdown_timeout_s"), ("haproxy", "hard_stop_after_s")]
)
def test_a_limit_is_in_force_from_the_start_where_a_reload_cuts(
    proxy: str, key: str, timeout_s: float, limits: bool
) -> None:
    edge = build({"edge": {"proxy": proxy, proxy: {key: timeout_s}}}, source="f").edge
    assert edge.limits_the_ramp is limits
    assert edge.cuts_after_reload_s == timeout_s


STOCK = {"defaults": "stock"}


def test_a_proxys_own_defaults_hold_where_the_scenario_says_nothing() -> None:
    small = {"fleet": {"clients": 100}}
    settings = build({"edge": {**STOCK, "nginx": {"max_fails": 3}}, **small}, source="t").edge.nginx_in_force
    assert (settings.max_fails, settings.fail_timeout_s, settings.worker_connections) == (3, 10, 512)
    assert (settings.proxy_read_timeout_s, settings.proxy_next_upstream) == (60, ("error", "timeout"))
    assert build(small, source="t").edge.nginx_in_force == NginxSettings()


def test_a_bound_of_envoy_that_is_raised_leaves_room_for_more_clients() -> None:
    bounds = {"max_connections": 2_000, "max_requests": 2_000}
    edge = {**STOCK, "proxy": "envoy", "envoy": bounds}
    settings = build({"edge": edge, "fleet": {"clients": 1_200}}, source="t").edge.envoy_in_force
    assert (settings.max_requests, settings.max_pending_requests) == (2_000, 1_024)
    assert settings.stream_idle_timeout_s == 300


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (
            {"edge": STOCK},
            "edge.nginx.worker_connections: invalid value 512: expected at least 602",
        ),
        (
            {"edge": {**STOCK, "proxy": "envoy"}, "fleet": {"clients": 1_200}},
            "fleet.clients: invalid value 1200: expected at most 1024 with edge.defaults = 'stock'",
        ),
        (
            {"edge": {**STOCK, "proxy": "envoy"}, "target": {"url": "http://127.0.0.1:9"}},
            "edge.defaults: invalid value 'stock': expected 'bench' with target.url",
        ),
        ({"edge": {"defaults": "own"}}, "edge.defaults: invalid value 'own': expected 'bench' or 'stock'"),
    ],
)
def test_defaults_that_leave_no_room_for_the_clients_are_refused(
    table: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ScenarioError) as error:
        build(table, source="t")
    assert str(error.value).startswith(f"t: {complaint}")
