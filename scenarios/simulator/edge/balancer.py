"""To which pod the edge sends each newcomer."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.clients.addresses import first_octets

Ints = npt.NDArray[np.int64]

IP_HASH_SEED = 89
_REHASHES = 21


def fill_least(connections: Ints, arrivals: int) -> Ints:
    """How many of the arrivals each pod gets, one after the other to who has the fewest connections.

    connections: of each pod, shape (pods,). Source: nginx's least_conn, whose ties go round in turn, and
    Envoy's LEAST_REQUEST with a full scan, which draws among them.
    """
    order = np.argsort(connections, kind="stable")
    sorted_connections = connections[order]
    ranks = np.arange(1, len(order) + 1)
    # Raising the lowest k pods to the level of the next one takes so many arrivals.
    needed = ranks * np.append(sorted_connections[1:], np.iinfo(np.int64).max // len(order) // 2) - np.cumsum(
        sorted_connections
    )
    lowest = int(np.searchsorted(needed, arrivals)) + 1
    lowest = min(lowest, len(order))
    level, rest = divmod(arrivals + int(sorted_connections[:lowest].sum()), lowest)
    shares = np.zeros(len(order), np.int64)
    shares[order[:lowest]] = level - sorted_connections[:lowest]
    shares[order[:rest]] += 1
    return shares


class Balancer:
    """Sends newcomers to pods, as every proxy does with that `balance`.

    With `cookie` they are sent as with `least_conn`: the cookie is about the session's further requests.
    """

    def __init__(self, kind: str, *, addresses: int, seed: int) -> None:
        self._kind = kind
        self._turn = 0
        self._pods: Ints = np.empty(0, np.int64)
        self._seed = seed
        self._addresses = addresses
        self._homes: dict[bytes, Ints] = {}
        """The pod of each address, by the pods that there are to choose from."""

    def route(self, pods: Sequence[int]) -> None:
        """From now on these pods are in the upstream."""
        self._pods = np.array(pods, np.int64)
        self._homes.clear()

    @property
    def by_address(self) -> bool:
        """Whether it matters to `choose` who the newcomers are, and not only how many."""
        return self._kind in {"hash", "ip_hash"}

    def choose(
        self,
        addresses: Any,
        connections: Ints,
        rng: np.random.Generator,
        out: frozenset[int] = frozenset(),
    ) -> Ints:
        """A pod for each newcomer, of shape (n,), but none of those that are out; -1 where none is left."""
        count = len(addresses)
        pods = self._pods[~np.isin(self._pods, list(out))] if out else self._pods
        if not len(pods):
            return np.full(count, -1, np.int64)
        if self.by_address:
            home: Ints = self._home(pods)[addresses]
            return home
        if self._kind == "round_robin":
            return self._in_turn(pods, count)
        chosen = np.repeat(pods, fill_least(connections[pods], count))
        rng.shuffle(chosen)
        return chosen

    def _in_turn(self, pods: Ints, count: int) -> Ints:
        turns: Ints = pods[(self._turn + np.arange(count)) % len(pods)]
        self._turn += count
        return turns

    def _home(self, pods: Ints) -> Ints:
        """The pod of each address, of these."""
        home = self._homes.get(pods.tobytes())
        if home is None:
            chosen = _rendezvous(self._addresses, pods.tolist(), self._seed)
            home = self._homes[pods.tobytes()] = chosen if self._kind == "hash" else self._by_ip_hash(pods)
        return home

    def _by_ip_hash(self, pods: Ints) -> Ints:
        """Whose pod is out is hashed on, twenty times; then it is sent to one in turn, as nginx does."""
        octets = first_octets(np.arange(self._addresses))
        hashed: Any = IP_HASH_SEED
        home = np.full(self._addresses, -1, np.int64)
        for _ in range(_REHASHES):
            hashed = ip_hash(octets, hashed)
            chosen = self._pods[hashed % len(self._pods)]
            home = np.where((home < 0) & np.isin(chosen, pods), chosen, home)
        left = np.flatnonzero(home < 0)
        home[left] = self._in_turn(pods, len(left))
        return home


def ip_hash(octets: Iterable[Any], hashed: Any = IP_HASH_SEED) -> Any:
    """nginx's hash of the first three octets of an address; modulo the number of pods, it is the pod's place.

    Source: nginx/nginx, src/http/modules/ngx_http_upstream_ip_hash_module.c, as of 1.31.
    """
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
