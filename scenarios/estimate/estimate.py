"""The estimate of one scenario: closed forms, and what the chain makes of loads near its own."""

import math
import statistics

from msgspec import Struct
from msgspec.structs import replace

from scenarios.estimate.chain import course
from scenarios.estimate.delays import delays_of
from scenarios.estimate.pod import Pod, pod_of
from scenarios.estimate.recovery import Outcome, outcome
from scenarios.estimate.region import not_covered, not_covered_numbers, outside
from scenarios.policies.registry import policy
from scenarios.scenario.model import Scenario
from scenarios.scenario.stability import Stability, stability
from scenarios.simulator.costs import Costs

SPREAD = 0.08
"""Standard deviation of ln(load) in an estimate: an allowance for what a scenario says of its load and costs,
and for the error of the chain itself. It is not fitted to anything."""
_QUANTILES = (-1.2816, -0.5244, 0.0, 0.5244, 1.2816)
"""Of a normal distribution, each of which stands for a fifth of it."""


class Forecast(Struct, frozen=True, kw_only=True):
    """What the chain says."""

    chance_metastable: float
    """That the storm sustains itself: nobody else is back at the horizon, nor on the way. Of all loads."""
    chance_recovered: float
    """That it recovers by itself within the horizon; the rest is a slow drain."""
    time_to_recover_s: float | None
    """Median of the loads that recover, from the trigger; None where none does."""
    time_to_recover_from_s: int | None
    time_to_recover_to_s: int | None
    """Shortest and longest of these."""
    availability: float
    """Served client-seconds from the trigger to the horizon, at the scenario's own load."""
    attempts_per_disconnect: float
    """Likewise."""
    horizon_s: int
    """From the trigger to the forced-recovery probe, or to the end of the run."""


class Estimate(Struct, frozen=True, kw_only=True):
    """The estimate of one arm."""

    stability: Stability | None
    """S1, S2, t* and what they are made of; None where the pods are not the scenario's."""
    forecast: Forecast | None
    """None where the chain does not cover the scenario."""
    not_covered: tuple[str, ...]
    """Why."""
    outside: tuple[str, ...]
    """Numbers outside of the ranges in which forecasts were checked."""


class ArmEstimate(Struct, frozen=True, kw_only=True):
    """The estimate of one arm, as `estimate` prints it."""

    arm: str
    estimate: Estimate


def estimate(scenario: Scenario, costs: Costs | None = None) -> Estimate:
    """The estimate of a scenario without its matrix. costs: of the modelled pods, as for `simulate`."""
    costs = costs or Costs()
    numbers = stability(scenario, costs.tick_cpu_s)
    unknown = tuple(not_covered(scenario))
    if unknown:
        known = None if scenario.target.url else numbers
        return Estimate(stability=known, forecast=None, not_covered=unknown, outside=())
    pod = pod_of(scenario, costs)
    unknown = tuple(not_covered_numbers(scenario, pod, numbers))
    forecast = None if unknown else _forecast(scenario, pod)
    return Estimate(
        stability=numbers,
        forecast=forecast,
        not_covered=unknown,
        outside=() if unknown else tuple(outside(pod, numbers)),
    )


def _forecast(scenario: Scenario, pod: Pod) -> Forecast:
    phases = scenario.phases
    trigger_s = int(scenario.trigger_s or 0)
    horizon_s = phases.duration_s - trigger_s
    probe_s = phases.rescue_at_s - trigger_s if phases.rescue_at_s else None
    delays = delays_of(policy(scenario.fleet.policy))

    def at(load: float) -> Outcome:
        loaded = replace(
            pod,
            upgrade_s=pod.upgrade_s * load,
            join_s=pod.join_s * load,
            join_cpu_s=pod.join_cpu_s * load,
        )
        played = course(loaded, delays, horizon_s)
        return outcome(
            played, loaded, horizon_s=horizon_s, window_s=phases.recovery_window_s, probe_s=probe_s
        )

    # Where light, own and heavy load end alike, those between them do as well.
    outcomes = {quantile: at(math.exp(SPREAD * quantile)) for quantile in _QUANTILES[::2]}
    if len({one.word for one in outcomes.values()}) > 1:
        outcomes |= {quantile: at(math.exp(SPREAD * quantile)) for quantile in _QUANTILES[1::2]}
    words = [one.word for one in outcomes.values()]
    own = outcomes[0.0]
    times = [one.time_to_recover_s for one in outcomes.values() if one.time_to_recover_s is not None]
    return Forecast(
        chance_metastable=words.count("stuck") / len(words),
        chance_recovered=words.count("recovers") / len(words),
        time_to_recover_s=statistics.median(times) if times else None,
        time_to_recover_from_s=min(times, default=None),
        time_to_recover_to_s=max(times, default=None),
        availability=own.served,
        attempts_per_disconnect=own.attempts_per_client,
        horizon_s=min(horizon_s, probe_s or horizon_s),
    )
