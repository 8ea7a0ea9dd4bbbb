"""Waves of connection attempts: clients that wait equally long keep reconnecting together."""

import numpy as np
from msgspec import Struct

from reports.rundir.series import Seconds

SHORTEST_S, LONGEST_S = 2, 60
FEWEST_WAVES = 3
STRONG = 0.5
PROMINENT = 0.4
"""How far the autocorrelation has to rise again from its lowest value at a shorter lag."""
UNEVEN = 0.5
"""Standard deviation ÷ mean, below which seconds are too alike to speak of waves."""
FEWEST_ATTEMPTS_PER_S = 1.0
BUSY = 0.05
"""Of the busiest second."""


class Waves(Struct, frozen=True, kw_only=True):
    """Attempts that recur at the same distance."""

    period_s: int
    strength: float
    """Autocorrelation at that distance."""
    peak_per_s: float
    mean_per_s: float


def waves(attempts: Seconds) -> Waves | None:
    """The strongest period in the attempts of each second; None where there is none, or too little of it.

    A period is a local maximum of the autocorrelation (of each pair of overlapping stretches, Pearson's r)
    that is high, and that stands out from what lies before it: a series that merely falls correlates with
    itself at short distances, but does not come back.
    """
    known = attempts[~np.isnan(attempts)]
    # The calm after the storm has no waves, and would only weaken them.
    busy = np.flatnonzero(known >= BUSY * known.max(initial=0.0))
    known = known[: busy[-1] + 1] if len(busy) else known
    longest = min(LONGEST_S, len(known) // FEWEST_WAVES)
    if longest <= SHORTEST_S:
        return None
    mean = float(known.mean())
    if mean < FEWEST_ATTEMPTS_PER_S or known.std() < UNEVEN * mean:
        return None
    alike = [1.0, *(_correlation(known[:-lag], known[lag:]) for lag in range(1, longest + 1))]
    peaks = [
        lag
        for lag in range(SHORTEST_S, longest)
        if alike[lag] >= STRONG
        and alike[lag - 1] < alike[lag] >= alike[lag + 1]
        and alike[lag] - min(alike[:lag]) >= PROMINENT
    ]
    if not peaks:
        return None
    # Twice a period is one, too, and may by chance correlate a little better.
    period = peaks[0]
    return Waves(period_s=period, strength=alike[period], peak_per_s=float(known.max()), mean_per_s=mean)


def _correlation(a: Seconds, b: Seconds) -> float:
    spread = float(a.std() * b.std())
    return float(((a - a.mean()) * (b - b.mean())).mean()) / spread if spread else 0.0
