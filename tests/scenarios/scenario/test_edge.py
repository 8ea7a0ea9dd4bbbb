"""Settings of the proxy are checked when a scenario is loaded."""

from typing import Any

import pytest

from scenarios.scenario.edge.nginx import NginxSettings, changed
from scenarios.scenario.validate import ScenarioError, build

POLLING = {"transport": "polling-upgrade"}


def built(nginx: dict[str, Any], **tables: Any) -> NginxSettings:
    edge = {"nginx": nginx, **tables.pop("edge", {})}
    return build({"edge": edge, **tables}, source="f.toml").edge.nginx


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "at another proxy": (
        {"workers": 4},
        {"edge": {"proxy": "envoy"}},
        "edge.nginx.workers: invalid value 4: expected 1 with edge.proxy = 'envoy'",
    ),
    "the key that is set is named": (
        {"workers": 1, "max_fails": 1},
        {"edge": {"proxy": "haproxy"}},
        "edge.nginx.max_fails: invalid value 1: expected 0 with edge.proxy = 'haproxy'",
    ),
    "at somebody's own proxy": (
        {"reuseport": True},
        {"target": {"url": "http://127.0.0.1:9"}},
        "edge.nginx.reuseport: invalid value True: expected False with target.url",
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
def test_a_limit_is_in_force_from_the_start_where_a_reload_cuts(timeout_s: float, limits: bool) -> None:
    edge = build({"edge": {"nginx": {"worker_shutdown_timeout_s": timeout_s}}}, source="f").edge
    assert edge.limits_the_ramp is limits


STOCK = {"defaults": "stock"}


def test_a_proxys_own_defaults_hold_where_the_scenario_says_nothing() -> None:
    small = {"fleet": {"clients": 100}}
    settings = build({"edge": {**STOCK, "nginx": {"max_fails": 3}}, **small}, source="t").edge.nginx_in_force
    assert (settings.max_fails, settings.fail_timeout_s, settings.worker_connections) == (3, 10, 512)
    assert (settings.proxy_read_timeout_s, settings.proxy_next_upstream) == (60, ("error", "timeout"))
    assert build(small, source="t").edge.nginx_in_force == NginxSettings()


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
        ({"edge": {"defaults": "own"}}, "edge.defaults: invalid value 'own': expected 'bench', 'stock'"),
    ],
)
def test_defaults_that_leave_no_room_for_the_clients_are_refused(
    table: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ScenarioError) as error:
        build(table, source="t")
    assert str(error.value).startswith(f"t: {complaint}")
