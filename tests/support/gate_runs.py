"""Numbers of runs with known distributions, for tests of the gate."""

import random
from typing import Any

from reports.analysis.verdict import VerdictName
from reports.gate.decision import Side
from reports.gate.measures import Measured, Value

TYPICAL = {
    "availability": (0.70, 0.006),
    "effective_p99_after": (60.0, 3.0),
    "time_to_recover_s": (8.0, 0.4),
    "attempts_peak": (150.0, 4.0),
    "attempts": (480.0, 9.0),
    "disconnects": (120.0, 1.0),
    "pod_loop": (0.55, 0.008),
}
"""Median and standard deviation of each default measure, from one run to the next."""


def run(verdict: VerdictName = "RECOVERED", /, **values: Any) -> Measured:
    """One run; a value may be a number, None for never, or a number in a list for a lower bound."""
    return Measured(
        verdict,
        {
            key: Value(value[0], True) if isinstance(value, list) else Value(value)
            for key, value in values.items()
        },
    )


def drawn(rng: random.Random, count: int, noise: float = 1.0, **shifts: float) -> tuple[Measured, ...]:
    """Runs whose measures are normal; `shifts` multiplies some of their medians."""
    return tuple(
        run(
            **{
                key: rng.gauss(median * shifts.get(key, 1.0), noise * deviation)
                for key, (median, deviation) in TYPICAL.items()
            }
        )
        for _ in range(count)
    )


def side(*runs: Measured, name: str = "baseline", problems: tuple[str, ...] = ()) -> Side:
    """A side with these valid runs, and as many others as it has problems."""
    return Side(name=name, runs=len(runs) + len(problems), measured=runs, problems=problems)
