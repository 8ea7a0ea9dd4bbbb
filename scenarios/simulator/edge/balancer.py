"""What the loop has to know of a `gateway.balance`: how it chooses, and the pod of each address.

With `cookie` newcomers are sent as with `least_conn`: the cookie is about the session's further requests.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.clients.addresses import first_octets
from scenarios.simulator.loop import at
from scenarios.simulator.loop.clients import mixed
from scenarios.simulator.loop.edge.balance import FIRST_HASH, ip_hash

Ints = npt.NDArray[np.int64]

KINDS = {
    "least_conn": at.LEAST_CONN,
    "cookie": at.LEAST_CONN,
    "round_robin": at.ROUND_ROBIN,
    "hash": at.HASH,
    "ip_hash": at.IP_HASH,
}
"""How the loop chooses, by `gateway.balance`."""


def has_homes(balance: str) -> bool:
    """Whether each address has a pod of its own."""
    return KINDS[balance] in {at.HASH, at.IP_HASH}


def homes(balance: str, addresses: int, pods: Sequence[int], seed: int) -> Ints:
    """The pod of each address, where the balance has one for each; shape (addresses,)."""
    if balance == "hash":
        return _rendezvous(addresses, pods, seed)
    hashed: Any = ip_hash(FIRST_HASH, *first_octets(np.arange(addresses)))
    found: Ints = np.array(pods, np.int64)[hashed % len(pods)]
    return found


def _rendezvous(addresses: int, pods: Sequence[int], seed: int) -> Ints:
    """The pod of each address: the one that scores highest, so that few move when one comes or goes.

    Stands for the proxies' own hashes, which keep the same promise by other means.
    """
    drawn: Any = mixed
    numbers = np.arange(addresses, dtype=np.int64)
    highest, home = np.full(addresses, -1, np.int64), np.full(addresses, pods[0], np.int64)
    for pod in pods:
        score = drawn(np.array([seed]), numbers, np.array([pod + 1]))
        higher = score > highest
        highest[higher], home[higher] = score[higher], pod
    return home
