"""The scatter of a measure between runs: that of a gate's own runs, and the rounds that it asks for."""

from collections.abc import Sequence
from math import inf, sqrt
from statistics import median, pvariance

from msgspec import Struct

from reports.gate.decision import Decision
from reports.gate.measures import VERDICT, Gauge, Measured, reading
from reports.noise.power import MOST_ROUNDS, rounds_to_exclude
from reports.text import units

LEAST_RUNS = 3
"""Of a side: fewer say nothing of a scatter."""


class Scatter(Struct, frozen=True, kw_only=True):
    """How much a measure differs between runs of the same version."""

    gauge: Gauge
    level: float
    """Median of all runs."""
    deviation: float
    """Standard deviation between runs of one side."""
    rounds: int | None
    """That exclude a regression of the minimum effect where there is none; None where these are too many."""


def scatter(gauge: Gauge, sides: Sequence[Sequence[Measured]]) -> Scatter | None:
    """Pooled over the sides; None where runs are too few, or where in some of them the measure never came."""
    read = [[value for run in side if (value := reading(gauge, run)) is not None] for side in sides]
    values = [[number for number, _ in side] for side in read]
    every = [number for side in values for number in side]
    if min(map(len, values), default=0) < LEAST_RUNS or inf in every or any(b for s in read for _, b in s):
        return None
    squares = sum(pvariance(side) * len(side) for side in values)
    deviation = sqrt(squares / (len(every) - len(values)))
    level = median(every)
    return Scatter(
        gauge=gauge,
        level=level,
        deviation=deviation,
        rounds=rounds_to_exclude(shift(gauge.effect.least(level, level), deviation)),
    )


def shift(difference: float, deviation: float) -> float:
    """A difference in standard deviations."""
    return difference / deviation if deviation else inf


def difference_text(gauge: Gauge, value: float) -> str:
    """A difference or a scatter with its unit: shares differ by points."""
    if gauge.write is units.percent:
        return f"{units.plain(100 * value)} points"
    # A scatter of counts need not be a whole number.
    if gauge.write is units.count and not value.is_integer():
        return units.plain(value)
    return gauge.write(value)


def rounds_text(rounds: int | None) -> str:
    """`9`, or `more than 100`."""
    return f"more than {MOST_ROUNDS}" if rounds is None else str(rounds)


def inconclusive_note(decision: Decision, gauges: Sequence[Gauge]) -> str:
    """Why a gate may be inconclusive: the scatter of its own runs, and what would help; nothing otherwise."""
    if decision.outcome != "inconclusive" or decision.baseline is None:
        return ""
    undecided = {finding.key for finding in decision.findings if finding.answer == "inconclusive"}
    sides = decision.baseline.measured, decision.candidate.measured
    asked = [gauge for gauge in gauges if gauge.key in undecided and gauge.key != VERDICT]
    found = [one for gauge in asked if (one := scatter(gauge, sides)) is not None]
    if not found:
        return ""
    made = min(map(len, sides))
    told = "; ".join(_told(one, made) for one in found)
    known = [one.rounds for one in found if one.rounds is not None and one.rounds > made]
    asked_for = f" (`--rounds {max(known)}`)" if known else ""
    return (
        f"Standard deviation between the runs of this gate: {told}{asked_for}. "
        "`reconnect-storm doctor --noise` estimates in 20 s how much of it comes from this runner."
    )


def _told(one: Scatter, made: int) -> str:
    text = f"{one.gauge.name} {difference_text(one.gauge, one.deviation)}"
    if one.rounds is not None and one.rounds <= made:
        return f"{text}, which {made} rounds allow for: the difference is near the minimum effect"
    return (
        f"{text}, so a new gate needs {'about ' if one.rounds else ''}{rounds_text(one.rounds)} rounds to "
        f"exclude a regression of {one.gauge.least}"
    )
