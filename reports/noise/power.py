"""How large a shift, in standard deviations, the gate's rank test finds in so many runs.

Assumption: the values of runs are normal, with the same scatter on both sides. Up to `MOST_DRAWN` runs a side
the power of the exact test is simulated from a fixed seed; beyond, it is that of the normal approximation,
with the rank test's efficiency of 3/π.
"""

from functools import lru_cache
from math import inf, pi, sqrt
from statistics import NormalDist

import numpy as np

from reports.compare.statistics import ALPHA, rank_sum_chances
from reports.gate.looks import BETA, FIRST_SHARE, runs_to_exclude

POWER = 0.9
"""How often the test has to find the shift."""
MOST_DRAWN, DRAWS = 12, 20_000
MOST_ROUNDS = 100
"""Where more rounds than these are needed, no number is given."""


@lru_cache(maxsize=256)
def smallest_shift(rounds: int, level: float) -> float:
    """The shift that the one-sided rank test finds at this level with `POWER`; infinite if it never can."""
    if rounds > MOST_DRAWN:
        quantile = NormalDist().inv_cdf
        return (quantile(1 - level) + quantile(POWER)) * sqrt(2 / (rounds * 3 / pi))
    chances = rank_sum_chances(rounds, rounds)
    if chances[0] > level:
        return inf
    # The test rejects where no more than `lost` of all pairs are the wrong way round.
    lost = max(u for u, chance in enumerate(chances) if chance <= level)
    rng = np.random.default_rng(rounds)
    first, second = rng.standard_normal((2, DRAWS, rounds))
    gaps = (first[:, :, None] - second[:, None, :]).reshape(DRAWS, -1)
    # With a shift of the second side by this much, all but `lost` of a draw's pairs are the right way round.
    needed = np.partition(gaps, gaps.shape[1] - 1 - lost, axis=1)[:, gaps.shape[1] - 1 - lost]
    return float(np.quantile(needed, POWER))


def rounds_to_exclude(shift: float) -> int | None:
    """The rounds after which a gate excludes a regression of `shift` standard deviations where there is none.

    They are those before its first analysis, `gate --rounds`. None where they are more than `MOST_ROUNDS`.
    """
    for rounds in range(max(runs_to_exclude(), runs_to_exclude(FIRST_SHARE)), MOST_ROUNDS + 1):
        if smallest_shift(rounds, BETA * FIRST_SHARE) <= shift:
            return rounds
    return None


def told_from(rounds: int, measures: int) -> float:
    """The shift that the first analysis calls worse, among so many measures; infinite where it never can."""
    return smallest_shift(rounds, ALPHA * FIRST_SHARE / measures)


def median_margin(rounds: int) -> float:
    """By how many standard deviations the difference of two medians misses the true one, in 1 of 10 cases.

    The median of normal values scatters √(π/2) times as much as their mean, nearly so from five on.
    """
    return NormalDist().inv_cdf(POWER) * sqrt(pi / 2) * sqrt(2 / rounds)
