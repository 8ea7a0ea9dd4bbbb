"""`simulate`: predicts runs with the model, and judges them like real ones."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace
from rich.progress import Progress

from reports.analysis.judgement import judge_run
from reports.compare.agreement import agreement
from reports.compare.comparable import by_arm
from reports.compare.comparison import ComparisonError
from reports.rundir.files import find_runs, point_latest, replacing
from reports.rundir.reader import Run
from reports.rundir.schema import RecordError
from scenarios.cli.model_costs import ModelCosts, model_costs
from scenarios.cli.options import (
    MODEL_OPTIONS,
    REPORT_JSON_OPTION,
    RUNS_OPTION,
    decorated_by,
    scenario_argument,
)
from scenarios.cli.print_report import report, shown_agreement
from scenarios.cli.terminal import errors, fail, usage_errors
from scenarios.events.exec import commands_of
from scenarios.exit_status import GOOD, INTERRUPTED
from scenarios.fields import invalid
from scenarios.runner.plan import plans, slug, stamped_folder, with_seed
from scenarios.scenario.loader import refuse_set_by_arms
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import ScenarioError
from scenarios.simulator.costs import CostFileError
from scenarios.simulator.edge.supported import edge_complaints
from scenarios.simulator.first_use import prepare
from scenarios.simulator.fit import CalibrationError
from scenarios.simulator.run import Prediction, simulate


@click.command("simulate")
@scenario_argument("mass-drop")
@decorated_by(*MODEL_OPTIONS)
@click.option("--repeats", type=click.IntRange(1, 100), default=1, show_default=True, help="Runs per arm.")
@click.option(
    "--keep-costs",
    "kept_costs",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the CPU costs to this JSON file, for --costs.",
)
@click.option(
    "--against",
    "measured",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    metavar="RUN",
    help="Predict these recorded runs instead of a scenario, and report how far the two agree.",
)
@RUNS_OPTION
@REPORT_JSON_OPTION
def simulate_command(
    *,
    scenario_name: str,
    overrides: tuple[str, ...],
    repeats: int,
    recorded: tuple[Path, ...],
    costs_file: Path | None,
    kept_costs: Path | None,
    measured: tuple[Path, ...],
    runs_folder: Path,
    as_json: bool,
) -> None:
    """Predict every arm of a scenario with a model, without any load.

    Policies, limits, events and verdicts are those of real runs.

    Writes run directories in the same format as a real run's, marked as predicted, so that every report and
    comparison works on them. Ctrl-C keeps what has been computed.

    Exit status: 0 good, 2 usage or configuration, 3 invalid, 130 interrupted.
    """
    with usage_errors(ScenarioError, RecordError, ComparisonError, CalibrationError, CostFileError):
        given = model_costs(costs_file, recorded, quiet=as_json)
        costs = given.costs
        if kept_costs:
            with replacing(kept_costs) as stream:
                stream.write(msgspec.json.format(msgspec.json.encode(costs)).decode() + "\n")
        known = [judge_run(path) for path in find_runs(measured)] if measured else []
        if known:
            directory = stamped_folder(runs_folder / "agreement")
            predictions = predictions_of(known, repeats=repeats, directory=directory)
            if given.keys and not all(plan.scenario.own_gateway for plan in predictions):
                raise CostFileError(
                    f"{costs_file}: TOML costs not supported together with --against, whose runs define their"
                    " own gateway: expected costs as JSON"
                )
            predictions = [_with_costs(plan, given) for plan in predictions]
        else:
            scenario, costs = given.load(scenario_name, overrides)
            refuse_set_by_arms(scenario, overrides)
            directory = stamped_folder(runs_folder / scenario.name)
            predictions = [
                Prediction(
                    scenario=plan.scenario,
                    directory=plan.directory,
                    arm=plan.arm,
                    round=plan.round,
                    control=plan.control,
                    costs=costs,
                )
                for plan in plans(scenario, repeats=repeats, directory=directory)
            ]
        # A control run has no arm that could be named.
        for plan in sorted(predictions, key=lambda plan: plan.control):
            _check_arm(plan)
        prepare(errors.print)
        status = _predict(predictions)
        if directory.exists():
            point_latest(directory, runs_folder / "latest")
            runs = [judge_run(path) for path in find_runs([directory])]
            status = max(status, report(runs, directory, as_json=as_json))
            if known:
                _say_agreement(known, runs, directory)
    sys.exit(status)


def _with_costs(plan: Prediction, given: ModelCosts) -> Prediction:
    """The prediction of a recorded run, whose scenario may have a gateway of the user's own."""
    if not plan.scenario.own_gateway:
        return replace(plan, costs=given.costs)
    scenario, costs = given.of_own(plan.scenario)
    return replace(plan, scenario=scenario, costs=costs)


