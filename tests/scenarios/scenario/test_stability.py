"""The stability model against its formulas, worked out by hand on small cases."""

import math
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from scenarios.events.drop import DropAll, DropShare
from scenarios.events.pod import KillPod
from scenarios.events.registry import AnyEvent
from scenarios.events.set_limit import SetLimit
from scenarios.scenario.arms import arms
from scenarios.scenario.edge.edge import Edge
from scenarios.scenario.loader import load
from scenarios.scenario.model import Feed, Fleet, Gateway, Scenario
from scenarios.scenario.stability import admissible_rate_per_s, edge_rules, stability
from tests.support import plain_clients


def scenario(
    policy: str | dict[str, Any] = "naive",
    limit: str | dict[str, Any] = "none",
    events: tuple[AnyEvent, ...] = (),
    **changes: Any,
) -> Scenario:
    """100 clients on 2 cores: N·c/P is 5 s, and with 1 ms a tick a quarter of the capacity is the feed's."""
    fleet = {"clients": 100, "connect_timeout_s": 1.0, "stale_after_s": 2.0, "transport": "websocket"}
    gateway = {"pods": 2, "cores": 2, "handshake_cpu_ms": 100.0, "tick_cpu_us": 0.0, "cpu": "burn"}
    for values in (fleet, gateway):
        values.update({key: value for key, value in changes.items() if key in values})
    return Scenario(
        fleet=Fleet(policy=policy, **fleet),  # type: ignore[arg-type]
        gateway=Gateway(**gateway),  # type: ignore[arg-type]
        feed=Feed(rate_hz=5.0),
        edge=Edge(limit=limit),
        event=events,
    )


def gives_up(rng: random.Random) -> Iterator[float]:
    """One client in two makes one try more than the other; nobody makes more."""
    yield 1.0
    if rng.random() < 0.5:
        yield 3.0


def never_comes_back(rng: random.Random) -> Iterator[float]:
    """Gives up before the first try."""
    return iter(())


def test_the_numbers_of_a_small_case_worked_out_by_hand() -> None:
    numbers = stability(scenario(), tick_cpu_s=0.001)
    assert numbers.capacity_cores == 2
    assert numbers.handshake_cpu_s == 0.1
    assert numbers.utilisation == pytest.approx(100 * 0.001 * 5 / 2)
    assert numbers.readmission_s == pytest.approx(0.1 / (0.001 * 5) * math.log(1 / 0.75))
    assert numbers.s1[0] == pytest.approx(100 * 0.1 / (1 * 2 * 0.75))
    assert numbers.s2 == pytest.approx(5 / 2)
    assert numbers.calm_from_attempt is None
    assert numbers.limit_refuses_above_clients_per_ip is None
    assert numbers.global_rate_per_s is None
    assert numbers.returning == 100


def test_what_the_scenario_adds_to_a_tick_is_part_of_the_feed() -> None:
    plain, costly = stability(scenario(), tick_cpu_s=0.001), stability(scenario(tick_cpu_us=400.0), 0.0006)
    assert costly.utilisation == pytest.approx(plain.utilisation)


FAULTS: dict[str, tuple[tuple[AnyEvent, ...], float]] = {
    "no fault": ((), 1.0),
    "everybody": ((DropAll(at_s=5),), 1.0),
    "a fifth": ((DropShare(at_s=5, share=0.2),), 0.2),
    "the first fault counts": ((DropAll(at_s=9), DropShare(at_s=5, share=0.2)), 0.2),
    "what is no fault does not": ((SetLimit(at_s=1, limit="none"), DropShare(at_s=5, share=0.2)), 0.2),
    "unknown": ((KillPod(at_s=5, pod=0),), 1.0),
}


@pytest.mark.parametrize(("events", "share"), FAULTS.values(), ids=FAULTS)
def test_those_who_come_back_make_the_storm(events: tuple[AnyEvent, ...], share: float) -> None:
    numbers = stability(scenario(events=events), tick_cpu_s=0.001)
    assert (numbers.clients, numbers.returning) == (100, round(100 * share))
    assert numbers.utilisation == pytest.approx(0.25)
    assert numbers.s1[0] == pytest.approx(share * 100 * 0.1 / (2 * 0.75))
    assert numbers.s2 == pytest.approx(share * 5 / 2)
    # Those who were not dropped take their share of the capacity all the while.
    kept = (1 - share) * 0.25
    assert numbers.readmission_s == pytest.approx(0.1 / (0.001 * 5) * math.log((1 - kept) / 0.75))


