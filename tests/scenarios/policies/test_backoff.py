"""Every back-off against its source's formula and numbers."""

import math
import random
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scenarios.policies.backoff import Backo2
from scenarios.policies.registry import policy
from scenarios.policies.stock.socketio import PythonSocketIO

CLIENTS = 4_000
INCIDENT = (200.0, 30_000.0, 0.5)
SOCKETIO_JS = (1_000.0, 5_000.0, 0.5)


class Scripted(random.Random):
    """A random source whose draws are given."""

    def __init__(self, draws: list[float]) -> None:
        super().__init__(0)
        self._draws = iter(draws)

    def random(self) -> float:
        return next(self._draws)


def delays_of(spec: str | dict[str, Any], tries: int, clients: int = CLIENTS) -> "np.ndarray[Any, Any]":
    """Seconds, of shape (clients, tries)."""
    chosen = policy(spec)
    return np.array([list(islice(chosen.delays(random.Random(seed)), tries)) for seed in range(clients)])


def javascript(parameters: tuple[float, float, float], attempt: int, rand: float) -> int:
    """backo2.ts in IEEE arithmetic: the delay before this attempt in ms, where Math.random() is `rand`."""
    least, most, jitter = parameters
    with np.errstate(all="ignore"):
        ms = np.float64(least) * np.power(np.float64(2), attempt)
        if jitter:
            deviation = np.floor(np.float64(rand) * jitter * ms)
            ms = ms - deviation if int(rand * 10) & 1 == 0 else ms + deviation
        ms = np.minimum(ms, most)
    return 0 if np.isnan(ms) else int(ms)


def test_naive_never_waits() -> None:
    assert list(islice(policy("naive").delays(random.Random(1)), 50)) == [0.0] * 50


# -- socket.io-client -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["incident", "socketio-js"])
def test_named_javascript_policies_follow_the_source_draw_by_draw(name: str) -> None:
    parameters = {"incident": INCIDENT, "socketio-js": SOCKETIO_JS}[name]
    draws = [(n * 0.618) % 1 for n in range(100)]
    delays = list(islice(policy(name).delays(Scripted(draws)), len(draws)))
    assert [round(s * 1000) for s in delays] == [javascript(parameters, n, r) for n, r in enumerate(draws)]


@settings(max_examples=150, deadline=None)
@given(
    st.floats(1, 1e7),
    st.floats(0, 8e7),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=12),
    st.integers(0, 1_100),
)
def test_backo2_follows_the_source_for_any_parameters(
    least: float, most: float, jitter: float, draws: list[float], skipped: int
) -> None:
    chosen = Backo2(min_ms=least, max_ms=most, jitter=jitter)
    delays = islice(chosen.delays(Scripted([0.5] * skipped + draws)), skipped, skipped + len(draws))
    expected = [javascript((least, most, jitter), skipped + n, r) for n, r in enumerate(draws)]
    assert [round(s * 1000) for s in delays] == expected


def test_one_draw_for_sign_and_size_makes_a_comb_of_multipliers() -> None:
    spec = {"name": "incident", "min_ms": 1e6, "max_ms": 8.64e7}
    multipliers = delays_of(spec, tries=1)[:, 0] / 1e3
    assert multipliers.min() >= 0.55
    assert multipliers.max() < 1.5
    assert multipliers.mean() == pytest.approx(1.025, abs=0.015)
    teeth = [first + k / 10 for first in (0.55, 1.05) for k in range(5)]
    shares = [np.mean((multipliers > tooth - 1e-5) & (multipliers < tooth + 0.05001)) for tooth in teeth]
    assert sum(shares) == pytest.approx(1)
    assert shares == pytest.approx([0.1] * 10, abs=0.02)


