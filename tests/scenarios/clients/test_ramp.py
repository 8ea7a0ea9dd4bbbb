"""A gentle ramp: no more first attempts under way than the gateway answers in good time."""

from hypothesis import given
from hypothesis import strategies as st

from scenarios.clients.ramp import Ramp

QUICK_NS, SLOW_NS = 10_000_000, 900_000_000


class Newcomer:
    """A client that counts its attempts."""

    def __init__(self) -> None:
        self.attempts = 0

    def begin_attempt(self) -> None:
        self.attempts += 1


def ramp_with(clients: int) -> tuple[Ramp, list[Newcomer]]:
    ramp, newcomers = Ramp.for_timeout(1.0), [Newcomer() for _ in range(clients)]
    for newcomer in newcomers:
        ramp.wait(newcomer)
    return ramp, newcomers


def begun(newcomers: list[Newcomer]) -> int:
    return sum(newcomer.attempts for newcomer in newcomers)


def test_a_few_clients_begin_and_the_others_wait() -> None:
    _, newcomers = ramp_with(100)
    assert begun(newcomers) == 4


def test_quick_joins_let_more_clients_begin() -> None:
    ramp, newcomers = ramp_with(100)
    for _ in range(20):
        ramp.ended(joined=True, took_ns=QUICK_NS)
    assert ramp.limit == 14
    assert begun(newcomers) == 20 + 14


def test_slow_joins_and_failed_attempts_let_fewer_begin_but_never_none() -> None:
    ramp, newcomers = ramp_with(100)
    ramp.ended(joined=True, took_ns=QUICK_NS)
    for joined in (True, False, True, False):
        ramp.ended(joined=joined, took_ns=SLOW_NS)
    assert ramp.limit == 1
    ramp.ended(joined=True, took_ns=SLOW_NS)
    assert begun(newcomers) == 6 + 1


def test_a_gateway_that_takes_its_time_for_each_client_is_not_taken_for_a_busy_one() -> None:
    ramp, _ = ramp_with(100)
    for _ in range(20):
        ramp.ended(joined=True, took_ns=SLOW_NS)
    assert ramp.limit == 14
    for _ in range(12):
        ramp.ended(joined=True, took_ns=2 * SLOW_NS + 1)  # twice as slow: they wait for each other
    assert ramp.limit == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2 * SLOW_NS)), max_size=300))
def test_never_are_more_attempts_under_way_than_the_limit_allows_and_everybody_gets_a_turn(
    endings: list[tuple[bool, int]],
) -> None:
    ramp, newcomers = ramp_with(50)
    ended = 0
    for joined, took_ns in endings:
        if begun(newcomers) == ended:
            break
        others = begun(newcomers) - ended - 1
        ramp.ended(joined=joined, took_ns=took_ns)
        ended += 1
        assert begun(newcomers) - ended <= max(others, ramp.limit)
    while begun(newcomers) > ended:
        ramp.ended(joined=True, took_ns=QUICK_NS)
        ended += 1
    assert [newcomer.attempts for newcomer in newcomers] == [1] * 50
