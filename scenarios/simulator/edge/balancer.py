"""To which pod the edge sends each newcomer: what the loop has to know of a `balance`.

With `cookie` newcomers are sent as with `least_conn`: the cookie is about the session's further requests.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.clients.addresses import first_octets
from scenarios.simulator.loop import at

Ints = npt.NDArray[np.int64]

KINDS = {
    "least_conn": at.LEAST_CONN,
    "cookie": at.LEAST_CONN,
    "round_robin": at.ROUND_ROBIN,
    "hash": at.BY_ADDRESS,
    "ip_hash": at.BY_ADDRESS,
}
"""How the loop chooses, by `gateway.balance`."""


def homes(balance: str, addresses: int, pods: Sequence[int], seed: int) -> Ints:
    """The pod of each address, where the balance has one for each; shape (addresses,)."""
    if balance == "hash":
        return _rendezvous(addresses, pods, seed)
    found: Ints = np.array(pods, np.int64)[ip_hash(first_octets(np.arange(addresses))) % len(pods)]
    return found


def ip_hash(octets: Iterable[Any]) -> Any:
    """nginx's hash of the first three octets of an address; modulo the number of pods, it is the pod's place.

    Source: nginx/nginx, src/http/modules/ngx_http_upstream_ip_hash_module.c, as of 1.31.
    """
    hashed: Any = 89
    for octet in octets:
        hashed = (hashed * 113 + octet) % 6271
    return hashed


def _rendezvous(addresses: int, pods: Sequence[int], seed: int) -> Ints:
    """The pod of each address: the one that scores highest, so that few move when one comes or goes.

    Stands for the proxies' own hashes, which keep the same promise by other means.
    """
    index = np.arange(addresses, dtype=np.uint64)
    best, home = np.zeros(addresses, np.uint64), np.full(addresses, pods[0], np.int64)
    for pod in pods:
        # splitmix64's finaliser, of a number that is different for every pair.
        score = (index * np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64((pod + 1) * 0x632BE59BD9B4E019 % 2**64)
        score ^= np.uint64(seed % 2**64)
        score = (score ^ (score >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        score = (score ^ (score >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        score ^= score >> np.uint64(31)
        higher = score > best
        best[higher], home[higher] = score[higher], pod
    return home
