"""The cap on attempts: so many in a second, the others later."""

from collections import Counter
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.clients.population import AttemptsCap, cap_of
from scenarios.fields import share_of
from scenarios.scenario.model import Fleet
from scenarios.scenario.validate import ScenarioError

SECOND_NS = 1_000_000_000
steps_ns = st.lists(
    st.sampled_from([0, 0, 1, 999, SECOND_NS // 3, SECOND_NS - 1, SECOND_NS, 3 * SECOND_NS]), max_size=60
)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 7), st.integers(0, 10**15), steps_ns)
def test_every_try_gets_the_first_second_with_a_place_that_is_not_before_another_ones(
    per_second: int, start_ns: int, steps: list[int]
) -> None:
    cap = AttemptsCap(per_second)
    wanted = list(accumulate(steps, initial=start_ns))
    waits = [cap.wait_ns(now_ns) for now_ns in wanted]
    begins = [now_ns + wait_ns for now_ns, wait_ns in zip(wanted, waits, strict=True)]
    taken: Counter[int] = Counter()
    second = 0
    for now_ns, wait_ns, begin_ns in zip(wanted, waits, begins, strict=True):
        second = max(second, now_ns // SECOND_NS)
        second += taken[second] == per_second
        taken[second] += 1
        assert begin_ns // SECOND_NS == second
        assert (wait_ns == 0) == (second == now_ns // SECOND_NS)
    held_back = [begin_ns for wait_ns, begin_ns in zip(waits, begins, strict=True) if wait_ns]
    assert all(earlier < later for earlier, later in pairwise(held_back))


def test_those_held_back_are_spread_over_their_second() -> None:
    cap = AttemptsCap(4)
    now_ns = 7 * SECOND_NS + 900_000_000
    waits_ms = [cap.wait_ns(now_ns) / 1_000_000 for _ in range(10)]
    assert waits_ms == [0, 0, 0, 0, 100, 350, 600, 850, 1_100, 1_350]


@pytest.mark.parametrize("now_ns", [0, 5 * SECOND_NS], ids=["at zero", "later"])
def test_without_a_cap_nobody_waits(now_ns: int) -> None:
    cap = AttemptsCap(0)
    assert {cap.wait_ns(now_ns) for _ in range(1_000)} == {0}


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 7), steps_ns, st.lists(st.booleans(), min_size=60, max_size=60))
def test_places_that_are_given_back_are_taken_by_others_and_no_second_gets_more_than_its_tries(
    per_second: int, steps: list[int], gives_up: list[bool]
) -> None:
    cap = AttemptsCap(per_second)
    waiting: list[int] = []
    begun: Counter[int] = Counter()
    for now_ns, giving_up in zip(accumulate(steps, initial=0), gives_up, strict=False):
        second = now_ns // SECOND_NS
        if giving_up and waiting:
            place_ns = waiting.pop()
            begun[place_ns // SECOND_NS] -= 1
            cap.give_back(place_ns)
        waiting = [place_ns for place_ns in waiting if place_ns > now_ns]
        free_now = begun[second] < per_second
        wait_ns = cap.wait_ns(now_ns)
        begun[(now_ns + wait_ns) // SECOND_NS] += 1
        assert max(begun.values()) <= per_second
        assert not free_now or not wait_ns
        waiting += [now_ns + wait_ns] if wait_ns else []


def test_whoever_comes_after_a_crowd_that_gave_up_does_not_wait_behind_it() -> None:
    cap = AttemptsCap(100)
    waits = [cap.wait_ns(0) for _ in range(10_000)]
    assert max(waits) >= 99 * SECOND_NS
    for wait_ns in waits:
        if wait_ns:
            cap.give_back(wait_ns)
    again = [cap.wait_ns(SECOND_NS // 2) for _ in range(10_000)]
    assert min(wait_ns + SECOND_NS // 2 for wait_ns in again if wait_ns) < 2 * SECOND_NS
    assert max(again) < 101 * SECOND_NS


@pytest.mark.parametrize("processes", range(1, 9))
@pytest.mark.parametrize("whole", [0, 1, 5, 8, 10, 99, 1_000_000])
def test_shares_of_all_processes_are_the_whole_and_differ_by_one_at_the_most(
    whole: int, processes: int
) -> None:
    shares = [share_of(whole, index, processes) for index in range(processes)]
    assert sum(shares) == whole
    assert max(shares) - min(shares) <= 1
    assert share_of(whole, processes, processes) == 0


@pytest.mark.parametrize(
    ("cap", "index", "processes"), [(5, 0, 8), (1, 0, 2), (10, 3, 3), (7, 9, 2)], ids=str
)
def test_a_cap_that_leaves_a_process_nothing_is_refused(cap: int, index: int, processes: int) -> None:
    needed = max(processes, index + 1)
    with pytest.raises(
        ScenarioError,
        match=rf"fleet\.max_attempts_per_s: invalid value {cap}: expected 0, or at least {needed}",
    ):
        cap_of(Fleet(max_attempts_per_s=cap), index, processes)


def test_without_a_cap_there_is_nothing_to_divide() -> None:
    assert [cap_of(Fleet(), index, 3) for index in range(5)] == [0] * 5
