"""Throttles against their sources: state tables, budgets, probabilities, buckets; time is the test's own."""

import math
import random
from collections import Counter
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scenarios.policies.following import FollowedPolicy
from scenarios.policies.orders import POLICY_ENDED, Attempt, Stop, Wait
from scenarios.policies.outcome import Outcome, OutcomeKind
from scenarios.policies.registry import policy
from scenarios.policies.throttled import GatedPolicy, Throttled
from scenarios.policies.throttles import (
    AdaptiveThrottle,
    BreakerThrottle,
    BucketThrottle,
    BudgetThrottle,
    InOrder,
    RollingSum,
    Throttle,
)


class Draws(random.Random):
    """A random source that always draws the same."""

    def __init__(self, draw: float) -> None:
        super().__init__(0)
        self._draw = draw

    def random(self) -> float:
        return self._draw


RNG = Draws(0.5)
CLOSED = Outcome(kind=OutcomeKind.CLOSED)


def gate_of(name: str, **parameters: Any) -> Throttle:
    chosen = policy({"name": name, **parameters})
    assert isinstance(chosen, GatedPolicy)
    return chosen.throttle()


# -- rolling sums -----------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 20), st.integers(-5, 5)), max_size=30),
    st.sampled_from([0.1, 0.5, 1.0, 3.0]),
    st.integers(1, 12),
)
def test_a_rolling_sum_is_that_of_the_last_buckets(
    steps: list[tuple[float, int]], bucket_s: float, buckets: int
) -> None:
    rolling, now_s = RollingSum(bucket_s=bucket_s, buckets=buckets), 1000.0
    added: list[tuple[int, int]] = []
    for step_s, amount in steps:
        now_s += step_s
        rolling.add(amount, now_s)
        bucket = math.floor(now_s // bucket_s)
        added.append((bucket, amount))
        assert rolling.total(now_s) == sum(a for b, a in added if bucket - buckets < b)


# -- circuit breaker --------------------------------------------------------------------------------

Breaker = list[tuple[float, Literal["ask", "joined", "failed"], float | str]]
"""At this time: ask and be told to wait so long, or a try ends and leaves the breaker in that state."""

BREAKER: dict[str, Breaker] = {
    "a breaker's first failure opens it": [
        (0, "ask", 0),
        (0.3, "failed", "open"),
        (0.3, "ask", 10),
        (4.3, "ask", 6),
        (10.2, "ask", 0.1),
    ],
    "half of the tries may fail": [
        (0, "ask", 0),
        (0, "ask", 0),
        (0, "ask", 0),
        (0, "ask", 0),
        (1, "joined", "closed"),
        (1, "joined", "closed"),
        (1, "failed", "closed"),
        (1, "failed", "closed"),
        (2, "ask", 0),
        (2, "failed", "open"),
    ],
    "one failure of three leaves it closed, two open it": [
        (0, "ask", 0),
        (0, "ask", 0),
        (0, "ask", 0),
        (1, "failed", "closed"),
        (2, "failed", "open"),
        (2, "ask", 10),
    ],
    "an open breaker lets one try through after exactly the reset time": [
        (0, "ask", 0),
        (1, "failed", "open"),
        (10.999, "ask", 0.001),
        (11, "ask", 0),
        (11, "ask", 1),
        (12, "ask", 1),
    ],
    "whoever is told so long comes back that much later and no more": [
        (0, "ask", 0),
        (0.123456789, "failed", "open"),
        (10.123456788, "ask", 0),
    ],
    "success in the half-open state closes it for everybody": [
        (0, "ask", 0),
        (1, "failed", "open"),
        (11, "ask", 0),
        (11, "ask", 1),
        (11.5, "joined", "closed"),
        (12, "ask", 0),
        (12, "ask", 0),
    ],
    "failure in the half-open state opens it for the whole reset time": [
        (0, "ask", 0),
        (1, "failed", "open"),
        (11, "ask", 0),
        (13, "failed", "open"),
        (13, "ask", 10),
        (23, "ask", 0),
        (23, "ask", 1),
    ],
    "failure in the half-open state opens it, however many have joined": [
        (0, "ask", 0),
        (1, "failed", "open"),
        *[(11.0, "ask", float(n > 0)) for n in range(9)],
        (11.5, "failed", "open"),
        (12, "ask", 9.5),
    ],
    "what was begun before it opened neither opens it for longer nor closes it": [
        (0, "ask", 0),
        (0, "ask", 0),
        (0, "ask", 0),
        (1, "failed", "closed"),
        (1, "failed", "open"),
        (5, "failed", "open"),
        (6, "joined", "open"),
        (6, "ask", 5),
        (11, "ask", 0),
    ],
    "a late success closes it once it is half-open": [
        (0, "ask", 0),
        (0, "ask", 0),
        (1, "failed", "closed"),
        (1, "failed", "open"),
        (11, "joined", "closed"),
        (11, "ask", 0),
    ],
    "a late failure opens it once it is half-open": [
        (0, "ask", 0),
        (0, "ask", 0),
        (1, "failed", "closed"),
        (1, "failed", "open"),
        (12, "failed", "open"),
        (12, "ask", 10),
    ],
    "what is turned away counts among the tries that did not fail": [
        (0, "ask", 0),
        (1, "failed", "open"),
        (11, "ask", 0),
        (11, "ask", 1),
        (11, "ask", 1),
        (11.5, "joined", "closed"),
        (12, "ask", 0),
        (12, "failed", "closed"),
        (12, "ask", 0),
        (12, "failed", "closed"),
        (12, "ask", 0),
        (12, "failed", "closed"),
        (12, "ask", 0),
        (12, "failed", "open"),
    ],
    "a success counts for ten seconds": [
        (0.5, "ask", 0),
        (0.6, "joined", "closed"),
        (9.9, "ask", 0),
        (9.9, "failed", "closed"),
    ],
    "and not for longer": [
        (0.5, "ask", 0),
        (0.6, "joined", "closed"),
        (10.1, "ask", 0),
        (10.1, "failed", "open"),
    ],
    "a try that took longer than the window opens it by failing": [
        (0, "ask", 0),
        (15, "failed", "open"),
    ],
}


@pytest.mark.parametrize("history", BREAKER.values(), ids=BREAKER)
def test_a_breaker_goes_through_its_states(history: Breaker) -> None:
    throttle = gate_of("circuit-breaker")
    assert isinstance(throttle, BreakerThrottle)
    for now_s, what, expected in history:
        if what == "ask":
            assert throttle.wait_s(now_s, RNG, first=False) == pytest.approx(expected, abs=1e-6)
        else:
            throttle.ended(what == "joined", now_s)
            assert throttle.state(now_s) == expected


def test_a_breaker_is_half_open_from_the_end_of_the_reset_time_on() -> None:
    throttle = gate_of("circuit-breaker", reset_s=30)
    assert isinstance(throttle, BreakerThrottle)
    throttle.wait_s(0, RNG, first=True)
    throttle.ended(False, 1)
    assert [throttle.state(now_s) for now_s in (1, 30.9, 31, 500)] == [
        "open",
        "open",
        "half-open",
        "half-open",
    ]


def test_a_breaker_takes_its_threshold_its_buckets_and_its_patience_from_the_policy() -> None:
    throttle = gate_of("circuit-breaker", error_threshold=0.8, buckets=3, reset_s=5, ask_again_s=0.25)
    for _ in range(5):
        throttle.wait_s(10, RNG, first=False)
    for _ in range(4):
        throttle.ended(False, 12.9)
    assert throttle.wait_s(12.9, RNG, first=False) == 0
    throttle.ended(False, 13)  # The five tries of second 10 are out of the window now, the failures are not.
    assert throttle.wait_s(13, RNG, first=False) == 5
    assert [throttle.wait_s(18, RNG, first=False) for _ in range(2)] == [0, 0.25]


def test_clients_whose_breakers_opened_together_come_back_together() -> None:
    throttles = [gate_of("circuit-breaker") for _ in range(100)]
    for throttle in throttles:
        throttle.wait_s(0, RNG, first=True)
        throttle.ended(False, 2)
    assert {throttle.wait_s(2, RNG, first=False) for throttle in throttles} == {10.0}


# -- retry budget -----------------------------------------------------------------------------------

Budget = list[tuple[float, Literal["first", "retry"], int, int]]
"""At this time, of so many first tries or retries so many may begin."""

BUDGET: dict[str, tuple[tuple[float, int, int], Budget]] = {
    "50 retries come for free": ((0.2, 5, 10), [(0, "retry", 60, 50)]),
    "and one more for every five first tries": (
        (0.2, 5, 10),
        [(0, "first", 104, 104), (1, "retry", 100, 50 + 20)],
    ),
    "first tries count for ten seconds": ((0.2, 5, 10), [(0, "first", 100, 100), (10, "retry", 99, 70)]),
    "but not for more than eleven": ((0.2, 5, 10), [(0, "first", 100, 100), (11, "retry", 99, 50)]),
    "retries are forgotten as well": (
        (0.2, 5, 10),
        [(0, "retry", 60, 50), (10.9, "retry", 1, 0), (11, "retry", 60, 50)],
    ),
    "first tries never wait": ((0.2, 0, 10), [(0, "retry", 1, 0), (0, "first", 1000, 1000)]),
    "one first try in five is not a whole retry before the fifth": (
        (0.2, 0, 10),
        [(0, "first", 4, 4), (0, "retry", 1, 0), (0, "first", 1, 1), (0, "retry", 2, 1)],
    ),
    "a third is rounded in the clients' favour, as in the source": (
        (0.4, 0, 10),
        [(0, "first", 10, 10), (0, "retry", 10, 5)],
    ),
    "a ratio of two": ((2.0, 0, 10), [(0, "first", 3, 3), (0, "retry", 10, 6)]),
    "a ratio of nought leaves the reserve": ((0.0, 3, 2), [(0, "first", 100, 100), (0, "retry", 10, 6)]),
    "tower's test of an empty budget": ((1.0, 0, 1), [(0, "retry", 1, 0)]),
    "tower's test of a budget that leaks": ((1.0, 0, 1), [(0, "first", 1, 1), (3, "retry", 1, 0)]),
    "tower's test of slots": (
        (0.5, 0, 1),
        [
            (0, "first", 2, 2),
            (0.901, "retry", 1, 1),
            (2.902, "first", 1, 1),
            (3.203, "first", 1, 1),
            (4.004, "first", 1, 1),
            (4.004, "retry", 2, 1),
        ],
    ),
    "tower's test of the reserve": ((1.0, 5, 1), [(0, "retry", 6, 5)]),
}


@pytest.mark.parametrize(("parameters", "history"), BUDGET.values(), ids=BUDGET)
def test_a_budget_adds_up_as_towers_does(parameters: tuple[float, int, int], history: Budget) -> None:
    ratio, min_per_s, window_s = parameters
    throttle = gate_of("retry-budget", ratio=ratio, min_per_s=min_per_s, window_s=window_s)
    assert isinstance(throttle, BudgetThrottle)
    for now_s, what, asks, allowed in history:
        waits = Counter(throttle.wait_s(1e6 + now_s, RNG, first=what == "first") for _ in range(asks))
        assert waits == Counter({0.0: allowed, 1.0: asks - allowed})


def test_how_tries_end_does_not_change_a_budget() -> None:
    throttle = gate_of("retry-budget", min_per_s=1, window_s=1, ask_again_s=3)
    assert throttle.wait_s(0, RNG, first=False) == 0
    throttle.ended(True, 0)
    throttle.ended(False, 0)
    assert throttle.wait_s(0, RNG, first=False) == 3


# -- adaptive throttling ----------------------------------------------------------------------------

THROTTLE: dict[str, tuple[dict[str, float], int, int, float]] = {
    "nothing asked yet": ({}, 0, 0, 0.0),
    "all accepted": ({}, 100, 100, 0.0),
    "half accepted, which K = 2 allows": ({}, 100, 50, 0.0),
    "a quarter accepted": ({}, 100, 25, 50 / 101),
    "a tenth accepted": ({}, 100, 10, 80 / 101),
    "none of one accepted": ({}, 1, 0, 1 / 2),
    "none of 99 accepted": ({}, 99, 0, 99 / 100),
    "half accepted, which K = 1.1 does not allow": ({"k": 1.1}, 100, 50, 45 / 101),
}


@pytest.mark.parametrize(("parameters", "requests", "accepts", "expected"), THROTTLE.values(), ids=THROTTLE)
def test_the_probability_of_a_local_rejection_is_that_of_the_book(
    parameters: dict[str, float], requests: int, accepts: int, expected: float
) -> None:
    throttle = gate_of("sre-throttle", **parameters)
    assert isinstance(throttle, AdaptiveThrottle)
    for n in range(requests):
        throttle.wait_s(n * 0.1, RNG, first=False)
    for n in range(accepts):
        throttle.ended(True, 10 + n * 0.1)
    for _ in range(requests - accepts):
        throttle.ended(False, 20)
    assert throttle.rejection_probability(20) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("draw", "wait_s"),
    [(0.0, 1.0), (0.4999, 1.0), (0.5, 0.0), (0.9999, 0.0)],
    ids=["the least draw", "just below", "at the probability", "the greatest draw"],
)
def test_a_try_is_turned_away_where_the_draw_is_below_the_probability(draw: float, wait_s: float) -> None:
    throttle = gate_of("sre-throttle")
    assert throttle.wait_s(0, Draws(0.0), first=True) == 0
    assert throttle.wait_s(1, Draws(draw), first=False) == wait_s


