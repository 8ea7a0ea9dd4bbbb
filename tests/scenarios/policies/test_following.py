"""One client's way through its policy: who is told what, when it starts over, and when it stops for good."""

import random
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.policies.following import Course, FollowedPolicy, Policy, PolicyError, delays_if_all_fail
from scenarios.policies.orders import POLICY_ENDED, Attempt, Order, Stop, Told, Wait
from scenarios.policies.outcome import Outcome, OutcomeKind, Reset, Sees
from scenarios.policies.registry import POLICIES, policy

REFUSED = Outcome(kind=OutcomeKind.HTTP_STATUS, status=503, retry_after_s=7.0)
CLOSED = Outcome(kind=OutcomeKind.CLOSED)
LEFT = Outcome(kind=OutcomeKind.NAMESPACE_DISCONNECT)


class Simple:
    """A policy of these orders."""

    reset: Reset = "open"

    def __init__(
        self,
        delays: Callable[[], Iterator[Any]],
        *,
        stops_on: frozenset[OutcomeKind] = frozenset(),
        sees: Sees = "all",
    ) -> None:
        self._delays = delays
        self.stops_on, self.sees = stops_on, sees

    def delays(self, rng: random.Random) -> Iterator[float]:
        return self._delays()

    def for_clients(self) -> Callable[[], Policy]:
        return lambda: self


def course(delays: Callable[[], Iterator[Any]], **options: Any) -> Course:
    return FollowedPolicy(Simple(delays, **options)).course(random.Random(1))


def noting(log: list[Outcome]) -> Callable[[], Told]:
    """A generator that writes down what it is told; its delays are 0, 1, 2, …"""

    def delays() -> Told:
        outcome = yield
        for delay_s in count():
            log.append(outcome)
            outcome = yield float(delay_s)

    return delays


def after(made: Course, *outcomes: Outcome, session_s: float = 0.0) -> list[Order]:
    return [made.after(outcome, session_s, 3.0) for outcome in outcomes]


def test_a_generator_that_begins_with_a_bare_yield_is_told_what_has_happened_each_time() -> None:
    log: list[Outcome] = []
    made = course(noting(log))
    assert after(made, CLOSED, REFUSED, session_s=2.5) == [0.0, 1.0]
    assert [(each.kind, each.status, each.session_s, each.at_s) for each in log] == [
        (OutcomeKind.CLOSED, None, 2.5, 3.0),
        (OutcomeKind.HTTP_STATUS, 503, 2.5, 3.0),
    ]


def test_it_is_told_what_its_client_can_see() -> None:
    log: list[Outcome] = []
    after(course(noting(log), sees="browser"), REFUSED)
    assert [(each.kind, each.status, each.retry_after_s, each.close_code) for each in log] == [
        (OutcomeKind.CLOSED, None, None, 1006)
    ]


def test_a_generator_that_begins_with_a_delay_is_sent_nothing() -> None:
    sent: list[Any] = []

    def delays() -> Iterator[float]:
        sent.append((yield 1.0))
        sent.append((yield 2.0))
        sent.append((yield 3.0))

    assert after(course(delays), CLOSED, REFUSED, REFUSED, REFUSED) == [1.0, 2.0, 3.0, Stop(POLICY_ENDED)]
    assert sent == [None] * 3


@pytest.mark.parametrize("delays", [[], [1.0], (0.5, 2.0)], ids=str)
def test_any_iterator_will_do_and_its_end_stops_the_client(delays: list[float]) -> None:
    found = after(course(lambda: iter(delays)), *[CLOSED] * (len(delays) + 1))
    assert found == [*delays, Stop(POLICY_ENDED)]


# -- stopping ---------------------------------------------------------------------------------------


def gives_up_on_403() -> Told:
    outcome = yield
    while outcome.status != 403:
        outcome = yield 1.0


@pytest.mark.parametrize("before", [0, 1, 5])
def test_a_generator_that_returns_stops_the_client_for_what_it_was_told(before: int) -> None:
    forbidden = Outcome(kind=OutcomeKind.HTTP_STATUS, status=403)
    found = after(course(gives_up_on_403), *[REFUSED] * before, forbidden)
    assert found == [1.0] * before + [Stop("http_status")]


@pytest.mark.parametrize("told", [False, True], ids=["plain", "told"])
def test_a_policy_stops_on_the_kinds_that_it_names_from_the_first_outcome_on(told: bool) -> None:
    delays = noting([]) if told else lambda: iter([1.0, 2.0])
    stopping = frozenset({OutcomeKind.NAMESPACE_DISCONNECT})
    assert after(course(delays, stops_on=stopping), LEFT) == [Stop("namespace_disconnect")]
    assert after(course(delays, stops_on=stopping), CLOSED, LEFT)[1:] == [Stop("namespace_disconnect")]
    assert Stop("namespace_disconnect") not in after(course(delays), LEFT, LEFT)


def test_a_browser_cannot_stop_on_a_status_that_it_does_not_see() -> None:
    stopping = frozenset({OutcomeKind.HTTP_STATUS})
    assert after(course(lambda: iter([1.0]), stops_on=stopping, sees="browser"), REFUSED) == [1.0]
    assert after(course(lambda: iter([1.0]), stops_on=stopping), REFUSED) == [Stop("http_status")]


