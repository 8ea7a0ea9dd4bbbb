"""The stability model against its formulas, worked out by hand on small cases."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.model import Edge, Feed, Fleet, Gateway, Scenario
from scenarios.scenario_file import arms, load
from scenarios.stability import stability


def scenario(
    policy: str | dict[str, Any] = "naive", limit: str | dict[str, Any] = "none", **changes: Any
) -> Scenario:
    """100 clients on 2 cores: N·c/P is 5 s, and with 1 ms a tick a quarter of the capacity is the feed's."""
    fleet = {"clients": 100, "connect_timeout_s": 1.0, "stale_after_s": 2.0}
    gateway = {"pods": 2, "cores": 2, "handshake_cpu_ms": 100.0}
    for values in (fleet, gateway):
        values.update({key: value for key, value in changes.items() if key in values or key == "cpu"})
    fleet.pop("cpu", None)
    return Scenario(
        fleet=Fleet(policy=policy, **fleet),  # type: ignore[arg-type]
        gateway=Gateway(**gateway),  # type: ignore[arg-type]
        feed=Feed(rate_hz=5.0),
        edge=Edge(limit=limit),
    )


def test_the_numbers_of_a_small_case_worked_out_by_hand() -> None:
    numbers = stability(scenario(), tick_cpu_s=0.001)
    assert numbers.capacity_cores == 2
    assert numbers.handshake_cpu_s == 0.1
    assert numbers.utilisation == pytest.approx(100 * 0.001 * 5 / 2)
    assert numbers.readmission_s == pytest.approx(0.1 / (0.001 * 5) * math.log(1 / 0.75))
    assert numbers.s1[0] == pytest.approx(100 * 0.1 / (1 * 2 * 0.75))
    assert numbers.s2 == pytest.approx(5 / 2)
    assert numbers.calm_from_try is None
    assert numbers.limit_bites_from_clients_per_address is None


def test_naive_clients_are_as_bad_at_every_try() -> None:
    assert len(set(stability(scenario()).s1)) == 1


def test_backing_off_makes_s1_fall_below_one_at_some_try() -> None:
    numbers = stability(scenario("incident"), tick_cpu_s=0.001)
    assert numbers.s1[0] > 1
    assert list(numbers.s1[:9]) == sorted(numbers.s1[:9], reverse=True)
    # 6.67 / (1 + mean delay): calm once the mean delay, 0.205 · 2ⁿ s, is 5.67 s or more.
    assert numbers.calm_from_try == 5
    assert all(value <= 1 for value in numbers.s1[5:])


def test_a_policy_capped_below_what_is_needed_never_calms() -> None:
    assert stability(scenario({"name": "incident", "max_ms": 3_000}), tick_cpu_s=0.001).calm_from_try is None


def test_s2_counts_the_width_of_the_first_window() -> None:
    numbers = stability(scenario({"name": "spread", "window_s": 8}), tick_cpu_s=0.001)
    assert numbers.s2 == pytest.approx(5 / (2 + 8 * 0.75), rel=0.02)


def test_s2_is_zero_where_no_watchdog_runs() -> None:
    assert stability(scenario(stale_after_s=0)).s2 == 0


@pytest.mark.parametrize(
    ("cpu", "pods", "cores", "capacity"),
    [("burn", 9, 2, 2), ("burn", 2, 9, 2), ("reserve", 9, 2, 9), ("reserve", 1, 2, 1)],
    ids=[
        "nine pods that burn share two cores",
        "two pods cannot burn more than two of nine cores",
        "nine pods that reserve count whole",
        "one pod that reserves is one",
    ],
)
def test_burning_is_capped_by_cores_and_reserving_is_not(
    cpu: str, pods: int, cores: int, capacity: int
) -> None:
    numbers = stability(scenario(cpu=cpu, pods=pods, cores=cores))
    assert (numbers.capacity_cores, numbers.pods) == (capacity, pods)


@pytest.mark.parametrize("tick_cpu_s", [0.0, 1e-18, 1e-9], ids=["free ticks", "hardly any", "next to none"])
def test_without_a_feed_the_readmission_takes_the_bare_work(tick_cpu_s: float) -> None:
    assert stability(scenario(), tick_cpu_s=tick_cpu_s).readmission_s == pytest.approx(5.0, rel=1e-6)


@pytest.mark.parametrize("tick_cpu_s", [0.004, 0.01], ids=["a full gateway", "an overloaded gateway"])
def test_a_gateway_filled_by_its_feed_never_lets_anybody_back_in(tick_cpu_s: float) -> None:
    numbers = stability(scenario("incident"), tick_cpu_s=tick_cpu_s)
    assert numbers.utilisation >= 1
    assert numbers.readmission_s == math.inf
    assert set(numbers.s1) == {math.inf}
    assert numbers.calm_from_try is None


def test_free_handshakes_never_storm_even_on_a_full_gateway() -> None:
    numbers = stability(scenario(handshake_cpu_ms=0.0), tick_cpu_s=0.004)
    assert set(numbers.s1) == {0.0}
    assert numbers.s2 == 0
    assert numbers.calm_from_try == 0


@pytest.mark.parametrize(
    ("policy", "limit", "clients"),
    [
        ("naive", "per-ip", 3.0),
        ("naive", {"name": "per-ip", "rate_per_s": 10}, 10.0),
        ({"name": "spread", "window_s": 8}, "per-ip", 15.0),
    ],
    ids=["three a second and no wait", "ten a second", "a mean wait of four seconds"],
)
def test_the_limit_bites_where_one_address_asks_more_often_than_it_allows(
    policy: str | dict[str, Any], limit: str | dict[str, Any], clients: float
) -> None:
    numbers = stability(scenario(policy, limit))
    assert numbers.limit_bites_from_clients_per_address == pytest.approx(clients, rel=0.05)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 50), st.floats(1, 500), st.floats(0.5, 20))
def test_few_clients_with_costly_handshakes_behave_as_many_with_cheap_ones(
    factor: int, handshake_cpu_ms: float, timeout_s: float
) -> None:
    few, many = (
        stability(
            scenario(clients=100 * k, handshake_cpu_ms=handshake_cpu_ms / k, connect_timeout_s=timeout_s),
            tick_cpu_s=0.001 / k,
        )
        for k in (1, factor)
    )
    assert many.s1 == pytest.approx(few.s1)
    assert (many.s2, many.readmission_s) == pytest.approx((few.s2, few.readmission_s))


def test_the_naive_arms_of_mass_drop_sit_well_inside_the_storm() -> None:
    naive = {label: arm for label, arm in arms(load("mass-drop")).items() if arm.fleet.policy == "naive"}
    assert naive
    for arm in naive.values():
        numbers = stability(arm)
        assert numbers.utilisation < 0.5
        assert min(numbers.s1) >= 3
        assert numbers.s2 > 1


def test_the_incident_arms_of_mass_drop_calm_down_after_some_tries() -> None:
    backed_off = [arm for arm in arms(load("mass-drop")).values() if arm.fleet.policy == "incident"]
    assert backed_off
    assert all((stability(arm).calm_from_try or 0) > 0 for arm in backed_off)
