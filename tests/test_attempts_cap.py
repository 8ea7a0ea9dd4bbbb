"""The cap on attempts: so many in a second, the others later."""

from collections import Counter
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.clients.population import AttemptsCap

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
