"""What a search may try."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.limits.registry import limit
from scenarios.policies.registry import policy
from scenarios.scenario.loader import load
from scenarios.scenario.stability import TICK_CPU_S
from scenarios.tuning.sampling import candidates
from scenarios.tuning.space import (
    DIMENSIONS,
    LIMIT_FAMILIES,
    POLICY_FAMILIES,
    Candidate,
    Range,
    anchors,
    candidate,
    named,
    units,
    window,
    with_candidate,
)

SCENARIO = load("mass-drop", ["matrix={}"])
SCALE = units(SCENARIO, TICK_CPU_S)
PLACE = st.floats(0, 1, exclude_max=True)


@given(st.tuples(*[PLACE] * DIMENSIONS))
def test_every_point_of_the_cube_is_a_candidate_that_a_scenario_takes(point: tuple[float, ...]) -> None:
    one = candidate(point, SCALE)
    policy(one.policy)
    limit(one.limit)
    scenario = with_candidate(SCENARIO, one)
    assert scenario.fleet.policy == one.policy
    assert scenario.edge.limit == one.limit
    assert scenario.fleet.reset_backoff == one.reset_backoff
    assert named(one).name == one.name


def test_every_family_is_reached() -> None:
    found = candidates(SCENARIO, SCALE, trials=256, seed=1)
    names = {one.policy["name"] for one in found if isinstance(one.policy, dict)}
    assert names == {family.policy for family in POLICY_FAMILIES}
    limits = {one.limit if isinstance(one.limit, str) else one.limit["name"] for one in found}
    assert limits == {family.limit for family in LIMIT_FAMILIES}


@given(PLACE, st.floats(0.01, 1000))
def test_a_range_is_kept_whatever_its_unit(place: float, unit: float) -> None:
    for one in (
        Range(key="a", low=0.02, high=2),
        Range(key="a", low=0, high=1, even=True),
    ):
        value = one.at(place, unit)
        assert one.low * unit * 0.99 <= value <= one.high * unit * 1.01
    assert Range(key="a", low=0.1, high=0.2, whole=True).at(place, 1) == 1


def test_the_window_is_the_time_in_which_all_come_back_at_half_of_what_is_left() -> None:
    costs = ("gateway.handshake_cpu_ms=20", "gateway.tick_cpu_us=0")
    free = load("mass-drop", ["matrix={}", *costs, "fleet.clients=100"])
    assert window(free, 0.0) == pytest.approx(2 * 100 * 0.02 / 1)
    assert window(load("mass-drop", ["matrix={}", "gateway.handshake_cpu_ms=0"]), 0.0) == 0
    assert window(free, 1.0) == math.inf
    assert units(free, 1.0)["window_s"] == 3_600


@pytest.mark.parametrize(
    ("sets", "origins"),
    [
        (["fleet.policy=socketio-js"], ["now", "naive", "incident's fix", "closed form"]),
        ([], ["now = naive", "incident's fix", "closed form"]),
        (
            ["fleet.policy=incident", "edge.limit=per-ip"],
            ["now = incident's fix", "naive", "closed form"],
        ),
    ],
)
def test_what_there_is_and_what_was_done_is_always_tried(sets: list[str], origins: list[str]) -> None:
    scenario = load("mass-drop", ["matrix={}", *sets])
    assert [one.origin for one in anchors(scenario, SCALE)] == origins
    assert len(candidates(scenario, SCALE, trials=0, seed=1)) == len(origins)


def test_the_same_seed_draws_the_same_candidates_and_more_trials_only_add() -> None:
    few, many = (candidates(SCENARIO, SCALE, trials=trials, seed=3) for trials in (20, 40))
    assert candidates(SCENARIO, SCALE, trials=20, seed=3) == few
    assert many[: len(few)] == few
    assert candidates(SCENARIO, SCALE, trials=20, seed=4) != few


def test_candidates_are_called_by_their_settings() -> None:
    one = Candidate(
        name="",
        policy={"name": "spread", "window_s": 8.0, "base_s": 0.25},
        limit={"name": "per-ip", "burst": 9},
        reset_backoff="stable",
    )
    assert named(one).name == "spread window_s=8 base_s=0.25, reset once stable + per-ip burst=9"
