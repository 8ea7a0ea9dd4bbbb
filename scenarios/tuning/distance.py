"""How far the delays of two policies are apart, while every attempt fails.

A mean over the attempts of

- the mean difference of the sorted delays, as a share of the mean that is wanted (at least a second),
- the share of clients on one value, beyond the share that is wanted,
- the share of clients that have stopped, or have not, unlike those that are wanted.
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
    """The parts of the distance, each a mean over the attempts."""

    delays: float
    on_one_value: float
    stopped: float

    @property
    def whole(self) -> float:
        """Their sum."""
        return self.delays + self.on_one_value + self.stopped


def outage(policy: Policy, attempts: int, clients: int = 200) -> Chains:
    """The delays of some clients; one random source for all of them costs less than one for each."""
    rng = random.Random(_SEED)  # noqa: S311
    return [list(islice(delays_if_all_fail(policy, rng), attempts)) for _ in range(clients)]


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
    both, most = min(len(theirs), len(ours)), max(len(theirs), len(ours), 1)
    pairs = [*zip(theirs, ours, strict=False)]
    shares = zip(found.on_one_value, wanted.on_one_value, strict=False)
    stopped = sum(abs(len(x) / found.clients - len(y) / wanted.clients) for x, y in pairs)
    return Distance(
        delays=sum(_apart(x, y) for x, y in pairs) / max(1, both),
        on_one_value=sum(max(0.0, x - y) for x, y in shares) / max(1, both),
        stopped=(stopped + most - both) / most,
    )


def _apart(theirs: list[float], ours: list[float]) -> float:
    """The mean difference of two sorted lists, at as many ranks as the longer one has."""
    count = max(len(theirs), len(ours))
    pairs = ((theirs[n * len(theirs) // count], ours[n * len(ours) // count]) for n in range(count))
    return sum(abs(x - y) for x, y in pairs) / count / max(1.0, sum(ours) / len(ours))