def _predict(predictions: list[Prediction]) -> int:
    """Simulates all of them; returns 130 if the user stopped it."""
    with Progress(console=errors, transient=True) as progress:
        for number, plan in enumerate(predictions, start=1):
            task = progress.add_task(f"[{number}/{len(predictions)}] {plan.arm}")
            try:
                simulate(
                    plan,
                    lambda done, all_, task=task: progress.update(task, completed=done, total=all_),  # type: ignore[misc]
                )
            except KeyboardInterrupt:
                return INTERRUPTED
            except OSError as error:
                fail(f"{plan.directory}: {error}")
            progress.remove_task(task)
    return GOOD


def predictions_of(measured: Sequence[Run], *, repeats: int, directory: Path) -> list[Prediction]:
    """Every arm of recorded runs, predicted `repeats` times, each time with another seed."""
    arms = {arm: msgspec.convert(runs[0].info.scenario, Scenario) for arm, runs in by_arm(measured).items()}
    return [
        Prediction(
            scenario=with_seed(scenario, scenario.fleet.seed + number - 1),
            directory=directory / f"{number:02}-{position}-{slug(arm)}",
            arm=arm,
            round=number,
        )
        for number in range(1, repeats + 1)
        for position, (arm, scenario) in enumerate(arms.items(), start=1)
    ]


def _say_agreement(measured: Sequence[Run], predicted: Sequence[Run], directory: Path) -> None:
    # Loading the plotting library takes longer than all the rest of the program's start.
    from reports.figures.agreement import agreement_alt_text, agreement_figure  # noqa: PLC0415
    from reports.figures.timeline import svg  # noqa: PLC0415

    found = agreement(measured, predicted)
    errors.print(shown_agreement(found))
    same, all_ = found.same_verdict
    errors.print(f"predicted verdict matches the measured one in {same} of {all_} runs")
    file = directory / "agreement.svg"
    drawn = svg(agreement_figure(measured, predicted), agreement_alt_text(measured, predicted))
    with replacing(file) as stream:
        stream.write(drawn)
    errors.print(f"attempts per second, predicted over measured: {file}", highlight=False, soft_wrap=True)


def _check_arm(plan: Prediction) -> None:
    """Raises ScenarioError that names the arm which the model does not support."""
    try:
        check_known(plan.scenario)
    except ScenarioError as error:
        raise ScenarioError(f"arm {plan.arm!r}: {error}") from None


def check_known(scenario: Scenario) -> None:
    """Raises ScenarioError for a scenario that the model does not support."""
    if scenario.target.url:
        raise ScenarioError(
            "target.url: not supported by simulate and tune: external targets have no cost model"
        )
    if scenario.gateway.token_lifetime_s:
        raise ScenarioError(
            invalid(
                "gateway.token_lifetime_s",
                scenario.gateway.token_lifetime_s,
                "0: the model has no credentials, and no pod that refuses them",
            )
        )
    for place, _ in commands_of(scenario.event):
        raise ScenarioError(
            f"event[{place}].do: exec not supported by simulate and tune: nobody knows what a command"
            " does to a gateway: expected an event that stands for it, such as deploy or scale, or"
            " enabled = false"
        )
    for complaint in edge_complaints(scenario):
        raise ScenarioError(complaint)
    if scenario.mesh.sidecar != "none":
        raise ScenarioError(
            invalid("mesh.sidecar", scenario.mesh.sidecar, "'none': the model has no sidecars")
        )
