"""Clients that a limit keeps out: what the rules on limits ask of rows of series.csv and shared_ips.csv."""

from collections.abc import Iterable

from reports.rundir import series
from reports.rundir.columns import OUTCOMES
from reports.rundir.series import Row

FEWEST_REFUSED, REFUSED_SHARE = 5, 0.05
"""First attempts that were refused: below both, a limit did what it is for."""
WATCHED_S = 15
"""The last seconds before the rescue or the end."""
OUT_SHARE = 0.05
STUCK_SHARE = 0.05
"""Clients that came in during these seconds, as a share of those that were out."""
ALL_REFUSED = 0.9
OTHERS_SHARE = 0.1
"""Attempts that failed at the pods, as a share of those that the limit let pass; with more, the pods are what
keeps clients out."""


def locked_out(rows: list[Row]) -> int:
    """Clients that were out all the time, if the limit refused nearly all that they tried; 0 if not."""
    clients, connected = series.highest(series.column(rows, "clients")), series.column(rows, "connected")
    if not clients or not len(connected):
        return 0
    out = round(clients - connected[-1])
    attempts, refused = count(rows, "attempts"), count(rows, "limited")
    came_in = float(connected[-1] - connected[0])
    locked = (
        out >= max(1.0, OUT_SHARE * clients)
        and came_in <= STUCK_SHARE * out
        and refused >= max(FEWEST_REFUSED, ALL_REFUSED * attempts)
    )
    return out if locked else 0


def pods_keep_out(rows: list[Row]) -> bool:
    """Whether attempts that the limit let pass failed elsewhere."""
    others = sum(count(rows, name) for name in OUTCOMES if name not in {"joined", "limited", "abandoned"})
    return others > max(2.0, OTHERS_SHARE * (others + count(rows, "joined")))


def count(rows: Iterable[Row], name: str) -> int:
    return round(series.total(series.column([*rows], name)))
