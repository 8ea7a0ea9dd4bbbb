"""Delays of many clients at once, drawn by the very policies that the real clients follow.

A policy is an iterator of delays. Many iterators are run beforehand, each for many tries: a table of paths. A
client whose back-off starts over draws a path and then takes one delay after the other from it, so that
delays that depend on each other, as those of decorrelated jitter do, still do.
"""

import random
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.policies import Policy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TRIES = 48
_TAIL = 16
"""Beyond the table a client goes round in the last so many tries, when every policy has reached its cap."""


class DelayPaths:
    """A table of `paths` × `TRIES` delays in seconds; NaN where the policy gives up."""

    def __init__(self, policy: Policy, *, paths: int, seed: int) -> None:
        self.policy = policy
        rng = random.Random(f"paths {seed}")  # noqa: S311
        self.table = np.full((paths, TRIES), np.nan)
        for row in self.table:
            delays = list(islice(policy.delays(rng), TRIES))
            row[: len(delays)] = delays

    def draw(self, rng: np.random.Generator, count: int) -> Any:
        """The paths of `count` clients that start over, of shape (count,)."""
        return rng.integers(0, len(self.table), count, dtype=np.int32)

    def delays_s(self, paths: Any, tries: Any) -> Floats:
        """The delay before try number `tries` on each path; NaN where the client gives up."""
        if tries.max(initial=0) >= TRIES:
            tries = np.where(tries < TRIES, tries, TRIES - _TAIL + (tries - TRIES) % _TAIL)
        delays: Floats = self.table[paths, tries]
        return delays
