"""Policies by name: what a scenario may ask for, and what it is told if it asks for something else."""

import inspect
import math
import random
import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import pytest

from scenarios.policies.backoff import Backo2
from scenarios.policies.registry import POLICIES, Policy, PolicyError, UserDefined, divided, policy

NOT_RANDOM = {
    "naive",
    "axios-retry",
    "circuit-breaker",
    "retry-budget",
    "sre-throttle",
    "token-bucket",
    "socketio-cpp",
}
GATED = {"circuit-breaker", "retry-budget", "sre-throttle", "token-bucket"}


def stepwise(rng: random.Random, *, step_s: float = 1.0) -> Iterator[float]:
    """A policy of a user's own."""
    n = 0
    while True:
        yield n * step_s + rng.random()
        n += 1


@pytest.mark.parametrize("name", POLICIES)
def test_the_same_seed_gives_the_same_delays(name: str) -> None:
    first, again, other = (list(islice(policy(name).delays(random.Random(s)), 20)) for s in (5, 5, 6))
    assert first == again
    assert (first == other) == (name in NOT_RANDOM)


@pytest.mark.parametrize("name", POLICIES)
def test_a_new_iterator_starts_over_at_try_zero(name: str) -> None:
    chosen = policy(name)
    list(islice(chosen.delays(random.Random(9)), 30))
    delays, expected = chosen.delays(random.Random(3)), policy(name).delays(random.Random(3))
    assert list(islice(delays, 5)) == list(islice(expected, 5))


@pytest.mark.parametrize("name", POLICIES)
def test_only_policies_with_a_gate_have_one_and_each_time_a_new_one(name: str) -> None:
    chosen: Policy = policy(name)
    throttles = chosen.throttle(), chosen.throttle()
    assert (throttles[0] is not None) == (name in GATED)
    assert name not in GATED or throttles[0] is not throttles[1]


@pytest.mark.parametrize("name", POLICIES)
def test_only_a_retry_budget_is_shared_unless_asked_for(name: str) -> None:
    assert policy(name).shared_throttle == (name == "retry-budget")


@pytest.mark.parametrize("name", sorted(GATED))
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "one each"])
def test_any_gate_may_be_shared_or_not(name: str, shared: bool) -> None:
    assert policy({"name": name, "shared": shared}).shared_throttle == shared


@pytest.mark.parametrize("name", sorted(GATED))
def test_behind_a_gate_there_is_no_delay_unless_there_is_a_base(name: str) -> None:
    assert list(islice(policy(name).delays(random.Random(1)), 30)) == [0.0] * 30
    spread, full_jitter = ({"name": n, "base_s": 0.5, "cap_s": 20} for n in (name, "full-jitter"))
    delays, expected = (list(islice(policy(s).delays(random.Random(1)), 30)) for s in (spread, full_jitter))
    assert delays == expected


@pytest.mark.parametrize("name", POLICIES)
def test_each_policy_says_in_words_what_it_does_then_its_formula_then_its_source(name: str) -> None:
    text = inspect.cleandoc(POLICIES[name][0].__doc__ or "")
    assert re.fullmatch(r"[A-Za-z][^\n]+\.\n\n(    \S[^\n]+\n)+\n(\S[^\n]+\n)*Source: [^\n]+\.", text)


def test_a_table_changes_some_parameters_of_a_named_policy() -> None:
    assert policy({"name": "incident", "jitter": 0.1}) == Backo2(min_ms=200, max_ms=30_000, jitter=0.1)


def test_a_function_of_the_users_own_is_a_policy() -> None:
    chosen = policy({"name": f"{__name__}:stepwise", "step_s": 10})
    assert [math.floor(s) for s in islice(chosen.delays(random.Random(1)), 4)] == [0, 10, 20, 30]
    assert chosen.throttle() is None
    assert not chosen.shared_throttle


def test_a_function_without_a_signature_to_check_is_taken_as_it_is() -> None:
    assert policy("builtins:min") == UserDefined(function="builtins:min")


def exits(rng: random.Random) -> Iterator[float]:
    raise SystemExit(4)


def gives(rng: random.Random, *, what: Any) -> Any:
    """No delays, but this."""
    return what


def test_a_function_may_give_up() -> None:
    assert list(policy({"name": f"{__name__}:gives", "what": [1, 2.5]}).delays(random.Random(1))) == [1, 2.5]


