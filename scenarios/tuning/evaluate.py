"""One storm of one candidate: simulated in memory, and judged as every run is."""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from reports.rundir.memory import MemoryWriter, Tally
from reports.rundir.schema import RunInfo
from reports.tuning.result import Outcome, outcome
from scenarios.scenario.model import Scenario
from scenarios.simulator.costs import Costs
from scenarios.simulator.run import Prediction, simulate


class Task(Struct, frozen=True, kw_only=True):
    """A storm to play. Its name stands for the candidate."""

    candidate: str
    scenario: Scenario
    trigger: str
    seed: int
    costs: Costs
    slot_s: float | None = None


def evaluate(task: Task, on_second: Callable[[int, int], None] = lambda _done, _all: None) -> Outcome:
    """Plays it until everybody is well, or to its end; nobody is rescued."""
    scenario = task.scenario
    scenario = replace(
        scenario,
        fleet=replace(scenario.fleet, seed=task.seed),
        phases=replace(scenario.phases, rescue_at_s=0),
        matrix={},
        arms={},
    )
    writers: list[MemoryWriter] = []

    def writer(info: RunInfo) -> MemoryWriter:
        writers.append(MemoryWriter(info))
        return writers[0]

    plan = Prediction(
        scenario=scenario,
        directory=Path(),
        arm=task.candidate,
        costs=task.costs,
        slot_s=task.slot_s,
        until_well=True,
    )
    simulate(plan, on_second, writer=writer, histogram=Tally)
    return outcome(writers[0].run(), trigger=task.trigger, seed=task.seed, until_s=scenario.phases.duration_s)