def test_what_is_turned_away_counts_as_a_request_too() -> None:
    throttle = gate_of("sre-throttle", ask_again_s=2.5)
    assert isinstance(throttle, AdaptiveThrottle)
    waits = [throttle.wait_s(n, Draws(0.0), first=False) for n in range(4)]
    assert waits == [0, 2.5, 2.5, 2.5]
    assert throttle.rejection_probability(4) == pytest.approx(4 / 5)


@pytest.mark.parametrize(
    ("parameters", "still_s", "over_s"),
    [({}, 118.9, 120.1), ({"window_s": 30.0}, 29.7, 30.1)],
    ids=["two minutes", "half a minute"],
)
def test_requests_are_forgotten_after_the_window(
    parameters: dict[str, float], still_s: float, over_s: float
) -> None:
    throttle = gate_of("sre-throttle", **parameters)
    assert isinstance(throttle, AdaptiveThrottle)
    throttle.wait_s(0.0, RNG, first=False)
    assert throttle.rejection_probability(still_s) == 0.5
    assert throttle.rejection_probability(over_s) == 0.0


def test_a_client_that_nobody_accepts_tries_ever_more_rarely() -> None:
    clients, asks = 4_000, 12
    rng = random.Random(7)
    passed = Counter[int]()
    for _ in range(clients):
        throttle = gate_of("sre-throttle")
        passed.update(n for n in range(asks) if throttle.wait_s(n, rng, first=n == 0) == 0)
    for n in range(asks):
        assert passed[n] / clients == pytest.approx(1 / (n + 1), abs=0.025)


