"""Which regressions a gate can hope to see on a host with this noise. An estimate, not a measurement.

Assumptions:

- Between two runs on this host a measure scatters at least as much as between the reference's runs on a quiet
  one: d₀, for `gate-quick`. Independent noise is added to it: d² = d₀² + (c · s)² + t².
- c: how much the CPU's speed varies: the coefficient of variation of a fixed piece of work between seconds,
  on the worst core of the pods. It acts as if every handshake cost that much more or less; s is the change of
  the measure with that cost, a straight line through the reference's two arms. With `cpu = "occupy"` only a
  part of the cost is CPU, so c · s is then too much.
- t: how much the lateness of timers varies: the standard deviation of its p99 between seconds, over a core of
  the pods and that of the load generator. It is added to measures in milliseconds only.
- The variation between seconds stands for that between runs. Fast noise averages out over a run, so this is
  too much for it. Noise that is slower than the measurement, such as an hourly job, is not seen at all.
- The values of runs are normal (`power`). Heavy tails need more rounds.
- The reference's host was not without noise either, which then counts twice.
"""

from collections.abc import Sequence
from math import hypot

from msgspec import Struct

from reports.gate.measures import VERDICT, Gauge
from reports.noise.power import median_margin, rounds_to_exclude, told_from
from reports.noise.reference import REFERENCE, Reference
from reports.noise.scatter import shift
from reports.text import units


class HostNoise(Struct, frozen=True, kw_only=True):
    """What a measurement says of the host; None where it is unknown."""

    speed_variation: float | None
    """Coefficient of variation of a fixed piece of work, from second to second, on the pods' worst core."""
    lateness_variation_ms: float | None
    """Standard deviation of the p99 lateness of timers, from second to second, over both kinds of cores."""


class Estimate(Struct, frozen=True, kw_only=True):
    """One measure of the gate; all differences are in its own unit."""

    key: str
    name: str
    least: float
    """The gate's minimum effect at the reference's level."""
    quiet_deviation: float
    """Between the reference's runs."""
    deviation: float
    """Expected between runs on this host, at least."""
    rounds: int | None
    """Before the first analysis, so that 9 in 10 gates of an unchanged version exclude the minimum effect;
    None where these are too many."""
    seen_from: float | None
    """The smallest regression that 9 in 10 gates of `gate_rounds` rounds call worse; None where none can."""


def estimates(noise: HostNoise, gauges: Sequence[Gauge], gate_rounds: int) -> tuple[Estimate, ...]:
    """An estimate for each measure that the reference has."""
    known = [gauge for gauge in gauges if gauge.key in REFERENCE]
    tests = len(known) + any(gauge.key == VERDICT for gauge in gauges)
    return tuple(_estimate(noise, gauge, REFERENCE[gauge.key], gate_rounds, tests) for gauge in known)


def deviation_here(noise: HostNoise, gauge: Gauge, quiet: Reference) -> float:
    """The standard deviation between runs: that of the reference, widened."""
    by_speed = quiet.per_cost * (noise.speed_variation or 0.0)
    late = noise.lateness_variation_ms or 0.0
    return hypot(quiet.deviation, by_speed, late if gauge.write is units.milliseconds else 0.0)


def _estimate(noise: HostNoise, gauge: Gauge, quiet: Reference, gate_rounds: int, tests: int) -> Estimate:
    least = gauge.effect.least(quiet.level, quiet.level)
    deviation = deviation_here(noise, gauge, quiet)
    told = told_from(gate_rounds, tests)
    # It has to be significant, and the medians have to differ by the minimum effect.
    seen_from = max(least + median_margin(gate_rounds) * deviation, told * deviation if deviation else 0.0)
    return Estimate(
        key=gauge.key,
        name=gauge.name,
        least=least,
        quiet_deviation=quiet.deviation,
        deviation=deviation,
        rounds=rounds_to_exclude(shift(least, deviation)),
        seen_from=seen_from if seen_from < float("inf") else None,
    )


def rounds_for_all(found: Sequence[Estimate]) -> int | None:
    """The rounds that every measure needs; None where these are too many for one."""
    known = [one.rounds for one in found if one.rounds is not None]
    return max(known, default=None) if len(known) == len(found) else None
