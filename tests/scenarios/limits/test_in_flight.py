"""A cap on requests in flight: how many of an address fit, one after the other and many at once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.limits.in_flight import InFlight, InFlightRule

RULE = InFlightRule(name="concurrent-per-ip", connections=2)
KEYS = np.array([0, 0, 0, 0, 1, 1, -1, -1])
"""Of eight clients; the last two are exempt."""


def test_as_many_of_an_address_fit_as_the_rule_says() -> None:
    state = InFlight(RULE, KEYS)
    everybody = np.arange(8)
    assert state.fits(everybody).tolist() == [True, True, False, False, True, True, True, True]
    state.begin(np.array([0, 1, 4, 6]))
    assert state.fits(np.array([2, 5, 7])).tolist() == [False, True, True]
    state.end(np.array([0, 2, 6]))
    assert state.fits(np.array([2, 3])).tolist() == [True, False]


def test_another_cap_of_the_same_name_counts_what_is_in_flight() -> None:
    state = InFlight(RULE, KEYS)
    state.begin(np.array([0, 1]))
    wider = InFlight(InFlightRule(name=RULE.name, connections=3), KEYS, state)
    assert wider.fits(np.array([2, 3])).tolist() == [True, False]


def test_every_request_counts_whether_or_not_it_has_a_session() -> None:
    rule = InFlightRule(name="x", connections=1, exempt=("10.0.0.0/8",))
    assert rule.counts_as("192.0.2.1", new=False) == "192.0.2.1"
    assert rule.counts_as("2001:db8::1:2:3:4", new=True) == "2001:db8::/64"
    assert rule.counts_as("10.1.2.3", new=True) == ""


moves = st.lists(st.lists(st.integers(0, 7), unique=True, max_size=8), max_size=20)


@settings(max_examples=100, deadline=None)
@given(moves)
def test_at_once_decides_as_one_after_the_other(moves: list[list[int]]) -> None:
    """Who is in leaves when it is named again; others ask."""
    state, inside = InFlight(RULE, KEYS), set[int]()
    for named in moves:
        leaving = [client for client in named if client in inside]
        state.end(np.array(leaving, np.int64))
        inside -= set(leaving)
        asking = [client for client in named if client not in leaving]
        expected = []
        for client in asking:
            key = KEYS[client]
            fits = bool(key < 0 or RULE.admits(sum(KEYS[other] == key for other in inside)))
            inside |= {client} if fits else set()
            expected.append(fits)
        found = state.fits(np.array(asking, np.int64))
        assert found.tolist() == expected
        state.begin(np.array(asking, np.int64)[found])
