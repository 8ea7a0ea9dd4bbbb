"""How the delays of a policy are distributed, attempt by attempt."""

import random
from collections.abc import Iterator
from itertools import islice

import numpy as np
from msgspec import Struct

from scenarios.policies.following import Policy, delays_if_all_fail

ATTEMPTS = 13
DRAWS = 2_000
MOST_ATTEMPTS = 600
"""Of one client, however short its delays are."""


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


def outages(
    policy: Policy, *, seed: int, attempts: int = ATTEMPTS, until_s: float = 0.0, draws: int = DRAWS
) -> list[list[float]]:
    """The delays of each client in seconds if every attempt fails: `attempts`, and those before `until_s`."""
    return [
        _outage(delays_if_all_fail(policy, random.Random((seed << 32) + client)), attempts, until_s)  # noqa: S311
        for client in range(draws)
    ]


def _outage(delays_s: Iterator[float], attempts: int, until_s: float) -> list[float]:
    outage_s = list(islice(delays_s, attempts))
    at_s = sum(outage_s)
    while at_s < until_s and len(outage_s) < MOST_ATTEMPTS and (delay_s := next(delays_s, None)) is not None:
        outage_s.append(delay_s)
        at_s += delay_s
    return outage_s


def spread(clients: list[list[float]], *, attempts: int) -> Delays:
    """How the delays of these clients are distributed, of each up to its last attempt."""
    columns = [
        np.array([client[n] for client in clients if len(client) > n]) for n in range(max(map(len, clients)))
    ]
    quantiles = [np.percentile(column, (0, 10, 50, 90, 100)) for column in columns]
    least, p10, median, p90, most = (tuple(float(q[n]) for q in quantiles) for n in range(5))
    return Delays(attempts=attempts, median_s=median, p10_s=p10, p90_s=p90, least_s=least, most_s=most)


def duration(seconds: float) -> str:
    """Seconds as text: `0`, `40 ms`, `1.5 s`, `30 s`, `7 min`."""
    if seconds == 0:
        return "0"
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 600 else f"{seconds / 60:.0f} min"