# -- token bucket -----------------------------------------------------------------------------------


def retries(throttle: Throttle, asks: int) -> list[float]:
    return [throttle.wait_s(0, RNG, first=False) for _ in range(asks)]


def test_a_full_bucket_pays_for_ten_retries_and_then_the_client_gives_up_for_good() -> None:
    assert retries(gate_of("token-bucket"), 12) == [0.0] * 10 + [math.inf] * 2


def test_first_tries_need_no_token_and_cost_none() -> None:
    throttle = gate_of("token-bucket", capacity=1)
    assert [throttle.wait_s(0, RNG, first=True) for _ in range(5)] == [0.0] * 5
    assert retries(throttle, 2) == [0.0, math.inf]
    assert throttle.wait_s(0, RNG, first=True) == 0.0


def test_a_shared_bucket_may_be_asked_again() -> None:
    assert retries(gate_of("token-bucket", capacity=2, shared=True, ask_again_s=4), 4) == [0.0, 0.0, 4.0, 4.0]


BUCKET: dict[str, tuple[dict[str, float], int, int]] = {
    "nine successes are not a token": ({}, 9, 0),
    "ten are one": ({}, 10, 1),
    "a hundred are ten": ({}, 100, 10),
    "and more do not fit": ({}, 1000, 10),
    "a smaller bucket": ({"capacity": 2.5}, 1000, 2),
    "half a token each": ({"per_success": 0.5}, 5, 2),
    "a third of a token each": ({"per_success": 0.333333333}, 10, 3),
    "no bucket at all": ({"capacity": 0}, 1000, 0),
}