def test_only_those_who_still_try_count() -> None:
    numbers = stability(scenario(f"{__name__}:gives_up"), tick_cpu_s=0.001)
    alone = 100 * 0.1 / (2 * 0.75)
    assert numbers.s1[0] == pytest.approx(alone / (1 + 1))
    assert numbers.s1[1] == pytest.approx(0.5 * alone / (1 + 3), rel=0.1)
    assert set(numbers.s1[2:]) == {0.0}
    assert numbers.calm_from_attempt == 1


def test_nobody_storms_who_never_comes_back() -> None:
    numbers = stability(scenario(f"{__name__}:never_comes_back", "per-ip"))
    assert set(numbers.s1) == {0.0}
    assert (numbers.s2, numbers.calm_from_attempt) == (0.0, 0)
    assert numbers.limit_refuses_above_clients_per_ip is None


def test_naive_clients_are_as_bad_at_every_try() -> None:
    assert len(set(stability(scenario()).s1)) == 1


def test_backing_off_makes_s1_fall_below_one_at_some_try() -> None:
    numbers = stability(scenario("incident"), tick_cpu_s=0.001)
    assert numbers.s1[0] > 1
    assert list(numbers.s1[:9]) == sorted(numbers.s1[:9], reverse=True)
    # 6.67 / (1 + mean delay): calm once the mean delay, 0.205 · 2ⁿ s, is 5.67 s or more.
    assert numbers.calm_from_attempt == 5
    assert all(value <= 1 for value in numbers.s1[5:])


def test_a_policy_capped_below_what_is_needed_never_calms() -> None:
    assert (
        stability(scenario({"name": "incident", "max_ms": 3_000}), tick_cpu_s=0.001).calm_from_attempt is None
    )


def test_s2_counts_the_width_of_the_first_window() -> None:
    numbers = stability(scenario({"name": "spread", "window_s": 8}), tick_cpu_s=0.001)
    assert numbers.s2 == pytest.approx(5 / (2 + 8 * 0.75), rel=0.02)


def test_s2_is_zero_where_no_watchdog_runs() -> None:
    assert stability(scenario(stale_after_s=0)).s2 == 0


