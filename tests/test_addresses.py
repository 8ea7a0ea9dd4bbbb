"""Source addresses: distinct, spread over networks, shared by as many clients as asked."""

import ipaddress
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.clients.addresses import address_of_client, source_address

LAST = 7_999_999


@pytest.fixture
def _on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, LAST))
def test_every_address_is_a_host_in_127_but_never_in_127_0_0(index: int) -> None:
    address = ipaddress.ip_address(source_address(index))
    assert address in ipaddress.ip_network("127.0.0.0/8")
    assert address not in ipaddress.ip_network("127.0.0.0/16")
    assert 1 <= address.packed[3] <= 254


@settings(max_examples=200, deadline=None)
@given(st.integers(0, LAST), st.integers(0, LAST))
def test_different_indices_have_different_addresses(one: int, other: int) -> None:
    assert (source_address(one) == source_address(other)) == (one == other)


@pytest.mark.parametrize("start", [0, 39_000, LAST - 2_999], ids=["the first", "across a wrap", "the last"])
def test_a_range_of_addresses_is_distinct(start: int) -> None:
    assert len({source_address(index) for index in range(start, start + 3_000)}) == 3_000


def test_the_first_forty_thousand_differ_in_what_ip_hash_looks_at() -> None:
    networks = Counter(source_address(index).rpartition(".")[0] for index in range(40_000))
    assert len(networks) == 40_000


def test_neighbours_share_no_network_of_three_octets() -> None:
    first, second, later = (source_address(index).split(".") for index in (0, 1, 200))
    assert first[2] != second[2]
    assert first[1] != later[1]


def test_beyond_the_last_address_there_is_an_error_with_the_number() -> None:
    with pytest.raises(ValueError, match=r"8000000: found more than 8,000,000"):
        source_address(LAST + 1)


@pytest.mark.usefixtures("_on_linux")
@pytest.mark.parametrize(
    "clients_per_ip", [1, 3, 1_000], ids=["alone", "in threes", "behind a carrier's NAT"]
)
def test_so_many_clients_share_an_address(clients_per_ip: int) -> None:
    shared = Counter(address_of_client(index, clients_per_ip) for index in range(3 * clients_per_ip + 1))
    assert sorted(shared.values()) == [1, *[clients_per_ip] * 3]
    assert address_of_client(clients_per_ip - 1, clients_per_ip) == source_address(0)


def test_a_system_that_cannot_bind_to_all_of_127_lets_the_kernel_choose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert address_of_client(5, 1) is None
