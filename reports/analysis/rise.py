"""Is there a rise in the last seconds, or is it chance?

How many clients are served in a second depends on the second before: sessions last. So such a series
wanders, and within a dozen seconds it may well wander up. A rise counts where it is `ERRORS` times its
standard error, as that would be if seconds did not depend on each other. With a correlation of 0.7 between
successive seconds, chance reaches that in 3 of 100 series; with less, in fewer.
"""

from collections.abc import Sequence

import numpy as np

ERRORS = 5.0
FEWEST_SECONDS = 6
"""With fewer than these, a rise cannot be told apart from chance."""


def rise_per_s(values: Sequence[float]) -> float:
    """By how much values, one a second, rise every second; 0 where they do not, or where it may be chance.

    NaN stands for a second of which nothing is known.
    """
    numbers = np.asarray(values, np.float64)
    present = np.flatnonzero(~np.isnan(numbers))
    if len(present) < FEWEST_SECONDS:
        return 0.0
    times, known = present - present.mean(), numbers[present]
    spread = float(times @ times)
    slope = float(times @ known) / spread
    left = known - known.mean() - slope * times
    error = np.sqrt(float(left @ left) / (len(present) - 2) / spread)
    return slope if slope > ERRORS * error else 0.0