MISTAKES: dict[str, tuple[Any, str, str]] = {
    "unknown name": (
        "exponential",
        "'exponential'",
        "token-bucket, spread or module:function",
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
    "closed throttle asked again at once": (
        {"name": "circuit-breaker", "ask_again_s": 0},
        "ask_again_s = 0",
        "error_threshold, reset_s, buckets",
    ),
    "budget over more than a minute": ({"name": "retry-budget", "window_s": 61}, "window_s = 61", "<= 60"),
    "half a retry": ({"name": "axios-retry", "retries": 1.5}, "retries = 1.5", "`int`"),
    "module that is not there": ("no_such_module:delays", "'no_such_module:delays'", "cannot be imported"),
    "relative module": (".relative:delays", "'.relative:delays'", "cannot be imported"),
    "function that is not there": ("math:no_such_function", "'math:no_such_function'", "cannot be imported"),
    "not a function": ("math:pi", "3.14159", "function(rng, **parameters)"),
    "function that ends the program": (f"{__name__}:exits", "exits' failed", "SystemExit: 4"),
    "parameter that the function has not": (
        {"name": f"{__name__}:stepwise", "stride": 1},
        "'stride'",
        "(rng: random.Random, *, step_s",
    ),
}


@pytest.mark.parametrize(("spec", "invalid", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_an_error_names_what_is_invalid_and_what_is_expected(spec: Any, invalid: str, expected: str) -> None:
    with pytest.raises(PolicyError) as error:
        policy(spec)
    message = str(error.value)
    assert invalid in message
    assert expected in message
    assert "\n" not in message


SHARED: dict[str, tuple[dict[str, Any], str, float]] = {
    "a budget": ({"name": "retry-budget", "min_per_s": 10}, "min_per_s", 10),
    "tokens": ({"name": "token-bucket", "capacity": 10.0, "shared": True}, "capacity", 10.0),
}


@pytest.mark.parametrize(("spec", "key", "whole"), SHARED.values(), ids=SHARED)
@pytest.mark.parametrize("processes", [1, 3, 8, 16])
def test_gates_of_all_processes_allow_together_what_one_would(
    spec: dict[str, Any], key: str, whole: float, processes: int
) -> None:
    parts = [getattr(divided(policy(spec), index, processes), key) for index in range(processes)]
    assert sum(parts) == pytest.approx(whole)


@pytest.mark.parametrize(
    "spec", ["naive", "circuit-breaker", "token-bucket", {"name": "retry-budget", "shared": False}], ids=str
)
def test_what_each_client_has_for_itself_is_not_divided(spec: Any) -> None:
    assert divided(policy(spec), 1, 3) == policy(spec)


def failing(rng: random.Random, *, after: int = 0, gives: Any = 0.1) -> Iterator[Any]:
    """A policy of a user's own that fails, or gives something else, after so many delays."""
    for _ in range(after):
        yield 0.1
    if gives is None:
        raise LookupError("no such delay")
    while True:
        yield gives


def no_iterator(rng: random.Random) -> float:
    """A policy that forgot to yield."""
    return 1.0


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an error at once": (
        {"name": f"{__name__}:failing", "gives": None},
        "failed: LookupError: no such delay (test_registry.py, line ",
    ),
    "an error later": ({"name": f"{__name__}:failing", "gives": None, "after": 50}, "failed: LookupError"),
    "a text": ({"name": f"{__name__}:failing", "gives": "1"}, "invalid value '1': expected a finite number"),
    "a truth": ({"name": f"{__name__}:failing", "gives": True}, "invalid value True: expected"),
    "no number": ({"name": f"{__name__}:failing", "gives": math.nan}, "invalid value nan: expected"),
    "without end": ({"name": f"{__name__}:failing", "gives": math.inf}, "invalid value inf: expected"),
    "no iterator": (
        {"name": f"{__name__}:no_iterator"},
        "failed: TypeError: 'float' object is not iterable",
    ),
}


@pytest.mark.parametrize(("spec", "said"), WRONG.values(), ids=WRONG)
def test_a_policy_of_ones_own_that_fails_is_refused_with_the_place(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(PolicyError, match=re.escape(f"policy '{spec['name']}'")) as refused:
        policy(spec)
    assert said in str(refused.value)


def test_a_policy_of_ones_own_may_fail_after_all_delays_that_were_looked_at() -> None:
    delays = policy({"name": f"{__name__}:failing", "gives": None, "after": 150}).delays(random.Random(1))
    assert len(list(islice(delays, 150))) == 150
    with pytest.raises(PolicyError, match="failed: LookupError"):
        next(delays)


@pytest.mark.parametrize("delay", [0, -1, 2.5, np.float64(0.5), Fraction(1, 2)], ids=repr)
def test_a_delay_of_ones_own_is_any_finite_number(delay: Any) -> None:
    chosen = policy({"name": f"{__name__}:failing", "gives": delay})
    assert next(chosen.delays(random.Random(1))) == float(delay)