@pytest.mark.parametrize(("parameters", "successes", "expected"), BUCKET.values(), ids=BUCKET)
def test_successes_refill_an_empty_bucket_up_to_its_capacity(
    parameters: dict[str, float], successes: int, expected: int
) -> None:
    throttle = gate_of("token-bucket", **parameters)
    assert isinstance(throttle, BucketThrottle)
    while throttle.wait_s(0, RNG, first=False) == 0:
        throttle.ended(False, 0)
    for _ in range(successes):
        throttle.ended(True, 0)
    assert retries(throttle, expected + 1) == [0.0] * expected + [math.inf]


# -- throttles of clients ---------------------------------------------------------------------------


class Listed:
    """A throttle that gives these waits, then admits, and writes down when it is asked and told."""

    def __init__(self, *waits_s: float) -> None:
        self.waits_s = list(waits_s)
        self.log: list[tuple[str, float]] = []

    def wait_s(self, now_s: float, rng: random.Random, first: bool) -> float:
        self.log.append(("first" if first else "again", now_s))
        return self.waits_s.pop(0) if self.waits_s else 0.0

    def ended(self, joined: bool, now_s: float) -> None:
        self.log.append(("joined" if joined else "failed", now_s))


def test_a_client_waits_for_its_delay_and_then_for_its_throttle_and_tells_it_the_end() -> None:
    throttle = Listed(0.5)
    delays = policy({"name": "grpc", "base_s": 2, "factor": 1, "jitter": 0})
    course = FollowedPolicy(Throttled(delays, throttle)).course(RNG)
    assert course.after(CLOSED, 60.0, 10.0) == Wait(2.0)
    assert [course.woken(12.0), course.woken(12.5)] == [Wait(0.5), Attempt()]
    assert course.after(CLOSED, 0.0, 13.0) == Wait(2.0)
    assert course.woken(15.0) == Attempt()
    course.start_over()
    course.joined(16.0)
    assert course.after(CLOSED, 4.0, 20.0) == Wait(2.0)
    course.woken(22.0)
    course.abandoned(23.0)
    assert throttle.log == [
        *(("first", 12.0), ("first", 12.5), ("failed", 13.0), ("again", 15.0), ("joined", 16.0)),
        *(("first", 22.0), ("failed", 23.0)),
    ]