@pytest.mark.parametrize(
    ("cpu", "pods", "cores", "capacity"),
    [("burn", 9, 2, 2), ("burn", 2, 9, 2), ("occupy", 9, 2, 9), ("occupy", 1, 2, 1)],
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
    assert numbers.calm_from_attempt is None


def test_free_handshakes_never_storm_even_on_a_full_gateway() -> None:
    numbers = stability(scenario(handshake_cpu_ms=0.0), tick_cpu_s=0.004)
    assert set(numbers.s1) == {0.0}
    assert numbers.s2 == 0
    assert numbers.calm_from_attempt == 0


def window(**numbers: float) -> dict[str, Any]:
    return {"name": "sliding-window", **numbers}


BITES: dict[str, tuple[Any, Any, str, float | None]] = {
    "three a second and no wait": ("naive", "per-ip", "websocket", 6.0),
    "ten a second": ("naive", {"name": "per-ip", "rate_per_s": 10}, "websocket", 13.0),
    "a mean wait of four seconds": ({"name": "spread", "window_s": 8}, "per-ip", "websocket", 18.0),
    "a rate that nginx rounds": ("naive", {"name": "per-ip", "rate_per_s": 1 / 3}, "websocket", 3.333),
    "the lower of two": ("naive", "per-ip+per-ip-strict", "websocket", 4.0),
    "a burst": ("naive", {"name": "per-ip", "rate_per_s": 5, "burst": 10}, "websocket", 16.0),
    "a window longer than the wait": ("naive", window(connections=10, window_s=60), "websocket", 10.0),
    "a window shorter than the wait": (
        {"name": "spread", "window_s": 8},
        window(connections=10, window_s=2),
        "websocket",
        25.0,
    ),
    "a limit for all together": ("naive", "global", "websocket", None),
    "beside one for all together": ("naive", "global+per-ip", "websocket", 6.0),
    "a limit at the pod": ("naive", "lag-shed", "websocket", None),
    "all requests of a WebSocket": ("naive", "per-ip-all-requests", "websocket", 6.0),
    "all requests of polling": ("naive", "per-ip-all-requests", "polling-upgrade", 1.2),
    "new connections of polling": ("naive", "per-ip", "polling-upgrade", 6.0),
    "a dry run refuses nobody": ("naive", {"name": "per-ip", "dry_run": True}, "websocket", None),
}


@pytest.mark.parametrize(("policy", "limit", "transport", "clients"), BITES.values(), ids=BITES)
def test_the_limit_bites_where_one_address_asks_more_often_than_it_allows(
    policy: Any, limit: Any, transport: str, clients: float | None
) -> None:
    bites = stability(scenario(policy, limit, transport=transport)).limit_refuses_above_clients_per_ip
    assert bites == (None if clients is None else pytest.approx(clients, rel=0.05))


GLOBAL: dict[str, tuple[Any, dict[str, Any], float | None]] = {
    "half of what the feed leaves": ("global", {}, 7.5),
    "in pods that only reserve": ("global", {"cpu": "occupy", "cores": 1}, 7.5),
    "on one core": ("global", {"cores": 1}, 2.5),
    "beside another limit": ("per-ip+global", {}, 7.5),
    "asked for": ({"name": "global", "rate_per_s": 40}, {}, 40.0),
    "rounded to what nginx takes": ("global", {"handshake_cpu_ms": 70.0}, 10.716),
    "the lowest, where the feed takes all": ("global", {"cores": 1, "clients": 200}, 0.016),
    "the highest, where handshakes are free": ("global", {"handshake_cpu_ms": 0.0}, 10_000.0),
    "none": ("per-ip", {}, None),
    "none in a dry run": ({"name": "global", "dry_run": True}, {}, None),
}


@pytest.mark.parametrize(("limit", "changes", "rate"), GLOBAL.values(), ids=GLOBAL)
def test_a_limit_for_all_together_gets_its_rate_from_the_scenario(
    limit: Any, changes: dict[str, Any], rate: float | None
) -> None:
    assert stability(scenario(limit=limit, **changes), tick_cpu_s=0.001).global_rate_per_s == rate


def test_the_rules_at_nginx_have_all_their_rates() -> None:
    chosen = scenario(limit="per-ip+global")
    assert [rule.rate_per_s for rule in edge_rules(chosen)] == [3.0, admissible_rate_per_s(chosen)]
    assert admissible_rate_per_s(chosen, tick_cpu_s=0.001) == pytest.approx(0.5 * 2 * 0.75 / 0.1)


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
    assert all((stability(arm).calm_from_attempt or 0) > 0 for arm in backed_off)


QUOTAS: dict[str, tuple[str, float | None, float]] = {
    "half a core each": ("burn", 0.5, 1.5),
    "more than a loop can use": ("burn", 4.0, 3.0),
    "none": ("burn", None, 2.0),
    "no CPU is burned": ("occupy", 0.5, 3.0),
}


@pytest.mark.parametrize(("cpu", "pod_cores", "capacity"), QUOTAS.values(), ids=QUOTAS)
def test_a_cpu_quota_is_each_pods_own_ceiling(cpu: str, pod_cores: float | None, capacity: float) -> None:
    tried = scenario("naive", "global", pods=3, cores=2, cpu=cpu)
    numbers = stability(tried, tick_cpu_s=0.001, pod_cores=pod_cores)
    assert numbers.capacity_cores == capacity
    assert numbers.global_rate_per_s == pytest.approx(0.5 * (capacity - 0.5) / 0.1, rel=0.001)


def test_the_limits_of_a_file_of_the_users_own_are_not_known() -> None:
    own = replace(scenario(), edge=Edge(nginx_conf="nginx.conf"))
    assert not stability(own).limits_known
    assert stability(scenario()).limits_known


def test_a_function_of_the_users_own_is_asked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = Scenario(
        fleet=Fleet(policy={"name": "tests.support.plain_clients:listed", "waits_s": [1.0, 2.0]})
    )
    before = stability(scenario)
    assert stability(scenario) == before
    monkeypatch.setattr(plain_clients, "listed", lambda rng, waits_s: iter([0.0, 0.0, 0.0]))
    assert stability(scenario).s1[0] > before.s1[0]