# -- starting over ----------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [False, True], ids=["plain", "told"])
def test_a_reset_begins_a_new_iterator_before_the_next_delay(told: bool) -> None:
    made = course(noting([]) if told else lambda: iter([0.0, 1.0, 2.0]))
    assert after(made, CLOSED, REFUSED) == [0.0, 1.0]
    made.start_over()
    made.start_over()
    assert after(made, CLOSED, REFUSED) == [0.0, 1.0]


def test_the_generator_that_made_an_attempt_hears_how_it_ended_before_it_is_replaced() -> None:
    log: list[Outcome] = []
    made = course(noting(log))
    after(made, CLOSED)
    made.start_over()
    after(made, LEFT)
    assert [each.kind for each in log] == [CLOSED.kind, LEFT.kind, LEFT.kind]


def test_a_generator_may_stop_the_client_although_the_back_off_resets() -> None:
    made = course(gives_up_on_403)
    after(made, CLOSED)
    made.start_over()
    assert after(made, Outcome(kind=OutcomeKind.HTTP_STATUS, status=403)) == [Stop("http_status")]


@pytest.mark.parametrize(("said", "expected"), [(None, "joined"), ("never", "never"), (30.0, 30.0)], ids=repr)
def test_the_scenario_overrides_when_a_policy_resets(said: Reset | None, expected: Reset) -> None:
    assert FollowedPolicy(policy("socketio-python"), said).reset == expected


# -- waiting, and joins -----------------------------------------------------------------------------


def careful(log: list[str]) -> Callable[[], Told]:
    """Waits twice, makes an attempt, and hears of its join."""

    def delays() -> Told:
        outcome = yield
        while True:
            log.append(outcome.kind)
            woken = yield Wait(1.0)
            log.append(f"{woken.kind} at {woken.at_s}")
            yield Wait(2.0)
            outcome = yield Attempt()
            if outcome.kind is OutcomeKind.JOINED:
                log.append(outcome.kind)
                outcome = yield

    return delays


def test_a_generator_is_asked_again_after_a_wait_and_told_of_a_join_that_it_asked_for() -> None:
    log: list[str] = []
    made = course(careful(log))
    assert after(made, CLOSED) == [Wait(1.0)]
    assert [made.woken(4.0), made.woken(6.0)] == [Wait(2.0), Attempt()]
    made.joined(7.0)
    made.joined(7.5)
    assert after(made, LEFT) == [Wait(1.0)]
    assert log == ["closed", "woken at 4.0", "joined", "namespace_disconnect"]


def test_nobody_is_told_of_a_join_who_has_not_asked() -> None:
    log: list[Outcome] = []
    made = course(noting(log))
    after(made, CLOSED)
    made.joined(4.0)
    made.abandoned(5.0)
    assert len(log) == 1


@pytest.mark.parametrize("waits", [0, 1, 2])
def test_a_client_that_leaves_says_so_only_where_an_attempt_is_under_way(waits: int) -> None:
    log: list[str] = []
    made = course(careful(log))
    after(made, CLOSED)
    for _ in range(waits):
        made.woken(4.0)
    made.abandoned(9.0)
    made.abandoned(9.0)
    assert log.count("abandoned") == (waits == 2)


@pytest.mark.parametrize("first", [True, False])
def test_a_pushed_policy_knows_whether_an_attempt_was_made_since_the_last_session(first: bool) -> None:
    log: list[Outcome] = []
    assert course(noting(log)).pushed(first=first, at_s=2.0) == 0.0
    assert [(each.kind, each.had_session) for each in log] == [(OutcomeKind.ABANDONED, first)]


def silent() -> Told:
    while True:
        yield


def talks_at_joins() -> Told:
    yield
    while True:
        yield Attempt()


def test_a_generator_that_has_no_answer_fails_with_what_is_expected() -> None:
    with pytest.raises(PolicyError, match="invalid value None: expected a delay, a Wait or an end"):
        after(course(silent), CLOSED)
    made = course(talks_at_joins)
    after(made, CLOSED)
    with pytest.raises(PolicyError, match="expected a bare yield"):
        made.joined(2.0)


# -- without a client -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [name for name in POLICIES if not Course(policy(name), random.Random(0)).is_told()]
)
def test_delays_without_a_client_are_those_of_the_policy(name: str) -> None:
    chosen = policy(name)
    plain = list(islice(chosen.delays(random.Random(4)), 30))
    assert list(islice(delays_if_all_fail(chosen, random.Random(4)), 30)) == plain


@given(st.lists(st.floats(0, 100), min_size=1, max_size=5))
def test_several_waits_before_an_attempt_are_one_delay(waits_s: list[float]) -> None:
    def delays() -> Told:
        yield
        while True:
            for wait_s in waits_s:
                yield Wait(wait_s)
            yield Attempt()

    (found,) = islice(delays_if_all_fail(Simple(delays), random.Random(1)), 1)
    assert found == pytest.approx(sum(waits_s))
