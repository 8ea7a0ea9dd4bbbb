"""Source addresses: one for every so many clients, in 127/8 and spread over distinct networks.

Neighbouring addresses would share their first three octets, which is all that `ip_hash` looks at, so the
last octet changes slowest. Binding to 127/8 without further set-up is a feature of Linux.
"""

from msgspec import Struct

from scenarios.fields import Count
from scenarios.scenario.model import AddressShare

PER_PROCESS = 100_000
"""Addresses for a generator process that comes late; those before it share theirs out among them."""

_FIRST = 10
_NETWORKS = 200


def source_address(address_index: int) -> str:
    """The address with that index; all are distinct up to 8,000,000 and avoid 127.0.0.x."""
    last, rest = divmod(address_index, _NETWORKS * _NETWORKS)
    second, third = divmod(rest, _NETWORKS)
    if last >= 200:
        raise ValueError(f"address index {address_index}: expected fewer than 8,000,000")
    return f"127.{_FIRST + second}.{_FIRST + third}.{1 + last}"


class Seat(Struct, frozen=True):
    """Where one client sits: which source address, and how many share it."""

    address: str
    clients_per_ip: int


class Seating:
    """Hands out seats, one after the other; the shares are kept at every moment.

    first_address: index of the first source address to use. first, step: which seats to hand out, for several
    generator processes seat the clients of one fleet: seat number `first`, and then every `step`-th one.
    """

    def __init__(
        self,
        clients_per_ip: "Count | tuple[AddressShare, ...]",
        first_address: int = 0,
        *,
        first: int = 0,
        step: int = 1,
    ) -> None:
        if isinstance(clients_per_ip, int):
            clients_per_ip = (AddressShare(share=1.0, clients_per_ip=clients_per_ip),)
        total = sum(part.share for part in clients_per_ip)
        self._shares = [part.share / total for part in clients_per_ip]
        self._sizes = [part.clients_per_ip for part in clients_per_ip]
        self._seated = [0] * len(self._sizes)
        self._address: list[int] = [0] * len(self._sizes)
        self._next_address = first_address
        self._skip = first
        self._step = step

    def next(self) -> Seat:
        """The next client's seat."""
        for _ in range(self._skip):
            self._take()
        self._skip = self._step - 1
        group = self._take()
        return Seat(source_address(self._address[group]), self._sizes[group])

    def _take(self) -> int:
        """Takes the next seat of all, in the group that is furthest behind its share; returns the group."""
        clients = sum(self._seated) + 1
        behind = [clients * share - seated for share, seated in zip(self._shares, self._seated, strict=True)]
        group = behind.index(max(behind))
        if self._seated[group] % self._sizes[group] == 0:
            self._address[group], self._next_address = self._next_address, self._next_address + 1
        self._seated[group] += 1
        return group


def proxy_header(source: str, target: tuple[str, int], port: int) -> bytes:
    """A PROXY protocol header, version 1: what a load balancer would put in front of a connection."""
    return f"PROXY TCP4 {source} {target[0]} {port} {target[1]}\r\n".encode()
