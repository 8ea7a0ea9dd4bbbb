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
from scenarios.policies.following import FollowedPolicy, Policy, PolicyError, delays_if_all_fail
from scenarios.policies.orders import Stop, Told, Wait
from scenarios.policies.outcome import Outcome, OutcomeKind
from scenarios.policies.registry import POLICIES, divided, policy
from scenarios.policies.throttled import GatedPolicy, Throttled
from scenarios.policies.user_defined import UserDefined

NOT_RANDOM = {
    "naive",
    "rounds",
    "axios-retry",
    "circuit-breaker",
    "retry-budget",
    "sre-throttle",
    "token-bucket",
    "socketio-cpp",
    "phoenix",
    "supabase-realtime",
    "signalr",
    "pusher",
    "mqtt-js",
    "paho-python",
    "paho-java",
    "partysocket",
    "react-use-websocket",
    "stompjs",
    "nats-python",
    "eventsource-chromium",
    "eventsource-firefox",
    "eventsource-npm",
    "launchdarkly-eventsource",
    "fetch-event-source",
    "liveview",
    "sockjs",
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
    first, again, other = (
        list(islice(delays_if_all_fail(policy(name), random.Random(s)), 20)) for s in (5, 5, 6)
    )
    assert first == again
    assert (first == other) == (name in NOT_RANDOM)


@pytest.mark.parametrize("name", POLICIES)
def test_a_new_iterator_starts_over_at_try_zero(name: str) -> None:
    chosen = policy(name)
    list(islice(delays_if_all_fail(chosen, random.Random(9)), 30))
    delays, expected = (
        islice(delays_if_all_fail(one, random.Random(3)), 5) for one in (chosen, policy(name))
    )
    assert list(delays) == list(expected)


@pytest.mark.parametrize("name", POLICIES)
def test_only_policies_with_a_gate_have_one_and_each_time_a_new_one(name: str) -> None:
    chosen: Policy = policy(name)
    assert isinstance(chosen, GatedPolicy) == (name in GATED)
    assert not isinstance(chosen, GatedPolicy) or chosen.throttle() is not chosen.throttle()


@pytest.mark.parametrize("name", POLICIES)
def test_only_a_retry_budget_is_shared_unless_asked_for(name: str) -> None:
    chosen = policy(name)
    assert (isinstance(chosen, GatedPolicy) and chosen.shared) == (name == "retry-budget")


@pytest.mark.parametrize("name", sorted(GATED))
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "one each"])
def test_any_gate_may_be_shared_or_not(name: str, shared: bool) -> None:
    every = policy({"name": name, "shared": shared}).for_clients()
    first, second = every(), every()
    assert isinstance(first, Throttled)
    assert isinstance(second, Throttled)
    assert (first.throttle is second.throttle) == shared


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
    assert chosen.for_clients()() is chosen
    assert (chosen.reset, chosen.stops_on, chosen.sees) == ("open", frozenset(), "all")


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
        "policies that `reconnect-storm list` prints, or module:function",
    ),
    "a similar name": (
        "socketio",
        "'socketio'",
        "expected socketio-js, socketio-go, socketio-cpp, or one of ",
    ),
    "no name": ({"min_ms": 3}, "None", "policies that `reconnect-storm list` prints"),
    "name that is no text": ({"name": ["naive"]}, "['naive']", "policies that `reconnect-storm list` prints"),
    "parameter of a policy without any": (
        {"name": "naive", "min_ms": 3},
        "min_ms: unknown parameter",
        "expected none",
    ),
    "key that socket.io-client has not": (
        {"name": "incident", "factor": 3},
        "factor: unknown parameter",
        "min_ms, max_ms, jitter",
    ),
    "share above one": ({"name": "incident", "jitter": 1.5}, "jitter: invalid value 1.5", "a number <= 1.0"),
    "text for a number": ({"name": "incident", "min_ms": "200"}, "min_ms: invalid value '200'", "a number"),
    "negative window": ({"name": "spread", "window_s": -1}, "window_s: invalid value -1", "a number >= 0.0"),
    "endless cap": ({"name": "spread", "cap_s": math.inf}, "cap_s: invalid value inf", "a number <= 86400.0"),
    "cap that is not a number": (
        {"name": "spread", "cap_s": math.nan},
        "cap_s: invalid value nan",
        "a number",
    ),
    "closed throttle asked again at once": (
        {"name": "circuit-breaker", "ask_again_s": 0},
        "ask_again_s: invalid value 0",
        "a number",
    ),
    "budget over more than a minute": (
        {"name": "retry-budget", "window_s": 61},
        "window_s: invalid value 61",
        "<= 60",
    ),
    "half a retry": ({"name": "axios-retry", "retries": 1.5}, "retries: invalid value 1.5", "an integer"),
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


def polite(rng: random.Random, *, base_s: float = 1.0) -> Told:
    """A policy of a user's own that honours Retry-After, and does not come back after a 403."""
    outcome = yield
    while outcome.status != 403:
        outcome = yield max(base_s, outcome.retry_after_s or 0.0)


polite.reset = 30  # type: ignore[attr-defined]
polite.stops_on = {"connect_error"}  # type: ignore[attr-defined]
polite.sees = "browser"  # type: ignore[attr-defined]


def test_a_function_of_ones_own_has_the_rules_of_a_policy_as_attributes() -> None:
    chosen = policy(f"{__name__}:polite")
    stops_on = frozenset({OutcomeKind.CONNECT_ERROR})
    assert (chosen.reset, chosen.stops_on, chosen.sees) == (30, stops_on, "browser")


def test_a_generator_of_ones_own_is_told_outcomes() -> None:
    course = FollowedPolicy(policy({"name": f"{__name__}:polite", "base_s": 2})).course(random.Random(1))
    busy, forbidden = (
        Outcome(kind=OutcomeKind.HTTP_STATUS, status=status, retry_after_s=9.0, transport="polling")
        for status in (503, 403)
    )
    closed = Outcome(kind=OutcomeKind.CLOSED)
    found = [course.after(outcome, 0.0, 0.0) for outcome in (closed, busy, closed, forbidden)]
    assert found == [2.0, 9.0, 2.0, Stop("http_status")]


def odd(rng: random.Random, *, first: Any = None, then: Any = 1.0) -> Any:
    """A generator that yields these."""
    yield first
    while True:
        yield then


RULES: dict[str, tuple[str, Any, str]] = {
    "no rule for resets": ("reset", "opened", 'reset: invalid value \'opened\': expected "open", "joined"'),
    "no kind": ("stops_on", ["bored"], "stops_on: invalid value ['bored']: expected a set of http_status"),
    "no view": ("sees", "nothing", 'sees: invalid value \'nothing\': expected "all" or "browser"'),
}


@pytest.mark.parametrize(("rule", "value", "said"), RULES.values(), ids=RULES)
def test_a_rule_of_ones_own_is_checked(
    rule: str, value: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polite, rule, value)
    with pytest.raises(PolicyError, match=re.escape(said)):
        policy(f"{__name__}:polite")


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (None, "invalid value None: expected a delay, a Wait or an end"),
        ("1", "invalid value '1': expected a finite number"),
        (Wait(math.inf), "invalid value inf: expected a finite number"),
        (True, "invalid value True: expected a finite number"),
    ],
    ids=repr,
)
def test_an_order_of_ones_own_is_checked(then: Any, said: str) -> None:
    with pytest.raises(PolicyError, match=re.escape(said)):
        policy({"name": f"{__name__}:odd", "then": then})


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
