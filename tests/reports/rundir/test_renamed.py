"""Former names of a scenario's keys and values."""

from typing import Any

import pytest

from reports.rundir.renamed import present_scenario

OLD: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "a key": (
        {"edge": {"front": "envoy", "limit": "none"}},
        {"edge": {"proxy": "envoy", "limit": "none"}},
        ["edge.front is now edge.proxy"],
    ),
    "a value": (
        {"gateway": {"cpu": "reserve", "pods": 2}},
        {"gateway": {"cpu": "occupy", "pods": 2}},
        ['gateway.cpu = "reserve" is now "occupy"'],
    ),
    "a matrix": (
        {"matrix": {"edge.front": ["nginx", "envoy"], "gateway.cpu": ["burn", "reserve"]}},
        {"matrix": {"edge.proxy": ["nginx", "envoy"], "gateway.cpu": ["burn", "occupy"]}},
        ["edge.front is now edge.proxy", 'gateway.cpu = "reserve" is now "occupy"'],
    ),
    "several arms": (
        {"arms": {"a": {"edge.front": "envoy"}, "b": {"edge": {"front": "haproxy"}}}},
        {"arms": {"a": {"edge.proxy": "envoy"}, "b": {"edge": {"proxy": "haproxy"}}}},
        ["edge.front is now edge.proxy"],
    ),
    "both names": (
        {"edge": {"front": "envoy", "proxy": "nginx"}},
        {"edge": {"front": "envoy", "proxy": "nginx"}},
        ["edge.front is now edge.proxy"],
    ),
}


@pytest.mark.parametrize(("table", "present", "notes"), OLD.values(), ids=OLD)
def test_former_names_become_present_ones(
    table: dict[str, Any], present: dict[str, Any], notes: list[str]
) -> None:
    found: list[str] = []
    assert present_scenario(table, found) == present
    assert found == notes


@pytest.mark.parametrize(
    "table",
    [
        {"name": "x", "fleet": {"policy": {"name": "spread"}}, "event": [{"do": "drop_all", "at_s": 3}]},
        {"edge": "front", "matrix": 3, "arms": {"a": 3}},
    ],
)
def test_everything_else_stays(table: dict[str, Any]) -> None:
    found: list[str] = []
    assert present_scenario(table, found) == table
    assert not found
