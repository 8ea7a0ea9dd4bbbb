"""Groups of clients that differ in what they do, and clients that share a source address."""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from scenarios.fields import EXPECTED, Count, NameOrTable, PositiveSeconds, Seconds, Share, invalid
from scenarios.scenario.program import Secrets

MOST_ADDRESS_SHARES = 64
MOST_GROUPS = 16

_SHARE_TOLERANCE = 1e-6


class AddressShare(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the clients, and how many of them share one source address."""

    share: Share
    """Share of the clients."""
    clients_per_ip: Count
    """Clients behind each of their IPs."""


ClientsPerIp = Count | Annotated[tuple[AddressShare, ...], Meta(min_length=1, max_length=MOST_ADDRESS_SHARES)]
Transport = Literal["websocket", "polling-upgrade"]
StaleBy = Literal["gap", "age"]
ResetBackoff = Literal["policy", "open", "joined", "stable", "never"]


class Group(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One kind of clients in a mixed fleet. A key that is left out is as in `[fleet]`."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}\Z",
            extra={EXPECTED: "a letter, then up to 39 letters, digits, _ and -"},
        ),
    ]
    """Name in keys, such as `fleet.group.NAME.policy`, and in tables."""
    share: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Share of the clients; all shares together are 1. One group may leave it out: it has the rest."""
    policy: NameOrTable | None = None
    """Reconnect policy of these clients."""
    clients_per_ip: ClientsPerIp | None = None
    """Clients behind a shared IP. Groups that leave it out share their IPs with each other."""
    transport: Transport | None = None
    """Transport of these clients."""
    connect_timeout_s: PositiveSeconds | None = None
    """Timeout of an attempt."""
    stale_after_s: Seconds | None = None
    """A joined client whose feed is stale for this long hangs up; 0 switches the watchdog off."""
    stale_by: StaleBy | None = None
    """What the watchdog looks at."""
    reset_backoff: ResetBackoff | None = None
    """When the policy resets to attempt 0."""
    stable_after_s: PositiveSeconds | None = None
    """Only with `reset_backoff = "stable"`."""
    protocol: Literal[3, 4] = 4
    """Engine.IO protocol that these clients ask for. Gateways of today answer 400 to `EIO=3`, and these
    clients never join: they count as attempts and refusals, and not in availability, latency and recovery."""
    path: Annotated[
        str, Meta(pattern=r"^(/[!-~]*)?\Z", extra={EXPECTED: "a path that begins with /, without spaces"})
    ] = ""
    """Engine.IO path of these clients, where it is not that of the others."""
    query: Secrets = field(default_factory=dict)
    """Further parameters in the URL of each request; their values are not written down."""

    @property
    def is_served(self) -> bool:
        """Whether a gateway of today lets these clients join."""
        return self.protocol == 4


OVERRIDES = (
    "policy",
    "clients_per_ip",
    "transport",
    "connect_timeout_s",
    "stale_after_s",
    "stale_by",
    "reset_backoff",
    "stable_after_s",
)
"""Keys of `[fleet]` that a group may have as well."""


def shares(groups: Sequence[Group]) -> tuple[float, ...]:
    """The share of each group, with that of the rest; their sum is 1."""
    said = math.fsum(group.share for group in groups if group.share is not None)
    found = [max(0.0, 1 - said) if group.share is None else group.share for group in groups]
    total = math.fsum(found)
    return tuple(share / total for share in found)


def address_kinds(clients_per_ip: ClientsPerIp) -> list[tuple[float, int]]:
    """(share of the clients, clients per address) of each kind of address; the shares sum to 1."""
    if isinstance(clients_per_ip, int):
        return [(1.0, clients_per_ip)]
    total = sum(part.share for part in clients_per_ip)
    return [(part.share / total, part.clients_per_ip) for part in clients_per_ip]


def share_complaints(groups: Sequence[Group]) -> Iterator[str]:
    """What is wrong with names and shares, each as the text of an error."""
    names = [group.name for group in groups]
    for place, group in enumerate(groups):
        if group.name in names[:place]:
            yield invalid(f"fleet.group[{place}].name", group.name, "a name that no other group has")
    said = [group.share for group in groups if group.share is not None]
    rest = len(groups) - len(said)
    if rest > 1:
        places = [place for place, group in enumerate(groups) if group.share is None]
        yield f"fleet.group[{places[1]}].share: missing: expected at most one group without a share"
    total = math.fsum(said)
    if groups and not (math.isclose(total, 1, abs_tol=_SHARE_TOLERANCE) or (rest and total < 1)):
        expected = "shares with a sum of at most 1" if rest else "shares with a sum of 1"
        yield invalid("fleet.group[].share", " + ".join(f"{share:g}" for share in said), expected)
    elif groups and not any(
        share and group.is_served for group, share in zip(groups, shares(groups), strict=True)
    ):
        yield invalid("fleet.group[].protocol", 3, "4 in at least one group that has clients")
