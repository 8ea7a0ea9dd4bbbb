"""Source addresses: distinct, spread over networks, shared by as many clients as asked."""

import ipaddress
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.clients.addresses import PER_PROCESS, Seat, Seating, proxy_header, source_address
from scenarios.scenario.fleet.groups import MOST_ADDRESS_SHARES, AddressShare, Group
from scenarios.scenario.model import Fleet

LAST = 7_999_999


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


def test_addresses_share_no_network_of_three_octets() -> None:
    first, second, later = (source_address(index).split(".") for index in (0, 1, 200))
    assert first[2] != second[2]
    assert first[1] != later[1]


def test_beyond_the_last_address_there_is_an_error_with_the_number() -> None:
    with pytest.raises(ValueError, match=r"8000000: expected fewer than 8,000,000"):
        source_address(LAST + 1)


def seats(seating: Seating, clients: int) -> list[Seat]:
    return [seating.next() for _ in range(clients)]


@pytest.mark.parametrize(
    "clients_per_ip", [1, 3, 1_000], ids=["alone", "in threes", "behind a carrier's NAT"]
)
def test_so_many_clients_in_a_row_share_an_address(clients_per_ip: int) -> None:
    taken = seats(Seating(clients_per_ip), 3 * clients_per_ip + 1)
    assert taken == [
        Seat(source_address(index // clients_per_ip), clients_per_ip) for index in range(len(taken))
    ]


def test_processes_share_no_address() -> None:
    first, second = Seating(1), Seating(1, first_address=PER_PROCESS)
    assert not {seat.address for seat in seats(first, 3_000)} & {
        seat.address for seat in seats(second, 3_000)
    }
    assert Seating(2, first_address=PER_PROCESS).next().address == source_address(PER_PROCESS)


@st.composite
def address_shares(draw: st.DrawFn) -> tuple[AddressShare, ...]:
    sizes = draw(st.lists(st.integers(1, 60), min_size=1, max_size=MOST_ADDRESS_SHARES, unique=True))
    shares = draw(st.lists(st.floats(0.01, 1), min_size=len(sizes), max_size=len(sizes)))
    return tuple(
        AddressShare(share=share, clients_per_ip=size) for share, size in zip(shares, sizes, strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(address_shares(), st.integers(1, 400))
def test_shares_are_kept_at_every_moment_and_addresses_hold_as_many_as_they_should(
    shares: tuple[AddressShare, ...], clients: int
) -> None:
    taken = seats(Seating(shares), clients)
    total = sum(part.share for part in shares)
    by_size = Counter[int]()
    for count, seat in enumerate(taken, 1):
        by_size[seat.clients_per_ip] += 1
        for part in shares:
            # Nobody is ever a whole client ahead, so that nobody is far behind.
            assert by_size[part.clients_per_ip] < count * part.share / total + 1 + 1e-9
    on_address = Counter(taken)
    assert len(on_address) == len({seat.address for seat in taken})
    for part in shares:
        full = [on_address[seat] for seat in on_address if seat.clients_per_ip == part.clients_per_ip]
        assert all(number == part.clients_per_ip for number in full[:-1])
        assert all(number <= part.clients_per_ip for number in full[-1:])


def test_a_quarter_behind_one_address_and_the_others_alone() -> None:
    shares = (AddressShare(share=0.25, clients_per_ip=40), AddressShare(share=0.75, clients_per_ip=1))
    taken = seats(Seating(shares), 200)
    shared = Counter(seat.address for seat in taken if seat.clients_per_ip == 40)
    assert sorted(shared.values()) == [10, 40]
    assert len({seat.address for seat in taken if seat.clients_per_ip == 1}) == 150
    for four in range(0, 200, 4):
        assert sorted(seat.clients_per_ip for seat in taken[four : four + 4]) == [1, 1, 1, 40]


MIXED = Fleet(
    clients_per_ip=(AddressShare(share=0.5, clients_per_ip=1), AddressShare(share=0.5, clients_per_ip=10)),
    group=(
        Group(name="web"),
        Group(name="old", share=0.5),
        Group(name="mobile", share=0.2, clients_per_ip=4),
    ),
)


def test_groups_share_addresses_unless_they_have_their_own() -> None:
    taken = seats(Seating.of(MIXED), 200)
    assert Counter(seat.group for seat in taken) == {0: 60, 1: 100, 2: 40}
    groups_at: dict[str, set[int]] = {}
    for seat in taken:
        groups_at.setdefault(seat.address, set()).add(seat.group)
    shared = {seat.address for seat in taken if seat.clients_per_ip == 10}
    assert all(groups_at[address] == {0, 1} for address in shared)
    assert {seat.clients_per_ip for seat in taken if seat.group == 2} == {4}
    assert all(groups == {2} for groups in groups_at.values() if 2 in groups)


@pytest.mark.parametrize("group", [0, 1])
def test_each_group_has_its_share_of_those_behind_shared_addresses(group: int) -> None:
    sizes = Counter(seat.clients_per_ip for seat in seats(Seating.of(MIXED), 200) if seat.group == group)
    assert sizes[1] == sizes[10]


def test_a_proxy_header_names_both_ends() -> None:
    header = proxy_header("127.10.10.1", ("127.0.0.1", 3000), 1_024)
    assert header == b"PROXY TCP4 127.10.10.1 127.0.0.1 1024 3000\r\n"


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
@pytest.mark.parametrize(
    "clients_per_ip",
    [
        1,
        7,
        1_000,
        (AddressShare(share=0.9, clients_per_ip=40), AddressShare(share=0.1, clients_per_ip=1)),
    ],
    ids=["alone", "seven", "all of them", "mixed"],
)
def test_processes_seat_one_fleet_between_them(clients_per_ip: Any, processes: int) -> None:
    whole = seats(Seating(clients_per_ip), 50)
    parts = [Seating(clients_per_ip, first=index, step=processes) for index in range(processes)]
    # Users are dealt out to processes one after the other.
    assert [parts[number % processes].next() for number in range(50)] == whole


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_processes_agree_on_the_group_of_each_client(processes: int) -> None:
    whole = seats(Seating.of(MIXED), 50)
    parts = [Seating.of(MIXED, first=index, step=processes) for index in range(processes)]
    assert [parts[number % processes].next() for number in range(50)] == whole
