"""How the time of a run is cut into phases."""

from msgspec.structs import replace

from reports.rundir.schema import Phase
from scenarios.scenario.model import Scenario


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