@pytest.mark.parametrize(
    ("name", "n", "cap_s", "share"),
    [
        ("socketio-js", 2, 5, 0.3),
        ("socketio-js", 3, 5, 0.9),
        ("socketio-js", 4, 5, 1.0),
        ("socketio-js", 9, 5, 1.0),
        ("incident", 6, 30, 0.0),
        ("incident", 7, 30, 0.36),
        ("incident", 8, 30, 0.93),
        ("incident", 9, 30, 1.0),
        ("incident", 14, 30, 1.0),
    ],
    ids=[
        "30 % of stock clients at try 2",
        "90 % of stock clients at try 3",
        "all stock clients at try 4",
        "all stock clients at try 9",
        "none in the incident at try 6",
        "36 % in the incident at try 7",
        "93 % in the incident at try 8",
        "all in the incident at try 9",
        "all in the incident at try 14",
    ],
)
def test_jitter_dies_at_the_cap(name: str, n: int, cap_s: float, share: float) -> None:
    at_cap = np.mean(delays_of(name, tries=n + 1)[:, n] == cap_s)
    assert at_cap == (pytest.approx(share, abs=0.025) if 0 < share < 1 else share)


def test_half_of_the_delays_are_zero_once_the_arithmetic_overflows() -> None:
    delays = delays_of("incident", tries=1_021, clients=300)
    assert set(delays[:, 1_016]) == {30.0}
    for n in range(1_017, 1_021):
        assert set(delays[:, n]) == {0.0, 30.0}
        assert np.mean(delays[:, n] == 0) == pytest.approx(0.5, abs=0.1)


def test_without_jitter_nothing_overflows() -> None:
    delays = delays_of({"name": "incident", "jitter": 0}, tries=1_040, clients=1)[0]
    assert delays[:8].tolist() == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6]
    assert set(delays[8:]) == {30.0}


# -- python-socketio --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "share"),
    [(0, 0.3), (1, 0.1), (2, 0.0)],
    ids=["30 % before try 0", "10 % before try 1", "none before try 2"],
)
def test_a_short_first_delay_drowns_in_the_jitter_of_the_python_client(n: int, share: float) -> None:
    at_once = np.mean(delays_of({"name": "socketio-python", "min_s": 0.2}, tries=n + 1)[:, n] == 0)
    assert at_once == (pytest.approx(share, abs=0.025) if share else 0)


@pytest.mark.parametrize(
    ("n", "centre_s"),
    [(0, 1.0), (1, 2.0), (2, 4.0), (3, 5.0), (4, 5.0), (2_000, 5.0)],
    ids=["1 s", "2 s", "4 s", "the cap", "the cap again", "the cap after a day"],
)
def test_the_jitter_of_the_python_client_is_half_a_second_either_way_at_any_delay(
    n: int, centre_s: float
) -> None:
    delays = delays_of("socketio-python", tries=n + 1, clients=400)[:, n]
    assert stats.kstest(delays, "uniform", args=(centre_s - 0.5, 1.0)).pvalue > 0.01


def test_the_python_client_follows_the_source_draw_by_draw() -> None:
    chosen = PythonSocketIO(reconnection_delay=0.2, reconnection_delay_max=1.0, randomization_factor=0.5)
    delays = list(islice(chosen.delays(Scripted([0.0, 0.3, 0.5, 0.75, 0.0])), 5))
    assert delays == pytest.approx([0.0, 0.2, 0.8, 1.25, 0.5])


# -- AWS --------------------------------------------------------------------------------------------

