"""Pulses: disconnects that come together, again and again, at one distance."""

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from reports.rundir.series import Seconds

FEWEST = 3
SHORTEST_PERIOD_S = 3.0
FEWEST_DROPS, SMALLEST_SHARE = 5, 0.05
"""Disconnects in a pulse, and as a share of the clients."""
REGULAR_SHARE, REGULAR_S = 0.15, 0.5
"""How far a distance may be from the median of all: a share of it, and what whole seconds lose."""
NARROW = 0.5
"""Length of a pulse, as a share of the period."""
MOST_DROPS = 0.7
"""Share of all disconnects that are in pulses."""


class Pulses(Struct, frozen=True, kw_only=True):
    """Pulses with one period."""

    number: int
    period_s: float
    drops: float
    """In all pulses."""
    share: float
    """Of all disconnects."""


def pulses(drops: Seconds, clients: float) -> Pulses | None:
    """The pulses in the disconnects of each second; None where they are too few, too small, too wide, too
    irregular, or hold too little of all disconnects. NaN: seconds that do not count."""
    known = drops[~np.isnan(drops)]
    total = float(known.sum())
    if not total:
        return None
    background = float(np.median(known))
    high = background + 3 * math.sqrt(background) + max(2.0, 0.01 * clients)
    found = [
        (float(np.average(seconds, weights=drops[seconds])), float(drops[seconds].sum()), len(seconds))
        for seconds in _runs(np.flatnonzero(np.nan_to_num(drops) > high))
    ]
    least = max(FEWEST_DROPS, SMALLEST_SHARE * clients)
    found = [pulse for pulse in found if pulse[1] >= least]
    if len(found) < FEWEST:
        return None
    distances = np.diff([centre_s for centre_s, _, _ in found])
    period_s = float(np.median(distances))
    regular = np.abs(distances - period_s) <= REGULAR_S + REGULAR_SHARE * period_s
    narrow = max(length for _, _, length in found) <= NARROW * period_s
    in_pulses = sum(number for _, number, _ in found)
    if period_s < SHORTEST_PERIOD_S or not regular.all() or not narrow or in_pulses < MOST_DROPS * total:
        return None
    return Pulses(number=len(found), period_s=period_s, drops=in_pulses, share=in_pulses / total)


def _runs(seconds: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Seconds that follow each other, with at most one missing between two."""
    return [part for part in np.split(seconds, np.flatnonzero(np.diff(seconds) > 2) + 1) if len(part)]
