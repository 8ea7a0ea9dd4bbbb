"""What an estimate does not cover is named; what it was not checked for is said."""

import pytest

from scenarios.estimate.estimate import estimate
from scenarios.estimate.pod import pod_of
from scenarios.estimate.region import CHECKED
from scenarios.scenario.arms import arms
from scenarios.scenario.loader import catalog, load
from scenarios.scenario.stability import stability
from scenarios.simulator.costs import Costs
from tests.support.estimate_cells import cells

PLAIN = ("matrix={}", "fleet.clients_per_ip=1")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (['target.url="http://127.0.0.1:3000"'], "target.url"),
        (['gateway.command="node server.js"'], "gateway.command"),
        (["event.0.enabled=false"], "event: 0 drops of clients"),
        (['event=[{at_s=6, do="drop_all"}, {at_s=10, do="set_limit", limit="none"}]'], "event.1: set_limit"),
        (['event.0={at_s=6, do="drain", window_s=5}'], "event.0: drain"),
        (['fleet.group=[{name="a", share=0.5}, {name="b"}]'], "fleet.group"),
        (['fleet.policy="circuit-breaker"'], "circuit-breaker acts on outcomes"),
        (['fleet.policy="mqtt-js"'], "mqtt-js acts on outcomes"),
        (
            ['fleet.transport="polling-upgrade"', 'gateway.balance="cookie"'],
            "fleet.transport: polling-upgrade",
        ),
        (['fleet.stale_by="age"'], "fleet.stale_by: age"),
        (["fleet.max_attempts_per_s=100"], "fleet.max_attempts_per_s"),
        (["gateway.cancel_gone=true"], "gateway.cancel_gone"),
        (['gateway.balance="ip_hash"'], "gateway.balance: ip_hash"),
        (['edge.limit="lag-shed"'], "edge.limit: pods that turn clients away"),
        (['edge.limit="per-ip-delay"'], "edge.limit: requests that the proxy holds back"),
        (["edge.tls={}"], "edge.tls"),
        (["edge.nginx.worker_connections=1000"], "edge.nginx"),
        (['mesh.sidecar="envoy"'], "mesh.sidecar"),
        (["gateway.tick_cpu_us=600"], "\u03c1 = 0.9"),
        (["gateway.handshake_cpu_ms=120"], "fleet.stale_after_s: a busy pod is silent"),
    ],
)
def test_what_the_chain_does_not_have_is_unknown_by_name(settings: list[str], named: str) -> None:
    found = estimate(load("mass-drop", [*PLAIN, *settings]))
    assert found.forecast is None
    assert any(named in reason for reason in found.not_covered), found.not_covered
    assert (found.stability is None) == any("target.url" in reason for reason in found.not_covered)


def test_what_was_not_checked_has_a_number_and_says_so() -> None:
    found = estimate(load("mass-drop", [*PLAIN, "gateway.backlog=4096", "fleet.connect_timeout_s=9"]))
    assert found.forecast is not None
    assert [text.split(" = ")[0] for text in found.outside] == [
        "gateway.backlog",
        "fleet.connect_timeout_s",
    ]


def test_the_default_scenario_is_covered_and_checked() -> None:
    for arm in arms(load("mass-drop")).values():
        found = estimate(arm)
        assert found.forecast is not None, found.not_covered
        assert found.outside == ()


@pytest.mark.parametrize("name", catalog())
def test_every_arm_of_the_catalogue_has_a_forecast_or_a_reason(name: str) -> None:
    for arm in arms(load(name)).values():
        found = estimate(arm)
        assert (found.forecast is None) == bool(found.not_covered)


def test_the_ranges_are_those_of_the_storms_that_were_compared() -> None:
    """Nine tenths of each range, on a scale of factors, has storms in it."""
    drawn = [(pod_of(one, Costs()), stability(one, Costs().tick_cpu_s)) for one in cells(150)]
    for checked in CHECKED:
        values = sorted(checked.value(*one) for one in drawn)
        assert values[0] <= checked.low * 1.5, checked.name
        assert values[-1] >= checked.high / 1.5, checked.name
