"""The scenario as the report lists it, and what it does not claim to know."""

from typing import Any

from reports.page.listing import scenario_listing
from reports.page.stability import stability_rows
from tests.support.histories import history

SCENARIO: dict[str, dict[str, Any]] = {
    "edge": {"proxy": "nginx", "limit": "none", "nginx": {"workers": 1}, "nginx_conf": ""},
    "gateway": {"pods": 3, "balance": "least_conn"},
}


def test_settings_that_a_configuration_of_ones_own_replaces_are_not_listed() -> None:
    own = {**SCENARIO, "edge": {**SCENARIO["edge"], "nginx_conf": "nginx.conf"}}
    lines = scenario_listing(own).splitlines()
    assert lines[-1] == (
        "# edge.limit, edge.nginx, gateway.balance: unknown, what edge.nginx_conf says applied"
    )
    assert [line for line in lines[:-1] if line.startswith(("limit", "balance", "nginx ="))] == []
    assert "pods = 3" in lines


def test_without_one_they_are() -> None:
    lines = scenario_listing(SCENARIO).splitlines()
    assert {'balance = "least_conn"', 'limit = "none"'} <= {*lines}
    assert "unknown" not in "".join(lines)


def test_a_limit_in_a_configuration_of_ones_own_is_unknown() -> None:
    stability = history([]).info.stability
    texts = {
        number.symbol: cells
        for number, cells in stability_rows({"ours": stability, "own": stability | {"limits_known": False}})
    }
    assert texts["per-IP limit"] == ["none", "unknown"]
