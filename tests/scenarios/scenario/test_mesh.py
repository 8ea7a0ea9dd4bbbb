"""What can be asked of sidecars, and what is refused before anything is started."""

from typing import Any

import pytest

from scenarios.scenario.mesh import Mesh, sidecar_rule
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import ScenarioError, build

ENVOY = {"sidecar": "envoy"}


def built(mesh: dict[str, Any], **rest: Any) -> Scenario:
    return build({"mesh": mesh, **rest}, source="storm.toml")


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "retries of nobody": ({"retries": 3}, "mesh.retries: invalid value 3", "0 if mesh.sidecar is 'none'"),
    "a limit at nobody": (
        {"limit": "per-ip"},
        "mesh.limit: invalid value 'per-ip'",
        "'none' if mesh.sidecar",
    ),
    "another sidecar": ({"sidecar": "linkerd"}, "mesh.sidecar: invalid value 'linkerd'", "'none' or 'envoy'"),
    "retries on nothing": (
        {**ENVOY, "retries": 1, "retry_on": []},
        "mesh.retry_on: invalid value []",
        "at least one",
    ),
    "an unknown condition": (
        {**ENVOY, "retry_on": ["cancelled"]},
        "mesh.retry_on[0]: invalid value 'cancelled'",
        "'connect-failure', 'reset', 'gateway-error', '5xx' or '503'",
    ),
    "a budget without retries": (
        {**ENVOY, "retry_budget_percent": 20},
        "mesh.retry_budget_percent: invalid value 20.0",
        "0 without mesh.retries",
    ),
    "an unknown limit": (
        {**ENVOY, "limit": "per-user"},
        "mesh.limit: invalid value 'per-user'",
        "none, per-ip",
    ),
    "a limit of pods": (
        {**ENVOY, "limit": "lag-shed"},
        "mesh.limit",
        "load shedding of the pods belongs in edge.limit",
    ),
    "a limit of connections": (
        {**ENVOY, "limit": "concurrent-per-ip"},
        "mesh.limit",
        "expected a limit on the rate of new connections",
    ),
    "a limit by token": (
        {**ENVOY, "limit": "per-token"},
        "mesh.limit",
        "expected a limit on the rate of new connections",
    ),
    "another refusal": (
        {**ENVOY, "limit": {"name": "per-ip", "status": 503}},
        "mesh.limit",
        "expected no status, retry_after_s or drop at a sidecar",
    ),
    "two limits": ({**ENVOY, "limit": "per-ip+per-ip-strict"}, "mesh.limit", "expected one limit"),
    "a limit that lets wait": (
        {**ENVOY, "limit": "per-ip-delay"},
        "mesh.limit",
        "Envoy cannot delay requests",
    ),
    "exempt ranges": (
        {**ENVOY, "limit": {"name": "per-ip", "exempt": ["10.0.0.0/8"]}},
        "mesh.limit",
        "no exempt ranges at a sidecar",
    ),
    "a rate that follows from the gateway's": (
        {**ENVOY, "limit": "global"},
        "mesh.limit",
        "{name = 'global', rate_per_s = …}, the rate of each sidecar",
    ),
}


@pytest.mark.parametrize(("mesh", "invalid", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_no_sidecar_can_do_is_refused_when_it_is_read(
    mesh: dict[str, Any], invalid: str, expected: str
) -> None:
    with pytest.raises(ScenarioError) as error:
        built(mesh)
    message = str(error.value)
    assert message.startswith("storm.toml: mesh.")
    assert invalid in message
    assert expected in message


def test_pods_of_somebody_else_get_no_sidecars() -> None:
    with pytest.raises(
        ScenarioError, match=r"mesh\.sidecar: invalid value 'envoy': expected 'none' with target\.url"
    ):
        built(ENVOY, target={"url": "http://127.0.0.1:3000"})


ACCEPTED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a sidecar that only passes on": ENVOY,
    "a time-out without retries": {**ENVOY, "per_try_timeout_s": 0.5},
    "retries within a budget": {
        **ENVOY,
        "retries": 3,
        "retry_budget_percent": 20,
        "retry_on": ["503", "5xx"],
    },
    "a circuit breaker": {**ENVOY, "max_connections": 200, "max_pending": 1},
    "outlier detection": {**ENVOY, "outlier_failures": 5, "outlier_on": "gateway-failure"},
    "a limit by a lost source": {**ENVOY, "limit": "per-ip-strict", "source": "peer"},
    "a limit for all at a rate": {**ENVOY, "limit": {"name": "global", "rate_per_s": 10}},
}


@pytest.mark.parametrize("mesh", ACCEPTED.values(), ids=ACCEPTED)
def test_what_a_sidecar_can_do_is_accepted(mesh: dict[str, Any]) -> None:
    assert built(mesh).mesh.sidecar == mesh.get("sidecar", "none")


def test_a_sidecar_has_one_rule_or_none() -> None:
    assert sidecar_rule(Mesh()) is None
    rule = sidecar_rule(Mesh(sidecar="envoy", limit={"name": "per-ip", "burst": 5}))
    assert rule is not None
    assert (rule.name, rule.burst) == ("per-ip", 5)
