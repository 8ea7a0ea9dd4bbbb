"""What a search may try."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from scenarios.fields import NameOrTable
from scenarios.limits.registry import limit
from scenarios.policies.following import PolicyError
from scenarios.policies.outcome import Reset
from scenarios.policies.registry import policy
from scenarios.policies.stock.catalogue import STOCK
from scenarios.scenario.loader import load
from scenarios.scenario.stability import TICK_CPU_S
from scenarios.tuning.candidate import Candidate, ResetBackoff, named, policy_name, reset_of, with_candidate
from scenarios.tuning.ranges import Range, filled
from scenarios.tuning.sampling import candidates
from scenarios.tuning.space import (
    DEFAULTS,
    DIMENSIONS,
    LIMIT_FAMILIES,
    OWN_CODE,
    POLICY_FAMILIES,
    anchors,
    candidate,
    units,
    window,
)
from scenarios.tuning.stock_options import FUNCTIONS, RESET_OPTIONS, STOCK_OPTIONS

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
    assert (one.reset_backoff == "stable") == (one.stable_after_s is not None)
    assert one.stable_after_s in (None, scenario.fleet.stable_after_s)
    assert named(one).name == one.name


def test_every_family_is_reached() -> None:
    found = candidates(SCENARIO, SCALE, trials=256, seed=1)
    names = {one.policy["name"] for one in found if isinstance(one.policy, dict)}
    assert names == {family.policy for family in POLICY_FAMILIES}
    own = [one for one in found if isinstance(one.policy, dict) and one.policy["name"] == "full-jitter"]
    assert {one.reset_backoff for one in own} == {*OWN_CODE}
    stock = [one for one in found if isinstance(one.policy, dict) and one.policy["name"] == "socketio-python"]
    assert {one.reset_backoff for one in stock} == {"joined"}
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
    timed = named(replace(one, stable_after_s=4.5))
    assert timed.name == "spread window_s=8 base_s=0.25, reset after 4.5 s of session + per-ip burst=9"


@pytest.mark.parametrize(
    ("spec", "rule", "after_s", "reset"),
    [
        ("full-jitter", "never", None, "never"),
        ("full-jitter", "stable", 4.0, 4.0),
        ("full-jitter", "stable", None, 10.0),
        ("partysocket", "policy", None, 5.0),
        ({"name": "socketio-js@4.8"}, "policy", None, "open"),
    ],
)
def test_a_candidate_starts_over_as_it_says_or_as_its_policy_does(
    spec: NameOrTable, rule: ResetBackoff, after_s: float | None, reset: Reset
) -> None:
    one = Candidate(name="", policy=spec, limit="none", reset_backoff=rule, stable_after_s=after_s)
    assert reset_of(one, SCENARIO.fleet) == reset
    assert with_candidate(SCENARIO, one).fleet.reset_by_scenario in (reset, None)


# -- a stock client's own options -------------------------------------------------------------------


@pytest.mark.parametrize("client", STOCK_OPTIONS)
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_every_value_of_an_option_is_one_that_the_client_takes(client: str, place: float) -> None:
    ranges = STOCK_OPTIONS[client]
    for widest_s in (0.5, 3_600):
        scale = {**SCALE, "window_s": widest_s, "window_ms": widest_s * 1000}
        policy(filled(client, ranges, [place] * len(ranges), scale))


def test_options_and_functions_are_those_of_stock_clients() -> None:
    assert {*STOCK_OPTIONS} | {*FUNCTIONS} <= {*STOCK}
    for client, key in RESET_OPTIONS.items():
        assert key in [one.key for one in STOCK_OPTIONS[client]]
        wanted = policy({"name": client, key: 7_000})
        assert wanted.reset == 7.0


@pytest.mark.parametrize("client", ["socketio-js@4.8", "partysocket", "stompjs", "aws-iot"])
def test_a_search_for_a_stock_client_tries_its_options_and_nothing_else(client: str) -> None:
    found = candidates(SCENARIO, SCALE, trials=16, seed=1, client=client)
    name = client.partition("@")[0]
    assert found[0].origin == DEFAULTS
    assert found[0].policy == name
    assert {policy_name(one.policy) for one in found} == {name}
    keys = {key for one in found[1:] if isinstance(one.policy, dict) for key in one.policy}
    assert keys == {"name"} | {one.key for one in STOCK_OPTIONS[name]}


def test_the_default_options_are_what_there_is_now_where_the_fleet_has_that_client() -> None:
    scenario = load("mass-drop", ["matrix={}", "fleet.policy=socketio-js@4.8"])
    origins = [one.origin for one in anchors(scenario, SCALE, "socketio-js")]
    assert origins == ["now", "default options"]


@pytest.mark.parametrize(
    ("client", "message"),
    [
        ("socketio-jss", "invalid value 'socketio-jss': expected socketio-js, "),
        ("socketio-js@1", "invalid value 'socketio-js@1': expected socketio-js or socketio-js@"),
        ("naive", "invalid value 'naive': expected "),
        ("phoenix", "invalid value 'phoenix': expected a stock client with options for its delays"),
    ],
)
def test_a_client_without_options_to_search_is_refused(client: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        candidates(SCENARIO, SCALE, trials=1, seed=1, client=client)
    assert str(caught.value).startswith(message)
