"""How much error each look of a gate may spend, and how many runs a side needs for it."""

from math import comb

from reports.compare.statistics import ALPHA

BETA = 0.05
"""How often a gate may call a measure not worse that is worse by as much as matters, all looks together."""


FIRST_SHARE = 2 / 3
"""Of α and of β, for the first of several looks: most gates need no other, and the sooner one decides the
cheaper."""


def runs_to_exclude(share: float = 1.0) -> int:
    """How many runs a side needs before a worsening can be excluded with this share of β: with as many coins,
    all have to fall on one side."""
    runs = 1
    while share > 0 and 0.5**runs > share * BETA:
        runs += 1
    return runs


def share_of_alpha(look: int, looks: int) -> float:
    """The share of α, and of β, that a look may spend, counted from 0, of so many; together they spend no
    more than there is.

    What the first look leaves is dealt out evenly, whether there is a further look or not (Bonferroni). A
    look before the first one, at fewer runs than that is meant for, may spend nothing.
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
