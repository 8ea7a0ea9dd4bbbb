"""A scenario made small enough for a bench."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.scenario.loader import load
from scenarios.scenario.model import Scenario
from scenarios.scenario.stability import TICK_CPU_S, stability
from scenarios.tuning.scaling import scaled, scaled_limit


def production(*sets: str) -> Scenario:
    return load("production", ["matrix={}", *sets])


@given(
    st.integers(2_000, 1_000_000),
    st.integers(5, 200),
    st.integers(1, 40),
    st.integers(100, 500),
    st.sampled_from(["naive", "incident", "spread"]),
)
def test_what_decides_about_a_storm_stays_the_same(
    clients: int, pods: int, handshake_ms: int, most: int, policy: str
) -> None:
    sets = [f"fleet.clients={clients}", f"gateway.pods={pods}", f"gateway.handshake_cpu_ms={handshake_ms}"]
    whole = production(*sets, "gateway.tick_cpu_us=100", f"fleet.policy={policy}")
    small = scaled(whole, most).scenario
    assert small.fleet.clients <= most
    before, after = stability(whole), stability(small)
    if small.gateway.tick_cpu_us and before.utilisation < 0.9:
        assert after.utilisation == pytest.approx(before.utilisation, rel=0.01)
        assert after.s1 == pytest.approx(before.s1, rel=0.02)
        assert after.s2 == pytest.approx(before.s2, rel=0.02)


def test_what_fits_stays_as_it_is() -> None:
    small = load("mass-drop", ["matrix={}"])
    assert scaled(small, 300).scenario == small
    assert scaled(small, 300).sentences == ()


def test_it_says_what_was_done_and_what_could_not_be_kept() -> None:
    found = scaled(production(), 300)
    assert found.sentences[0].startswith("10,000 clients became 300, and 10 pods 4; a handshake costs 267 ms")
    assert "instead of 1,000 clients behind one IP" in found.sentences[1]
    parts = found.scenario.fleet.clients_per_ip
    assert isinstance(parts, tuple)
    assert [part.clients_per_ip for part in parts] == [1, 20, 15]


def test_an_even_number_of_clients_per_ip_is_cut_to_what_there_is() -> None:
    found = scaled(production("fleet.clients_per_ip=1000"), 300)
    assert found.scenario.fleet.clients_per_ip == 300
    assert len(found.sentences) == 2
    assert scaled(production("fleet.clients_per_ip=10"), 300).scenario.fleet.clients_per_ip == 10


def test_one_pod_stays_one() -> None:
    assert scaled(production("gateway.pods=1"), 300).scenario.gateway.pods == 1


def test_a_tick_never_costs_less_than_nothing() -> None:
    assert scaled(production(), 300, tick_cpu_s=1.0).scenario.gateway.tick_cpu_us == 0
    assert TICK_CPU_S < 1


@pytest.mark.parametrize(
    ("limit", "smaller"),
    [
        ("global", "global"),
        ({"name": "per-ip", "rate_per_s": 9}, {"name": "per-ip", "rate_per_s": 9}),
        ({"name": "global", "burst": 50}, {"name": "global", "burst": 50}),
        ({"name": "global", "rate_per_s": 500}, {"name": "global", "rate_per_s": 50}),
        (
            {"name": "global", "rate_per_s": 500, "burst": 4},
            {"name": "global", "rate_per_s": 50, "burst": 1},
        ),
    ],
)
def test_a_limit_for_all_together_shrinks_with_the_clients(limit: object, smaller: object) -> None:
    assert scaled_limit(limit, 10) == smaller  # type: ignore[arg-type]
