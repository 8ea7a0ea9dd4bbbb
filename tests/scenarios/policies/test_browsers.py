"""What browsers add to the policy of a client in a page."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.policies.browsers import ChromiumThrottle, FirefoxThrottle
from scenarios.policies.following import Course, PolicyError
from scenarios.policies.orders import Attempt, Stop, Wait
from scenarios.policies.outcome import Outcome, OutcomeKind
from scenarios.policies.registry import policy
from scenarios.policies.throttles import Throttle

LOST = Outcome(kind=OutcomeKind.CLOSED)
FAILED = Outcome(kind=OutcomeKind.REFUSED)


def waited_s(throttle: Throttle, at_s: float, seed: int = 1) -> float:
    """How long an attempt waits that is wanted at that time."""
    rng, now_s = random.Random(seed), at_s
    while wait_s := throttle.wait_s(now_s, rng, False):
        now_s += wait_s
    return now_s - at_s


def after_failures(throttle: Throttle, failures: int, made: int = 0, at_s: float = 0.0) -> Throttle:
    for joined in [True] * made + [False] * failures:
        waited_s(throttle, at_s)
        throttle.ended(joined, at_s)
    return throttle


@pytest.mark.parametrize("failures", [0, 1, 5, 10, 15, 16, 17, 100])
@pytest.mark.parametrize("made", [0, 1, 4])
def test_chromium_doubles_with_failures_by_successes_up_to_five_seconds(failures: int, made: int) -> None:
    scale = 2.0 ** (min(16, failures // (made + 1)) - 16)
    for seed in range(50):
        wait_s = waited_s(after_failures(ChromiumThrottle(), failures, made), 0.0, seed)
        assert 1.0 * scale <= wait_s <= 5.0 * scale


@pytest.mark.parametrize(("at_s", "remembers"), [(119.0, True), (239.0, True), (241.0, False)])
def test_chromium_counts_this_period_of_two_minutes_and_the_last(at_s: float, remembers: bool) -> None:
    throttle = after_failures(ChromiumThrottle(), 16)
    assert (waited_s(throttle, at_s) >= 1.0) == remembers


def test_firefox_waits_from_the_failure_on_and_longer_each_time_up_to_a_minute() -> None:
    throttle, now_s, waits_s = FirefoxThrottle(), 0.0, []
    for _ in range(20):
        throttle.ended(False, now_s)
        waits_s.append(waited_s(throttle, now_s))
        now_s += waits_s[-1]
    assert 0.2 <= waits_s[0] <= 0.4
    for wait_s, longer_s in pairwise(waits_s):
        assert longer_s == pytest.approx(min(60.0, wait_s * 1.5))


def test_firefox_does_not_hold_back_who_has_waited_long_enough() -> None:
    throttle = FirefoxThrottle()
    throttle.ended(False, 10.0)
    assert waited_s(throttle, 10.5) == 0.0


@pytest.mark.parametrize(("then_s", "first_again"), [(30.0, False), (62.0, True)])
def test_firefox_forgets_a_minute_after_the_wait(then_s: float, first_again: bool) -> None:
    throttle = FirefoxThrottle()
    for _ in range(3):
        throttle.ended(False, 0.0)
        waited_s(throttle, 0.0)
    waited_s(throttle, then_s)
    throttle.ended(False, then_s)
    assert (waited_s(throttle, then_s) <= 0.4) == first_again


def test_firefox_forgets_once_a_connection_was_made() -> None:
    throttle = FirefoxThrottle()
    throttle.ended(False, 0.0)
    throttle.ended(True, 0.0)
    assert waited_s(throttle, 0.0) == 0.0


def attempts_s(name: str, client: str, until_s: float, seed: int) -> list[float]:
    """When a client in a browser makes its attempts if each is refused at once."""
    course = Course(policy({"name": name, "policy": client}).for_clients()(), random.Random(seed))
    now_s, found = 0.0, list[float]()
    order = course.after(LOST, 60.0, now_s)
    while now_s < until_s and type(order) is not Stop:
        if type(order) is Wait:
            now_s += order.seconds
            order = course.woken(now_s)
        else:
            assert type(order) is Attempt
            found.append(now_s)
            order = course.after(FAILED, 0.0, now_s)
    return found


@given(st.sampled_from(["socketio-js", "phoenix", "signalr", "mqtt-js"]), st.integers(0, 50))
def test_firefox_leaves_the_first_attempt_of_an_outage_as_the_client_wants_it(client: str, seed: int) -> None:
    wanted_s = Course(policy(client).for_clients()(), random.Random(seed)).after(LOST, 60.0, 0.0)
    assert attempts_s("firefox", client, 60.0, seed)[0] == wanted_s


def test_an_immediate_retry_becomes_one_in_three_seconds_in_chromium() -> None:
    late = [at_s for at_s in attempts_s("chromium", "naive", 110.0, 1) if at_s > 20.0]
    assert 20 <= len(late) <= 45


def test_what_stops_the_client_stops_it_in_a_browser_too() -> None:
    course = Course(policy("firefox").for_clients()(), random.Random(1))
    assert course.after(Outcome(kind=OutcomeKind.NAMESPACE_DISCONNECT), 9.0, 0.0) == Stop(
        OutcomeKind.NAMESPACE_DISCONNECT
    )


def test_an_unknown_client_is_refused_with_its_name() -> None:
    with pytest.raises(PolicyError, match="invalid value 'socketio-jss'"):
        policy({"name": "firefox", "policy": "socketio-jss"})
