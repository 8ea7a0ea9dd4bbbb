"""What the options of a prediction say about costs, and the scenario that goes with them."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from rich.table import Table

from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from scenarios.cli.terminal import console
from scenarios.scenario.loader import load
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import ScenarioError
from scenarios.simulator.costs import Costs, read
from scenarios.simulator.fit import Calibration, calibrate
from scenarios.simulator.own_gateway import modelled


class ModelCosts(Struct, frozen=True, kw_only=True):
    """The costs of a prediction."""

    costs: Costs = Costs()
    keys: tuple[str, ...] = ()
    """The keys of a scenario that a file of costs stands for, as `--set` takes them."""
    measured: bool = False
    """Whether they are known of any gateway, and not those of this program's pods."""

    def load(self, name: str, overrides: Sequence[str]) -> tuple[Scenario, Costs]:
        """The scenario of that name as the model plays it, and its costs. Raises ScenarioError."""
        scenario = load(name, overrides)
        if scenario.own_gateway:
            return self.of_own(scenario)
        return load(name, (*self.keys, *overrides)), self.costs

    def of_own(self, scenario: Scenario) -> tuple[Scenario, Costs]:
        """The same for a scenario with a gateway of the user's own. Raises ScenarioError without costs."""
        if not self.measured:
            raise ScenarioError(
                "gateway.command: not supported without the costs of that gateway: run"
                " `reconnect-storm measure` first, then add --costs FILE"
            )
        return modelled(scenario, self.costs, self.keys)


def model_costs(costs_file: Path | None, recorded: Sequence[Path], *, quiet: bool) -> ModelCosts:
    """What --costs and --calibrate say. Raises CostFileError, CalibrationError.

    quiet: the fit is not printed.
    """
    costs, keys = read(costs_file) if costs_file else (Costs(), ())
    if recorded:
        found = calibrate([Run.load(path) for path in find_runs(recorded)], costs)
        if not quiet:
            console.print(calibration_table(found))
        costs = found.costs
    return ModelCosts(costs=costs, keys=keys, measured=costs_file is not None or bool(recorded))


def calibration_table(found: Calibration) -> Table:
    """The costs with their ranges, in microseconds where they are times of CPU."""
    table = Table(
        "cost",
        "value",
        "range",
        box=None,
        title=f"fitted to {found.seconds} pod-seconds",
        caption="range: the middle 95 % of fits to seconds drawn again; seconds of one run resemble each "
        "other, so the true cost may well lie outside. Of pod_start, the extremes.",
    )
    for one in found.fitted:
        unit, scale = (
            ("µs", 1e6)
            if one.name.endswith("_cpu_s")
            else ("s", 1)
            if one.name.endswith("_s")
            else ("%", 100)
        )
        value, low, high = (f"{number * scale:.3g}" for number in (one.value, one.low, one.high))
        table.add_row(one.name.removesuffix("_s"), f"{value} {unit}", f"{low} to {high} {unit}")
    return table
