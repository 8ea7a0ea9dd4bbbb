"""How a proxy chooses the pod of a request, and which of these ways keep a session at one pod."""

from collections.abc import Iterator
from typing import Literal

from scenarios.fields import invalid

Balance = Literal["least_conn", "round_robin", "hash", "ip_hash", "cookie"]

STICKY: tuple[Balance, ...] = ("cookie", "ip_hash", "hash")
"""Those that send all requests of a session to one pod."""

POD_COOKIE = "storm_pod"
"""Cookie by which the proxy knows the pod of a session, with `cookie`."""


def balance_complaints(balance: Balance, *, proxy: str, polls: bool, pods: int) -> Iterator[str]:
    """What is wrong with the choice; polls: whether clients make several requests for one session."""
    if polls and pods > 1 and balance not in STICKY:
        choices = ", ".join(map(repr, STICKY[:-1]))
        yield invalid(
            "gateway.balance",
            balance,
            f"{choices} or {STICKY[-1]!r} with polling clients and several pods: all requests of a session go"
            " to one pod",
        )
    if balance == "ip_hash" and proxy == "envoy":
        yield invalid(
            "gateway.balance",
            balance,
            "'hash' with edge.proxy = 'envoy', which hashes whole addresses",
        )
