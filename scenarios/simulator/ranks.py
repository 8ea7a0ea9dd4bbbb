"""Who comes first among those who go to the same place."""

from typing import Any

import numpy as np
import numpy.typing as npt


def ranks(places: Any, count: int) -> npt.NDArray[np.int64]:
    """The rank of each among those of the same place, from 0 on, in the order in which they are given.

    places: numbers below `count`, of shape (n,).
    """
    counts = np.bincount(places, minlength=count)
    found = np.empty(len(places), np.int64)
    found[np.argsort(places, kind="stable")] = np.arange(len(places)) - np.repeat(
        np.cumsum(counts) - counts, counts
    )
    return found
