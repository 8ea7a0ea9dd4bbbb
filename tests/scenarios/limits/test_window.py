"""The counter of a sliding window is HAProxy's: worked-out cases, and what it lets in at the most."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.limits.window import Counter, WindowRule, decide


def rule(connections: int, window_s: int = 10, *, charge_refusals: bool = False) -> WindowRule:
    return WindowRule(name="w", connections=connections, window_s=window_s, charge_refusals=charge_refusals)


def let_in(of: WindowRule, times_ms: list[int]) -> str:
    """One letter for each request of one key: p for passed, r for refused."""
    counter, letters = Counter(), ""
    for at_ms in times_ms:
        passed, counter = decide(of, counter, at_ms)
        letters += "p" if passed else "r"
    return letters


CASES: dict[str, tuple[WindowRule, list[int], str]] = {
    "as many as it says, at once": (rule(3), [0, 0, 0, 0], "pppr"),
    "the window has to pass": (rule(2), [0, 0, 9_999, 10_000], "pprr"),
    "half of the window before still counts": (rule(2), [0, 0, 15_000, 15_000], "pppr"),
    "all is forgotten after two windows": (rule(2), [0, 0, 20_001, 20_001, 20_001], "ppppr"),
    "what was before is taken for evenly spread": (rule(4), [0, 0, 0, 0, 15_000, 15_000, 15_000], "ppppppr"),
    "a single one counts in full until the second window is over": (rule(1), [0, 19_999, 20_001], "prp"),
    "who waits gets in although refusals are charged": (
        rule(2, charge_refusals=True),
        [0, 0, 1_000, 30_000],
        "pprp",
    ),
    "who never waits keeps himself out": (
        rule(2, charge_refusals=True),
        [1_000 * n for n in range(40)],
        "pp" + 38 * "r",
    ),
    "without a charge he gets in again": (
        rule(2),
        [1_000 * n for n in range(21)],
        "pp" + 9 * "r" + "prrrrprrrr",
    ),
}


@pytest.mark.parametrize(("of", "times_ms", "letters"), CASES.values(), ids=CASES)
def test_a_window_decides_as_haproxy_does(of: WindowRule, times_ms: list[int], letters: str) -> None:
    assert let_in(of, times_ms) == letters


rules = st.builds(
    lambda connections, window_s, charge: rule(connections, window_s, charge_refusals=charge),
    st.integers(1, 12),
    st.integers(1, 20),
    st.booleans(),
)
gaps = st.lists(st.integers(0, 6_000), min_size=1, max_size=50)


@settings(max_examples=150, deadline=None)
@given(rules, gaps)
def test_no_window_of_the_counter_lets_in_more_than_twice_what_the_limit_says(
    of: WindowRule, gaps: list[int]
) -> None:
    times_ms = np.cumsum(gaps).tolist()
    passed = [at for at, letter in zip(times_ms, let_in(of, times_ms), strict=True) if letter == "p"]
    for begin, first in enumerate(passed):
        within = [at for at in passed[begin:] if at < first + of.period_ms]
        assert len(within) <= 2 * of.connections
