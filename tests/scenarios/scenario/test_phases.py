"""How a run is cut into phases."""

import pytest

from scenarios.events.drop import DropAll
from scenarios.scenario.model import Phases, Scenario
from scenarios.scenario.phases import phases_of

PHASES = Phases(duration_s=60, during_s=10, rescue_at_s=40, rescue_s=15)
STORM = Scenario(event=(DropAll(at_s=6.5),), phases=PHASES)

CUTS: dict[str, tuple[Scenario, int | None, bool, int | None, list[tuple[str, int, int]]]] = {
    "as planned": (
        STORM,
        None,
        False,
        6,
        [("ramp", -3, 0), ("before", 0, 6), ("during", 6, 16), ("after", 16, 40), ("tail", 40, 60)],
    ),
    "with a rescue": (
        STORM,
        55,
        True,
        6,
        [("ramp", -3, 0), ("before", 0, 6), ("during", 6, 16), ("after", 16, 40), ("rescue", 40, 55)],
    ),
    "ended early, before the rescue would be due": (
        STORM,
        30,
        False,
        6,
        [("ramp", -3, 0), ("before", 0, 6), ("during", 6, 16), ("after", 16, 30)],
    ),
    "without a rescue": (
        Scenario(event=STORM.event, phases=Phases(duration_s=60, during_s=10, rescue_at_s=0)),
        None,
        False,
        6,
        [("ramp", -3, 0), ("before", 0, 6), ("during", 6, 16), ("after", 16, 60)],
    ),
    "without a trigger": (Scenario(phases=PHASES), None, False, None, [("ramp", -3, 0), ("before", 0, 60)]),
}


@pytest.mark.parametrize(("scenario", "end_s", "rescued", "trigger_s", "cut"), CUTS.values(), ids=CUTS)
def test_a_run_is_cut(
    scenario: Scenario,
    end_s: int | None,
    rescued: bool,
    trigger_s: int | None,
    cut: list[tuple[str, int, int]],
) -> None:
    found_s, phases = phases_of(scenario, first_s=-3, end_s=end_s, rescued=rescued)
    assert found_s == trigger_s
    assert [(phase.name, phase.from_s, phase.to_s) for phase in phases] == cut
