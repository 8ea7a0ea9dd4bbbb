"""Source addresses: one for every so many clients, in 127/8 and spread over distinct networks.

Neighbouring addresses would share their first three octets, which is all that `ip_hash` looks at, so the
last octet changes slowest. Binding to 127/8 without further set-up is a feature of Linux.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from scenarios.scenario.fleet.groups import ClientsPerIp, address_kinds
from scenarios.scenario.fleet.order import GroupOrder
from scenarios.scenario.model import Fleet

PER_PROCESS = 100_000
"""Addresses for a generator process that comes late; those before it share theirs out among them."""

_FIRST = 10
_NETWORKS = 200


def first_octets(address_index: Any) -> tuple[int, Any, Any]:
    """The first three octets of the address with that index, or of the addresses with an array of them."""
    second, third = divmod(address_index % _NETWORKS**2, _NETWORKS)
    return 127, _FIRST + second, _FIRST + third


def source_address(address_index: int) -> str:
    """The address with that index; all are distinct up to 8,000,000 and avoid 127.0.0.x."""
    last = address_index // _NETWORKS**2
    if last >= 200:
        raise ValueError(f"address index {address_index}: expected fewer than 8,000,000")
    return f"{'.'.join(map(str, first_octets(address_index)))}.{1 + last}"


class Seat(Struct, frozen=True):
    """Where one client sits: which source address, how many share it, and its group."""

    address: str
    clients_per_ip: int
    group: int = 0
    """Place of the group in the fleet."""


class Seating:
    """Hands out seats, one after the other; the shares are kept at every moment.

    groups: share of each group, and its own clients per IP; those of groups without are `clients_per_ip`, and
    their clients share addresses with each other. first_address: index of the first source address to use.
    first, step: which seats to hand out, for several generator processes seat the clients of one fleet: seat
    number `first`, and then every `step`-th one.
    """

    def __init__(
        self,
        clients_per_ip: ClientsPerIp,
        first_address: int = 0,
        *,
        groups: Sequence[tuple[float, ClientsPerIp | None]] = ((1.0, None),),
        first: int = 0,
        step: int = 1,
    ) -> None:
        self._order = GroupOrder([share for share, _ in groups])
        common = _Addresses(clients_per_ip)
        self._addresses = [common if own is None else _Addresses(own) for _, own in groups]
        # Each group has its own share of crowded addresses.
        self._seated = [[0] * len(addresses.sizes) for addresses in self._addresses]
        self._next_address = first_address
        self._skip = first
        self._step = step

    @classmethod
    def of(cls, fleet: Fleet, first_address: int = 0, *, first: int = 0, step: int = 1) -> "Seating":
        """The seats of a fleet."""
        groups = [(part.share, part.own_clients_per_ip) for part in fleet.parts]
        return cls(fleet.clients_per_ip, first_address, groups=groups, first=first, step=step)

    def next(self) -> Seat:
        """The next client's seat."""
        for _ in range(self._skip):
            self._take()
        self._skip = self._step - 1
        group, part = self._take()
        addresses = self._addresses[group]
        return Seat(source_address(addresses.open[part]), addresses.sizes[part], group)

    def _take(self) -> tuple[int, int]:
        """Takes the next seat of all, in the part of a group that is furthest behind its share; returns group
        and part."""
        group = self._order.next()
        seated, addresses = self._seated[group], self._addresses[group]
        clients = sum(seated) + 1
        behind = [clients * share - taken for share, taken in zip(addresses.shares, seated, strict=True)]
        part = behind.index(max(behind))
        seated[part] += 1
        if addresses.taken[part] % addresses.sizes[part] == 0:
            addresses.open[part], self._next_address = self._next_address, self._next_address + 1
        addresses.taken[part] += 1
        return group, part


class _Addresses:
    """Source addresses by how many clients share each; all of a kind are filled one after the other."""

    def __init__(self, clients_per_ip: ClientsPerIp) -> None:
        kinds = address_kinds(clients_per_ip)
        self.shares = [share for share, _ in kinds]
        self.sizes = [size for _, size in kinds]
        self.taken = [0] * len(self.sizes)
        """Clients that have an address of each kind."""
        self.open = [0] * len(self.sizes)
        """Index of the address that is being filled."""


def proxy_header(source: str, target: tuple[str, int], port: int) -> bytes:
    """A PROXY protocol header, version 1: what a load balancer would put in front of a connection."""
    return f"PROXY TCP4 {source} {target[0]} {port} {target[1]}\r\n".encode()
