"""The delays of a policy as steps of a density, drawn from the policy's own iterators.

The delay before attempt n has a density that is constant between two of its quantiles. What fails in a bin of
time then comes back in a boxcar for each step: two changes of a rate, whatever the length of the delay.
"""

import random
from itertools import islice

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from scenarios.policies.following import Policy, delays_if_all_fail

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ATTEMPTS = 24
"""Drawn of each path; what comes then is taken to be as the last one drawn."""
_PATHS = 256
_STEPS = 10
_ALIKE = 0.15
"""Attempts whose quantiles differ by no more than this share are one."""


class Delay(Struct, frozen=True):
    """The delay before one attempt."""

    made: float
    """Share of the clients that make the attempt, of those whose last one has failed."""
    edges_s: Floats
    """Quantiles in equal steps, shape (steps + 1,)."""

    def changes(self, bin_s: float) -> tuple[Ints, Floats]:
        """Of the rate of attempts in bins of time, after one failure in bin 0: (bins, changes per bin).

        The sum over all bins of the rate is `made`.
        """
        spans = np.diff(self.edges_s) / bin_s
        widths = np.maximum(spans, 1.0)
        begins = self.edges_s[:-1] / bin_s + (spans - widths + 1) / 2
        height = self.made / len(begins) / widths
        found: dict[int, float] = {}
        for at, change in ((begins, height), (begins + widths, -height)):
            low = np.floor(at).astype(int)
            # A change between two bins is divided between them, so that the mean delay stays.
            part = at - low
            for place, share in ((low, 1 - part), (low + 1, part)):
                for bin_, value in zip(place.tolist(), (share * change).tolist(), strict=True):
                    found[bin_] = found.get(bin_, 0.0) + value
        bins = sorted(found)
        return np.array(bins, np.int64), np.array([found[bin_] for bin_ in bins])


def delays_of(policy: Policy, seed: int = 1) -> tuple[Delay, ...]:
    """The delays before attempts 0, 1, 2, …; the last one stands for all further attempts as well."""
    rng = random.Random(f"estimate {seed}")  # noqa: S311
    paths = [list(islice(delays_if_all_fail(policy, rng), ATTEMPTS)) for _ in range(_PATHS)]
    columns = [np.array([path[n] for path in paths if len(path) > n]) for n in range(ATTEMPTS)]
    found: list[Delay] = []
    before = _PATHS
    for column in columns:
        if not len(column):
            found.append(Delay(0.0, np.zeros(2)))
            break
        found.append(Delay(len(column) / before, np.quantile(column, np.linspace(0, 1, _STEPS + 1))))
        before = len(column)
    while len(found) > 1 and _alike(found[-2], found[-1]):
        found.pop()
    return tuple(found)


def _alike(one: Delay, other: Delay) -> bool:
    return one.made == other.made and bool(
        np.all(np.abs(one.edges_s - other.edges_s) <= _ALIKE * max(other.edges_s[-1], 1e-9))
    )
