"""How the delays of a policy are distributed, attempt by attempt."""

import numpy as np
from msgspec import Struct

from scenarios.policies.collapse import ATTEMPTS, DRAWS, outages
from scenarios.policies.following import Policy


class Delays(Struct, frozen=True):
    """Delays in seconds before attempt 0, 1, 2, …, up to the last attempt that any client makes."""

    attempts: int
    """How many were looked at."""
    median_s: tuple[float, ...]
    p10_s: tuple[float, ...]
    p90_s: tuple[float, ...]
    least_s: tuple[float, ...]
    most_s: tuple[float, ...]

    @property
    def ends(self) -> bool:
        """Whether clients give up within the attempts looked at."""
        return len(self.median_s) < self.attempts


def delays(policy: Policy, *, seed: int, attempts: int = ATTEMPTS, draws: int = DRAWS) -> Delays:
    """The delays of `draws` clients; a client that gives up counts up to its last attempt."""
    return spread(outages(policy, seed=seed, attempts=attempts, draws=draws), attempts=attempts)


def spread(clients: list[list[float]], *, attempts: int) -> Delays:
    """How the delays of these clients are distributed, of each up to its last attempt."""
    columns = [
        np.array([client[n] for client in clients if len(client) > n]) for n in range(max(map(len, clients)))
    ]
    quantiles = [np.percentile(column, (0, 10, 50, 90, 100)) for column in columns]
    least, p10, median, p90, most = (tuple(float(q[n]) for q in quantiles) for n in range(5))
    return Delays(attempts=attempts, median_s=median, p10_s=p10, p90_s=p90, least_s=least, most_s=most)
