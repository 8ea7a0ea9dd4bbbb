"""How much error each interim analysis of a gate may spend, and how many runs a side needs for it."""

from math import comb

from reports.compare.statistics import ALPHA

BETA = 0.05
"""How often a gate may miss a regression of the minimum effect, over all its interim analyses."""


FIRST_SHARE = 2 / 3
"""The share of α and of β of the first of several interim analyses: most gates need no other."""


def runs_to_exclude(share: float = 1.0) -> int:
    """How many runs a side needs before a regression can be excluded with this share of β.

    With as many coins, all have to fall on one side."""
    runs = 1
    while share > 0 and 0.5**runs > share * BETA:
        runs += 1
    return runs


def share_of_alpha(look: int, looks: int) -> float:
    """The share of α, and of β, that interim analysis `look`, counted from 0, of `looks` may spend.

    What the first one leaves is divided evenly among the others, whether they come or not (Bonferroni), so
    that all together spend no more than 1. One before the first, at fewer runs, may spend nothing.
    """
    if look < 0:
        return 0.0
    if looks == 1:
        return 1.0
    return FIRST_SHARE if look == 0 else (1 - FIRST_SHARE) / (looks - 1)


def runs_to_tell(gauges: int, share: float = 1.0) -> int:
    """How many runs a side needs before one of so many gauges can be called worse with this share of α."""
    runs = 1
    while share > 0 and gauges / comb(2 * runs, runs) > share * ALPHA:
        runs += 1
    return runs
