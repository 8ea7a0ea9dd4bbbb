"""How far the delays of two policies are apart, while every attempt fails.

A weighted mean over the attempts of

- the mean difference of the sorted delays, as a share of the mean that is wanted (at least a second),
- the share of clients on one value, beyond the share that is wanted,
- the share of clients that have stopped, or have not, unlike those that are wanted.

Attempt n weighs 1/(n + 1): every client makes the first one, and fewer are left for each later one.
"""

import random
from itertools import islice

from msgspec import Struct

from scenarios.policies.collapse import columns, commonest
from scenarios.policies.following import Policy, delays_if_all_fail

Chains = list[list[float]]
_SEED = 1


class Profile(Struct, frozen=True):
    """Delays by attempt."""

    columns: Chains
    """Sorted, of the clients that make the attempt."""
    on_one_value: list[float]
    """The share of these clients that wait the commonest delay."""
    clients: int


class Distance(Struct, frozen=True):
    """The parts of the distance, each a weighted mean over the attempts."""

    delays: float
    on_one_value: float
    stopped: float

    @property
    def whole(self) -> float:
        """Their sum."""
        return self.delays + self.on_one_value + self.stopped


class _Strata(random.Random):
    """Numbers of which draw k of all clients together fill [0, 1) evenly: few clients show a distribution."""

    def __init__(self, clients: int) -> None:
        super().__init__(_SEED)
        self._shuffled = random.Random(_SEED)  # noqa: S311
        self._clients = clients
        self._draws: list[list[float]] = []
        self._client = self._next = 0

    def begin(self, client: int) -> None:
        """The draws from now on are those of this client."""
        self._client, self._next = client, 0

    def random(self) -> float:
        if self._next == len(self._draws):
            even = [(place + 0.5) / self._clients for place in range(self._clients)]
            self._shuffled.shuffle(even)
            self._draws.append(even)
        self._next += 1
        return self._draws[self._next - 1][self._client]


def outage(policy: Policy, attempts: int, clients: int = 200) -> Chains:
    """The delays of some clients whose attempts all fail."""
    rng = _Strata(clients)
    chains = []
    for client in range(clients):
        rng.begin(client)
        chains.append(list(islice(delays_if_all_fail(policy, rng), attempts)))
    return chains


def profile(chains: Chains) -> Profile:
    """What of these delays is compared."""
    by_attempt = columns(chains)
    return Profile(
        columns=[sorted(column) for column in by_attempt],
        on_one_value=[commonest(column).share for column in by_attempt],
        clients=len(chains),
    )


def distance(found: Profile, wanted: Profile) -> Distance:
    """How far delays are from those that are wanted."""
    theirs, ours = found.columns, wanted.columns
    both, most = min(len(theirs), len(ours)), max(len(theirs), len(ours))
    pairs = [*zip(theirs, ours, strict=False)]
    shares = zip(found.on_one_value, wanted.on_one_value, strict=False)
    stopped = [abs(len(x) / found.clients - len(y) / wanted.clients) for x, y in pairs]
    return Distance(
        delays=_mean([_apart(x, y) for x, y in pairs]),
        on_one_value=_mean([max(0.0, x - y) for x, y in shares]),
        stopped=_mean([*stopped, *[1.0] * (most - both)]),
    )


def _mean(values: list[float]) -> float:
    """The mean over attempts 0, 1, 2, …; 0 where there are none."""
    weights = [1 / (n + 1) for n in range(len(values))]
    return sum(w * value for w, value in zip(weights, values, strict=True)) / sum(weights) if values else 0.0


def _apart(theirs: list[float], ours: list[float]) -> float:
    """The mean difference of two sorted lists, at as many ranks as the longer one has."""
    count = max(len(theirs), len(ours))
    pairs = ((theirs[n * len(theirs) // count], ours[n * len(ours) // count]) for n in range(count))
    return sum(abs(x - y) for x, y in pairs) / count / max(1.0, sum(ours) / len(ours))