def test_a_throttle_that_closes_for_good_stops_the_client() -> None:
    course = FollowedPolicy(Throttled(policy("naive"), Listed(math.inf))).course(RNG)
    assert course.after(CLOSED, 60.0, 0.0) == Wait(0.0)
    assert course.woken(0.0) == Stop(POLICY_ENDED)


def test_time_does_not_go_back_for_a_shared_throttle() -> None:
    throttle = Listed()
    shared = InOrder(throttle)
    for now_s in (3.0, 2.0, 5.0):
        shared.wait_s(now_s, RNG, first=False)
        shared.ended(True, now_s - 0.5)
    assert [now_s for _, now_s in throttle.log] == [3.0, 3.0, 3.0, 3.0, 5.0, 5.0]


# -- all of them ------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["circuit-breaker", "retry-budget", "sre-throttle", "token-bucket"]),
    st.booleans(),
    st.lists(st.tuples(st.floats(0, 5), st.booleans(), st.booleans()), max_size=60),
    st.integers(0, 2**32),
)
def test_a_gate_says_the_same_to_the_same_history_and_never_a_wait_that_is_no_time(
    name: str, shared: bool, history: list[tuple[float, bool, bool]], seed: int
) -> None:
    def waits() -> list[float]:
        throttle, rng, now_s = gate_of(name, shared=shared), random.Random(seed), 0.0
        said: list[float] = []
        for step_s, first, joined in history:
            now_s += step_s
            said.append(throttle.wait_s(now_s, rng, first=first))
            if said[-1] == 0:
                throttle.ended(joined, now_s)
        return said

    said = waits()
    assert said == waits()
    assert all(wait_s >= 0 for wait_s in said)


def test_throttled_clients_with_seeds_of_their_own_do_not_move_in_step() -> None:
    throttles = [gate_of("sre-throttle") for _ in range(2_000)]
    rngs = [random.Random(seed) for seed in range(2_000)]
    for throttle, rng in zip(throttles, rngs, strict=True):
        throttle.wait_s(0, rng, first=True)
    through = sum(
        throttle.wait_s(1, rng, first=False) == 0 for throttle, rng in zip(throttles, rngs, strict=True)
    )
    assert stats.binomtest(through, 2_000, 0.5).pvalue > 0.001
