"""Every reconnect policy against its formula: distributions, edges, mistakes."""

import math
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scenarios.policies import POLICIES, Backo2, PolicyError, UserDefined, policy

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


def stepwise(rng: random.Random, *, step_s: float = 1.0) -> Iterator[float]:
    """A policy of a user's own."""
    n = 0
    while True:
        yield n * step_s + rng.random()
        n += 1


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


@pytest.mark.parametrize("name", POLICIES)
def test_the_same_seed_gives_the_same_delays(name: str) -> None:
    first, again, other = (list(islice(policy(name).delays(random.Random(s)), 20)) for s in (5, 5, 6))
    assert first == again
    assert (first == other) == (name == "naive")


@pytest.mark.parametrize("name", POLICIES)
def test_a_new_iterator_starts_over_at_try_zero(name: str) -> None:
    chosen = policy(name)
    list(islice(chosen.delays(random.Random(9)), 30))
    delays, expected = chosen.delays(random.Random(3)), policy(name).delays(random.Random(3))
    assert list(islice(delays, 5)) == list(islice(expected, 5))


@settings(max_examples=100, deadline=None)
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
            {"name": st.just("spread")},
            optional=dict.fromkeys(("hold_s", "window_s", "base_s", "cap_s"), st.floats(0, 86_400)),
        ),
    ),
    st.integers(0, 2**32),
    st.integers(0, 1_100),
)
def test_no_delay_is_negative_endless_or_not_a_number(spec: dict[str, Any], seed: int, skipped: int) -> None:
    delays = policy(spec).delays(random.Random(seed))
    assert all(0 <= delay <= 2 * 86_400 for delay in islice(delays, skipped, skipped + 40))


def test_a_function_of_the_users_own_is_a_policy() -> None:
    chosen = policy({"name": f"{__name__}:stepwise", "step_s": 10})
    assert [math.floor(s) for s in islice(chosen.delays(random.Random(1)), 4)] == [0, 10, 20, 30]


def test_a_function_without_a_signature_to_check_is_taken_as_it_is() -> None:
    assert policy("builtins:min") == UserDefined(function="builtins:min")


MISTAKES: dict[str, tuple[Any, str, str]] = {
    "unknown name": (
        "exponential",
        "'exponential'",
        "naive, incident, socketio-js, spread or module:function",
    ),
    "no name": ({"min_ms": 3}, "None", "naive, incident"),
    "name that is no text": ({"name": ["naive"]}, "['naive']", "naive, incident"),
    "parameter of a policy without any": ({"name": "naive", "min_ms": 3}, "min_ms = 3", "no parameters"),
    "key that socket.io-client has not": (
        {"name": "incident", "factor": 3},
        "factor = 3",
        "min_ms, max_ms, jitter",
    ),
    "share above one": ({"name": "incident", "jitter": 1.5}, "jitter = 1.5", "`float` <= 1.0"),
    "text for a number": ({"name": "incident", "min_ms": "200"}, "min_ms = '200'", "`float`"),
    "negative window": ({"name": "spread", "window_s": -1}, "window_s = -1", "`float` >= 0.0"),
    "endless cap": ({"name": "spread", "cap_s": math.inf}, "cap_s = inf", "`float` <= 86400.0"),
    "cap that is not a number": ({"name": "spread", "cap_s": math.nan}, "cap_s = nan", "`float`"),
    "module that is not there": ("no_such_module:delays", "'no_such_module:delays'", "cannot be imported"),
    "relative module": (".relative:delays", "'.relative:delays'", "cannot be imported"),
    "function that is not there": ("math:no_such_function", "'math:no_such_function'", "cannot be imported"),
    "not a function": ("math:pi", "3.14159", "function(rng, **parameters)"),
    "parameter that the function has not": (
        {"name": f"{__name__}:stepwise", "stride": 1},
        "'stride'",
        "(rng: random.Random, *, step_s",
    ),
}


@pytest.mark.parametrize(("spec", "found", "allowed"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_names_what_was_found_and_what_is_allowed(spec: Any, found: str, allowed: str) -> None:
    with pytest.raises(PolicyError) as error:
        policy(spec)
    message = str(error.value)
    assert found in message
    assert allowed in message
    assert "\n" not in message
