"""An exact sliding window: how many connections of one address any window has in it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_stub.admission import Admitter
from gateway_stub.protocol import Admission
from gateway_stub.sliding_window import SlidingWindow, address_key, peer_key

SECOND_NS = 1_000_000_000


def let_in(times_s: list[float], connections: int, window_s: float, *, charge_refusals: bool = False) -> str:
    """One letter for each connection of one address: p for passed, r for refused."""
    window = SlidingWindow()
    return "".join(
        "p"
        if window.admits(
            "a",
            int(at_s * SECOND_NS),
            connections=connections,
            window_ns=int(window_s * SECOND_NS),
            charge_refusals=charge_refusals,
        )
        else "r"
        for at_s in times_s
    )


def test_a_place_is_free_when_the_oldest_connection_has_left_the_window() -> None:
    assert let_in([0, 30, 59, 60, 61, 90], 2, 60) == "pprprp"


def test_refused_attempts_that_count_keep_a_client_out_for_ever() -> None:
    every_second = [float(n) for n in range(300)]
    assert let_in(every_second, 10, 60, charge_refusals=True) == 10 * "p" + 290 * "r"
    assert let_in(every_second, 10, 60).count("p") == 50
    assert let_in([*range(20), 80], 10, 60, charge_refusals=True)[-1] == "p", "who waits for a window gets in"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=60), st.integers(1, 8), st.booleans())
def test_no_window_has_more_connections_in_it_than_the_limit_says(
    gaps_ms: list[int], connections: int, charge: bool
) -> None:
    times_s = (np.cumsum(gaps_ms) / 1000).tolist()
    letters = let_in(times_s, connections, 5, charge_refusals=charge)
    passed = [at for at, letter in zip(times_s, letters, strict=True) if letter == "p"]
    for first in passed:
        assert sum(first <= at < first + 5 for at in passed) <= connections


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::a:b:c:d", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
    ],
)
def test_a_whole_network_of_ipv6_is_one_address(address: str, key: str) -> None:
    assert address_key(address) == key


def test_the_proxy_says_last_who_asks_and_without_it_the_peer_does() -> None:
    assert peer_key("203.0.113.9, 192.0.2.7", "127.0.0.1") == "192.0.2.7"
    assert peer_key("", "127.0.0.1") == "127.0.0.1"
    assert peer_key("unknown", "127.0.0.1") == "unknown"


def test_where_the_header_is_not_looked_at_all_clients_share_one_address() -> None:
    for by_peer, second in ((False, True), (True, False)):
        admitter = Admitter(Admission(window_connections=1, window_s=60, window_by_peer=by_peer))
        assert admitter.fits_window("192.0.2.1", "127.0.0.1", 0)
        assert admitter.fits_window("192.0.2.2", "127.0.0.1", 1) is second
