"""One storm of one candidate: simulated in memory, and judged as every run is."""

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from reports.rundir.reader import Run
from reports.tuning.result import Outcome, outcome
from scenarios.scenario.model import Scenario
from scenarios.simulator.costs import Costs
from scenarios.simulator.run import OnSecond, Prediction, ignored, simulate_in_memory


class Task(Struct, frozen=True, kw_only=True):
    """A storm to play. Its name stands for the candidate."""

    candidate: str
    scenario: Scenario
    trigger: str
    seed: int
    costs: Costs


def evaluate(task: Task, on_second: OnSecond = ignored) -> Outcome:
    """Plays it, and judges it."""
    run = storm(task, on_second)
    return outcome(run, trigger=task.trigger, seed=task.seed, until_s=task.scenario.phases.duration_s)


def storm(task: Task, on_second: OnSecond = ignored) -> Run:
    """Plays it until everybody is well, or to its end; nobody is rescued."""
    scenario = task.scenario
    scenario = replace(
        scenario,
        fleet=replace(scenario.fleet, seed=task.seed),
        phases=replace(scenario.phases, rescue_at_s=0),
        matrix={},
        arms={},
    )
    plan = Prediction(
        scenario=scenario,
        directory=Path(),
        arm=task.candidate,
        costs=task.costs,
        until_well=True,
    )
    return simulate_in_memory(plan, on_second)
