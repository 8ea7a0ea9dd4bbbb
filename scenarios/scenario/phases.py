"""How the time of a run is cut into phases."""

from msgspec.structs import replace

from reports.rundir.schema import Phase
from scenarios.scenario.model import Scenario

SETTLE_S = 2
"""Seconds between the last join of the ramp and the steady state."""
_START_S = 4
"""What starting usually takes."""


def phases_of(
    scenario: Scenario, *, first_s: int, end_s: int | None, rescued: bool
) -> tuple[int | None, tuple[Phase, ...]]:
    """(second of the trigger, phases), all in seconds of steady state. `during` starts with the trigger."""
    phases, trigger_s = scenario.phases, scenario.trigger_s
    end = end_s if end_s is not None else phases.duration_s
    ramp = Phase("ramp", first_s, 0)
    if trigger_s is None:
        return None, (ramp, Phase("before", 0, end))
    trigger = int(trigger_s)
    calm_again = trigger + phases.during_s
    cut = min(end, phases.rescue_at_s or end)
    parts = [
        ramp,
        Phase("before", 0, trigger),
        Phase("during", trigger, calm_again),
        Phase("after", calm_again, cut),
        Phase("rescue" if rescued else "tail", cut, end),
    ]
    return trigger, tuple(phase for phase in parts if phase.from_s < phase.to_s)


def cut_short(phases: tuple[Phase, ...], at_s: int) -> tuple[Phase, ...]:
    """The phases of a run that got as far as that second."""
    return tuple(replace(phase, to_s=min(phase.to_s, at_s)) for phase in phases if phase.from_s < at_s)


def may_end_early(scenario: Scenario) -> bool:
    """Whether a run ends before its time once it has recovered: only one that waits for its rescue looks."""
    return scenario.trigger_s is not None and scenario.phases.rescue_at_s > 0


def expected_s(scenario: Scenario) -> float:
    """How long a run takes that does not end early, from the start of its parts on."""
    ramp_s = scenario.fleet.clients / scenario.fleet.ramp_per_s
    return _START_S + ramp_s + SETTLE_S + scenario.phases.duration_s
