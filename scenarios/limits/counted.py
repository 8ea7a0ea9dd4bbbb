"""What all rules at a proxy have in common: whom they count, and under which key."""

import ipaddress
from typing import Literal

from msgspec import Struct

from gateway_stub.sliding_window import address_key, plain_address

_BYTES_PER_KEY = 256
_BYTES_PER_TOKEN = 2_048


class Refusal(Struct, frozen=True, kw_only=True):
    """What a proxy answers where a limit refuses."""

    status: Literal[429, 503] = 429
    retry_after_s: int = 0
    """Value of the header Retry-After; 0: no such header."""
    drop: bool = False
    """Close the connection without an answer."""


class CountedRule(Struct, frozen=True, kw_only=True):
    """A rule at a proxy, without what it allows."""

    name: str
    """The limit that it belongs to."""
    exempt: tuple[str, ...] = ()
    """Address ranges that are not counted."""
    dry_run: bool = False
    """Refuse nobody, and log who would have been."""

    @property
    def zone(self) -> str:
        """What a proxy calls its memory of the keys."""
        return self.name.replace("-", "_")

    @property
    def per_address(self) -> bool:
        """Whether every address has a count of its own."""
        return True

    @property
    def all_requests(self) -> bool:
        """Whether the requests of a session count as well, and not only new connections."""
        return False

    def zone_megabytes(self, clients: int) -> int:
        """Room for all of them: 128 bytes of state per address, doubled for safety."""
        return max(1, -(-clients * _BYTES_PER_KEY // 1_000_000)) if self.per_address else 1

    def counts_as(self, address: str, *, new: bool) -> str:
        """The key that a request is counted under, as the templates have it; empty where it is not."""
        if self.is_exempt(address) or not (new or self.all_requests):
            return ""
        return address_key(address)

    def is_exempt(self, address: str) -> bool:
        """Whether an address is in one of the exempt ranges, in whichever way it is written."""
        source = plain_address(address)
        return any(source in ipaddress.ip_network(network) for network in self.exempt)


def token_megabytes(clients: int) -> int:
    """Room for a token of each: these are longer than addresses."""
    return max(1, -(-clients * _BYTES_PER_TOKEN // 1_000_000))
