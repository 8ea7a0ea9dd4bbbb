"""What matters about a stock client, from its model: an outage in which every attempt fails at once."""

from collections import Counter
from itertools import accumulate

from msgspec import Struct

from scenarios.policies.collapse import ATTEMPTS, sentence

MINUTE_S = 60.0


class Facts(Struct, frozen=True):
    """What a fleet of that client does."""

    sentence: str
    """The one that matters."""
    attempts_a_minute: float
    """Attempts of one client in the first minute, on average."""
    busiest_second: float
    """Attempts in the busiest of the first sixty seconds, as a share of the clients."""


def facts(chains: list[list[float]]) -> Facts:
    """What a fleet does that loses its connections at once; chains: the delays of a minute or more."""
    times_s = [at_s for chain in chains for at_s in accumulate(chain) if at_s < MINUTE_S]
    seconds = Counter(int(at_s + 1e-9) for at_s in times_s)
    return Facts(
        sentence=sentence([chain[:ATTEMPTS] for chain in chains]),
        attempts_a_minute=len(times_s) / len(chains),
        busiest_second=max(seconds.values(), default=0) / len(chains),
    )
