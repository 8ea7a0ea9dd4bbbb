"""Columns of series.csv as arrays, and sums and means that know about empty cells."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reports.rundir.reader import Run

Row = dict[str, float | None]
Seconds = NDArray[np.float64]
"""One value a second; NaN where the second has none."""

SERVED_WELL = 0.99
"""Share of the clients that has to be served for the service to count as recovered or steady."""
SERVED = 0.90
"""Share of the clients below which the service counts as down."""


def column(rows: Sequence[Row], name: str) -> Seconds:
    """One column of `rows`."""
    cells = (row.get(name) for row in rows)
    return np.array([np.nan if cell is None else cell for cell in cells], np.float64)


def present(rows: Sequence[Row], name: str) -> list[float]:
    """What is there of one column of `rows`."""
    return [cell for row in rows if (cell := row.get(name)) is not None]


def aligned(run: Run, name: str, from_s: int, to_s: int) -> Seconds:
    """One column over [from_s, to_s), one element a second; NaN also where a whole row is missing."""
    result = np.full(max(0, to_s - from_s), np.nan)
    for row in run.between(from_s, to_s):
        second, cell = row["t_s"], row.get(name)
        if second is not None and cell is not None:
            result[int(second) - from_s] = cell
    return result


def total(values: Seconds) -> float:
    """The sum of what is there."""
    return float(np.nansum(values))


def mean(values: Seconds) -> float | None:
    """The mean of what is there; None where nothing is."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else None


def highest(values: Seconds) -> float | None:
    """The maximum of what is there; None where nothing is."""
    there = values[~np.isnan(values)]
    return float(there.max()) if len(there) else None


def shares(parts: Seconds, wholes: Seconds) -> Seconds:
    """Element by element; NaN where there is nothing to share."""
    result = np.full(len(parts), np.nan)
    np.divide(parts, wholes, out=result, where=wholes > 0)
    return result


def availability(rows: Sequence[Row]) -> float | None:
    """Client-seconds served ÷ all client-seconds, of the seconds of which both are known."""
    served = column(rows, "useful")
    return ratio(total(served), total(column(rows, "clients")[~np.isnan(served)]))


def ratio(numerator: float, denominator: float) -> float | None:
    """A quotient; None where the denominator is 0."""
    return numerator / denominator if denominator else None
