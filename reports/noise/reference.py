"""How much the measures of `gate-quick` scatter on a quiet host, and what a handshake's cost does to them.

The figures come from docs/data/gate-pool.json, which an installation does not have: ten runs of the unchanged
scenario, and ten with handshakes that cost 50 % more, on a two-core virtual machine. A test compares the two.
"""

from collections.abc import Mapping, Sequence
from math import inf
from statistics import median, stdev

from msgspec import Struct

from reports.gate.measures import Measured

SCENARIO = "gate-quick"
RUNS = 10
COSTLIER = 0.5
"""By how much a handshake cost more in the second ten runs."""


class Reference(Struct, frozen=True):
    """One measure, in its own unit: shares from 0 to 1, latencies in ms, times in seconds."""

    level: float
    """Median of the runs."""
    deviation: float
    """Standard deviation between runs."""
    per_cost: float
    """Change of the median where everything costs twice as much, by a straight line through both arms."""


REFERENCE: Mapping[str, Reference] = {
    "availability": Reference(0.72965, 0.003171, -0.1859),
    "effective_p99_after": Reference(662.0, 3.065, 159.2),
    "time_to_recover_s": Reference(0.0, 0.3162, 2.0),
    "attempts_peak": Reference(90.0, 2.716, 0.0),
    "attempts": Reference(249.5, 0.8233, 95.0),
    "disconnects": Reference(120.0, 0.0, 0.0),
    "pod_loop": Reference(0.51169, 0.022556, 0.72019),
}


def reference(key: str, unchanged: Sequence[Measured], costlier: Sequence[Measured]) -> Reference:
    """The figures of one measure from recorded runs of both arms."""
    before, after = (
        [inf if value.number is None else value.number for run in runs if (value := run.values.get(key))]
        for runs in (unchanged, costlier)
    )
    change = (median(after) - median(before)) / COSTLIER
    return Reference(level=median(before), deviation=stdev(before), per_cost=change)
