"""A/A: groups of runs of one and the same scenario, drawn from a pool, that a comparison must not tell apart.

Runs cost time, comparisons do not. So a pool of runs is recorded once and drawn from again and again: within
a comparison no run comes twice, between comparisons runs do.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

COMPARISONS = 20
MOST_CALLS = 1
"""Comparisons out of `COMPARISONS` that may call a difference: 5 %, as the tests are made for."""

SCENARIO = "mass-drop"
OVERRIDES = (
    "matrix={}",
    "fleet.clients=60",
    "fleet.ramp_per_s=100",
    "gateway.handshake_cpu_ms=5",
    'event=[{at_s=2, do="drop_all"}]',
    "phases.duration_s=8",
    "phases.during_s=3",
    "phases.recovery_window_s=3",
    "phases.rescue_at_s=0",
)
"""A storm of a few seconds of which everything recovers."""


class Verdicts(Struct, frozen=True, kw_only=True):
    """What comparisons said of groups that do not differ."""

    runs: int
    """In the pool."""
    group: int
    """Runs on either side."""
    comparisons: int
    called: tuple[tuple[str, ...], ...]
    """Of each comparison that called a difference, in which key measures."""
    allowed: int = MOST_CALLS

    @property
    def good(self) -> bool:
        """Whether no more comparisons called a difference than may."""
        return len(self.called) <= self.allowed


def draws(
    runs: int, group: int, comparisons: int, rng: random.Random
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Two groups of places in a pool for each comparison; no place is in both. Needs 2·group runs."""
    pairs = []
    for _ in range(comparisons):
        places = rng.sample(range(runs), 2 * group)
        pairs.append((tuple(places[:group]), tuple(places[group:])))
    return pairs


def called(decisions: Mapping[str, str], keys: Sequence[str]) -> tuple[str, ...]:
    """The key measures in which a comparison called a difference."""
    return tuple(key for key in keys if decisions.get(key) in {"better", "worse"})


def as_dict(found: Verdicts) -> dict[str, Any]:
    """The same as JSON has it."""
    return {
        "runs": found.runs,
        "group": found.group,
        "comparisons": found.comparisons,
        "called": [list(keys) for keys in found.called],
        "allowed": found.allowed,
        "good": found.good,
    }
