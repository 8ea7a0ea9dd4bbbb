"""How much of its cores other processes had in each of several runs: what a quiet host looks like.

The bounds of `reports.analysis.disturbance` have to be above that, and below what changes a result.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from msgspec import Struct

from reports.analysis.disturbance import Taken, worst_windows
from reports.rundir.series import Row


class OtherLoad(Struct, frozen=True, kw_only=True):
    """The worst window of one length on one set of cores, over runs; CPU as a share of one core."""

    what: str
    where: str
    seconds: int
    runs: int
    median: float
    highest: float
    allowed: float

    @property
    def good(self) -> bool:
        """Whether no run had more than is allowed."""
        return self.highest <= self.allowed


def other_loads(runs: Iterable[tuple[Sequence[Row], Mapping[str, Any]]]) -> tuple[OtherLoad, ...]:
    """A row for each set of cores and length of window. runs: seconds, and the machine as run.json has it."""
    found: dict[tuple[str, str, int], list[Taken]] = defaultdict(list)
    for rows, machine in runs:
        for window in worst_windows(rows, machine):
            found[window.what, window.where, window.to_s - window.from_s].append(window)
    return tuple(
        OtherLoad(
            what=what,
            where=where,
            seconds=seconds,
            runs=len(windows),
            median=median(window.cores for window in windows),
            highest=max(window.cores for window in windows),
            allowed=windows[0].allowed_cores,
        )
        for (what, where, seconds), windows in found.items()
    )