CEILINGS_S = [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


def test_full_jitter_is_uniform_below_a_ceiling_that_doubles_up_to_the_cap() -> None:
    delays = delays_of("full-jitter", tries=len(CEILINGS_S))
    assert delays.mean(axis=0) == pytest.approx([ceiling / 2 for ceiling in CEILINGS_S], rel=0.05)
    for n, ceiling_s in enumerate(CEILINGS_S):
        assert stats.kstest(delays[:, n], "uniform", args=(0, ceiling_s)).pvalue > 0.005


def test_full_jitter_is_uniform_above_its_floor() -> None:
    delays = delays_of({"name": "full-jitter", "base_s": 3, "cap_s": 60, "floor_s": 0.5}, tries=6)
    for n, ceiling_s in enumerate((3, 6, 12, 24, 48, 60)):
        assert stats.kstest(delays[:, n], "uniform", args=(0.5, ceiling_s - 0.5)).pvalue > 0.005
    low = delays_of({"name": "full-jitter", "base_s": 0.1, "floor_s": 0.5}, tries=1)
    assert (low == 0.5).all()


def test_equal_jitter_is_uniform_over_the_upper_half_of_the_same_ceiling() -> None:
    delays = delays_of("equal-jitter", tries=len(CEILINGS_S))
    assert delays.mean(axis=0) == pytest.approx([ceiling * 3 / 4 for ceiling in CEILINGS_S], rel=0.02)
    for n, ceiling_s in enumerate(CEILINGS_S):
        assert stats.kstest(delays[:, n], "uniform", args=(ceiling_s / 2, ceiling_s / 2)).pvalue > 0.005


def test_decorrelated_jitter_begins_between_the_base_and_three_times_the_base() -> None:
    delays = delays_of("decorrelated-jitter", tries=1)[:, 0]
    assert stats.kstest(delays, "uniform", args=(0.2, 0.4)).pvalue > 0.01


@settings(max_examples=100, deadline=None)
@given(st.floats(0.01, 10), st.floats(10, 1000), st.integers(0, 2**32))
def test_decorrelated_jitter_stays_between_the_base_and_three_times_the_last_delay(
    base_s: float, cap_s: float, seed: int
) -> None:
    chosen = policy({"name": "decorrelated-jitter", "base_s": base_s, "cap_s": cap_s})
    delays = list(islice(chosen.delays(random.Random(seed)), 40))
    for last_s, delay_s in pairwise([base_s, *delays]):
        assert base_s * (1 - 1e-9) <= delay_s <= min(cap_s, 3 * last_s) * (1 + 1e-9)


def test_decorrelated_jitter_draws_each_delay_from_the_last() -> None:
    chosen = policy({"name": "decorrelated-jitter", "base_s": 1, "cap_s": 10})
    # U(1, 3·1), U(1, 3·2), U(1, 3·3.5), the cap, U(1, 3·10)
    delays = list(islice(chosen.delays(Scripted([0.5, 0.5, 1.0, 1.0, 0.0])), 5))
    assert delays == pytest.approx([2.0, 3.5, 10.0, 10.0, 1.0])


def test_a_share_of_those_with_decorrelated_jitter_waits_exactly_the_cap() -> None:
    at_cap = np.mean(delays_of("decorrelated-jitter", tries=50)[:, 49] == 30)
    assert at_cap == pytest.approx(0.29, abs=0.025)


# -- gRPC, axios-retry, spread ----------------------------------------------------------------------


def test_grpc_is_off_by_a_fifth_of_1_6_to_the_power_of_n() -> None:
    delays = delays_of("grpc", tries=11)
    for n in range(11):
        centre_s = min(120.0, 1.6**n)
        assert stats.kstest(delays[:, n], "uniform", args=(0.8 * centre_s, 0.4 * centre_s)).pvalue > 0.005


@pytest.mark.parametrize("n", [11, 60, 2_000], ids=["first at the cap", "long there", "for days"])
def test_the_jitter_of_grpc_lasts_at_the_cap_and_goes_beyond_it(n: int) -> None:
    delays = delays_of("grpc", tries=n + 1, clients=400)[:, n]
    assert stats.kstest(delays, "uniform", args=(96.0, 48.0)).pvalue > 0.01


AXIOS: dict[str, tuple[dict[str, Any], list[float]]] = {
    "the incident's": ({}, [0, 0.4, 0.8]),
    "a budget for all three": ({"budget_ms": 2801}, [0, 0.4, 0.8, 1.6]),
    "a budget that the third would use up": ({"budget_ms": 2800}, [0, 0.4, 0.8]),
    "a budget for none": ({"budget_ms": 400}, [0]),
    "a fourth and a fifth retry at the cap": (
        {"budget_ms": 60_000, "retries": 5},
        [0, 0.4, 0.8, 1.6, 2, 2],
    ),
    "one retry": ({"retries": 1}, [0, 0.4]),
    "no retries": ({"retries": 0}, [0]),
}


@pytest.mark.parametrize(("parameters", "expected"), AXIOS.values(), ids=AXIOS)
def test_axios_retry_gives_up_when_its_retries_or_its_budget_are_used_up(
    parameters: dict[str, Any], expected: list[float]
) -> None:
    chosen = policy({"name": "axios-retry", **parameters})
    assert list(chosen.delays(random.Random(1))) == expected


def test_a_caller_of_axios_retry_may_make_a_new_call_after_each_that_has_failed() -> None:
    chosen = policy({"name": "axios-retry", "again_after_s": 7})
    delays = list(islice(chosen.delays(random.Random(1)), 9))
    assert delays == [0, 0.4, 0.8, 7, 0.4, 0.8, 7, 0.4, 0.8]


@pytest.mark.parametrize(
    ("n", "low_s", "width_s"),
    [(0, 3.0, 6.0), (1, 0.0, 2.0), (2, 0.0, 4.0), (3, 0.0, 8.0), (4, 0.0, 10.0), (5, 0.0, 10.0)],
    ids=[
        "the window after the hold",
        "base",
        "base doubled",
        "base doubled twice",
        "the cap",
        "the cap again",
    ],
)
def test_spread_is_uniform_over_its_window_and_then_over_full_jitter(
    n: int, low_s: float, width_s: float
) -> None:
    spec = {"name": "spread", "hold_s": 3, "window_s": 6, "base_s": 2, "cap_s": 10}
    delays = delays_of(spec, tries=n + 1)[:, n]
    assert stats.kstest(delays, "uniform", args=(low_s, width_s)).pvalue > 0.01


def test_rounds_are_some_attempts_and_a_pause_for_ever() -> None:
    spec = {"name": "rounds", "attempts": 3, "delay_s": 0.5, "pause_s": 5}
    assert delays_of(spec, tries=8)[0].tolist() == [0.5, 0.5, 0.5, 5.5, 0.5, 0.5, 5.5, 0.5]


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.fixed_dictionaries(
            {"name": st.sampled_from(["incident", "socketio-js"])},
            optional={
                "min_ms": st.floats(0, 8.64e7),
                "max_ms": st.floats(0, 8.64e7),
                "jitter": st.floats(0, 1),
            },
        ),
        st.fixed_dictionaries(
            {"name": st.just("axios-retry"), "again_after_s": st.floats(0, 86_400)},
            optional={
                "base_ms": st.floats(0, 8.64e7),
                "max_ms": st.floats(0, 8.64e7),
                "budget_ms": st.floats(0, 8.64e7),
                "retries": st.integers(0, 1000),
            },
        ),
        st.fixed_dictionaries(
            {"name": st.just("socketio-python")},
            optional=dict.fromkeys(("min_s", "max_s", "jitter_s"), st.floats(0, 86_400)),
        ),
        st.fixed_dictionaries(
            {"name": st.just("grpc")},
            optional={
                "base_s": st.floats(0, 86_400),
                "cap_s": st.floats(0, 86_400),
                "factor": st.floats(1, 1000),
                "jitter": st.floats(0, 1),
            },
        ),
        st.fixed_dictionaries(
            {"name": st.sampled_from(["full-jitter", "equal-jitter", "decorrelated-jitter", "token-bucket"])},
            optional=dict.fromkeys(("base_s", "cap_s"), st.floats(0, 86_400)),
        ),
        st.fixed_dictionaries(
            {"name": st.just("spread")},
            optional=dict.fromkeys(("hold_s", "window_s", "base_s", "cap_s"), st.floats(0, 86_400)),
        ),
    ),
    st.integers(0, 2**32),
    st.integers(0, 1_100),
)
def test_no_delay_is_negative_endless_or_not_a_number(spec: dict[str, Any], seed: int, skipped: int) -> None:
    delays = list(islice(policy(spec).delays(random.Random(seed)), skipped, skipped + 40))
    assert len(delays) == 40
    assert all(0 <= delay <= 2 * 86_400 and math.isfinite(delay) for delay in delays)
