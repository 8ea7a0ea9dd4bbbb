"""`tune`: searches for recommended settings with the simulator."""

import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from os import cpu_count
from pathlib import Path

import click
import msgspec
from click.core import ParameterSource
from msgspec.structs import replace

from reports.rundir.schema import RecordError
from reports.rundir.series import SERVED_WELL
from reports.tuning.drain import lines
from reports.tuning.result import Constraints
from reports.tuning.text import finalist_lines, headline, sentences, stock_lines
from scenarios.cli.commands.simulate import check_known
from scenarios.cli.commands.tune_confirm import confirm
from scenarios.cli.model_costs import model_costs
from scenarios.cli.options import (
    MODEL_OPTIONS,
    RUNS_OPTION,
    decorated_by,
    renamed_option,
    scenario_argument,
)
from scenarios.cli.progress import SearchProgress
from scenarios.cli.terminal import console, errors, fail, usage_errors
from scenarios.exit_status import BROKEN, GOOD, INTERRUPTED
from scenarios.fields import invalid
from scenarios.policies.following import PolicyError
from scenarios.runner.plan import stamped_folder
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import ScenarioError
from scenarios.simulator.costs import CostFileError
from scenarios.simulator.first_use import prepare
from scenarios.simulator.fit import CalibrationError
from scenarios.tuning.drains import DrainSearch
from scenarios.tuning.halving import storms
from scenarios.tuning.results import ResultsError, pool
from scenarios.tuning.search import Search, finished
from scenarios.tuning.stock_options import searched
from scenarios.tuning.triggers import sized, without_mitigations

_RESULTS = "evaluations.jsonl"
_OF_THE_SEARCH = (
    *("trials", "finalists", "sizes", "seed"),
    *("resume", "confirmed", "confirm_clients", "confirm_s", "client"),
)
"""Options of the search for settings, which --drain is not."""


@click.command("tune")
@scenario_argument("production")
@decorated_by(*MODEL_OPTIONS)
@click.option(
    "--trials", type=click.IntRange(0, 10_000), default=96, show_default=True, help="Candidates to sample."
)
@click.option(
    "--finalists",
    type=click.IntRange(1, 1_000),
    default=8,
    show_default=True,
    help="Finalists evaluated on every storm.",
)
@click.option("--seeds", type=click.IntRange(1, 100), default=5, show_default=True, help="Seeds per storm.")
@click.option(
    "--sizes",
    default="0.25,0.5,1",
    show_default=True,
    metavar="SHARES",
    help="Sizes of the trigger, as shares of the scenario's own.",
)
@click.option(
    "--min-availability",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Min availability from the trigger on, 0 to 1.",
)
@click.option(
    "--max-time-to-recover-s",
    type=click.FloatRange(min=0),
    help="Max time to recover after the trigger has ended, in seconds.",
)
@click.option("--max-cpu", type=click.FloatRange(0, 1), help="Max peak CPU of the pods, 0 to 1.")
@click.option(
    "--max-shared-ip-recovery-s",
    type=click.FloatRange(min=0),
    help="Max recovery time of clients behind a shared IP, in seconds.",
)
@renamed_option("--max-nat-victim-s", "--max-shared-ip-recovery-s", "max_shared_ip_recovery_s")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Seed for candidate sampling.",
)
@click.option("--processes", type=click.IntRange(1, 256), help="Worker processes; default: one per core.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Continue the search in this folder.",
)
@click.option(
    "--confirm", "confirmed", is_flag=True, help="Also run the recommended settings on the real stack."
)
@click.option(
    "--confirm-clients",
    type=click.IntRange(min=10),
    default=300,
    show_default=True,
    help="Max clients for the confirmation run.",
)
@click.option(
    "--confirm-s",
    type=click.IntRange(min=30),
    default=150,
    show_default=True,
    help="Max duration of the confirmation run after the trigger, in seconds.",
)
@click.option(
    "--client",
    metavar="NAME",
    help="Try only options of this stock client, such as socketio-js@4.8.",
)
@click.option(
    "--drain",
    "drained",
    is_flag=True,
    help="Find the shortest safe drain window with the settings as they are, and no other settings.",
)
@click.option(
    "--max-window-s",
    type=click.FloatRange(1, 86_400),
    default=3_600,
    show_default=True,
    help="Longest drain window to try, in seconds.",
)
@RUNS_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def tune_command(
    *,
    scenario_name: str,
    overrides: tuple[str, ...],
    recorded: tuple[Path, ...],
    costs_file: Path | None,
    trials: int,
    finalists: int,
    seeds: int,
    sizes: str,
    min_availability: float,
    max_time_to_recover_s: float | None,
    max_cpu: float | None,
    max_shared_ip_recovery_s: float | None,
    seed: int,
    processes: int | None,
    resume: Path | None,
    confirmed: bool,
    confirm_clients: int,
    confirm_s: int,
    client: str | None,
    drained: bool,
    max_window_s: float,
    runs_folder: Path,
    as_json: bool,
) -> None:
    """Search for the best reconnect policy and limits with the simulator.

    Prints the recommended settings.

    Every candidate is simulated in storms of several sizes and seeds, and ranked by its worst storm. Ctrl-C
    keeps what has been computed; --resume continues from there.

    With --drain: the shortest time over which the gateway can disconnect its clients one by one, with which
    the constraints and the SLOs of the scenario are met for every seed. Availability is then that of the
    worst 5 s, 0.99 unless --min-availability says otherwise.

    Exit status: 0 good, 1 no candidate meets the constraints, 2 usage or configuration, 130 interrupted; with
    --confirm also 3 invalid run, 5 a part of the stack failed.
    """
    constraints = Constraints(
        min_availability=min_availability,
        max_time_to_recover_s=max_time_to_recover_s,
        max_cpu=max_cpu,
        max_nat_victim_s=max_shared_ip_recovery_s,
    )
    with usage_errors(ScenarioError, RecordError, CalibrationError, CostFileError, ResultsError):
        _check_options(drained=drained)
        given = model_costs(costs_file, recorded, quiet=as_json)
        whole, costs = given.load(scenario_name, overrides)
        prepare(errors.print)
        if drained:
            scenario = replace(whole, matrix={}, arms={})
            check_known(scenario)
            search_drains = partial(
                DrainSearch,
                scenario,
                costs=costs,
                constraints=replace(constraints, min_availability=min_availability or SERVED_WELL),
                seeds=range(scenario.fleet.seed, scenario.fleet.seed + seeds),
                longest_s=max_window_s,
            )
            sys.exit(_tell_drains(search_drains, processes or min(seeds, cpu_count() or 1), as_json=as_json))
        scenario, left_out = _simulated(whole, scenario_name)
        if client:
            _check_client(client)
        triggers = sized(scenario, _sizes(sizes))
        directory = resume or stamped_folder(runs_folder / f"tune-{scenario.name}")
        search = Search(
            scenario=scenario,
            triggers=triggers,
            storms=storms([*triggers], range(scenario.fleet.seed, scenario.fleet.seed + seeds)),
            costs=costs,
            constraints=constraints,
            trials=trials,
            finalists=finalists,
            seed=seed,
            path=directory / _RESULTS,
            version=version("reconnect-storm"),
            client=client,
        )
    with SearchProgress(errors) as view:
        complete = search.run(view, processes)
    notes = tuple(f"event {name} is left out: it would replace the settings under test" for name in left_out)
    found = finished(search, complete=complete, notes=notes, command=sys.argv[1:])
    # Loading the plotting library takes longer than all the rest of the program's start.
    from reports.page.tuning import write_tuning  # noqa: PLC0415

    try:
        result, page = write_tuning(found, directory)
    except OSError as error:
        fail(f"{directory}: {error}")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        _say(headline(found))
        for sentence in sentences(found):
            _say(f"- {sentence}")
        for line in finalist_lines(found):
            _say(line)
        if found.settings:
            _say(found.settings)
        for line in stock_lines(found):
            _say(line)
        _say(f"report: {page}\n        {result}")
    status = (GOOD if found.chosen else BROKEN) if complete else INTERRUPTED
    if confirmed and complete and found.chosen:
        arms = {name: one for name, one in search.to_confirm(found).items() if one}
        status = max(
            status,
            confirm(
                scenario,
                arms,
                directory / "confirmed",
                costs=costs,
                most_clients=confirm_clients,
                watch_s=confirm_s,
            ),
        )
    sys.exit(status)


def _tell_drains(search_drains: Callable[..., DrainSearch], processes: int, *, as_json: bool) -> int:
    """Finds and prints the drain windows; returns the exit status."""
    try:
        with SearchProgress(errors) as view, pool(processes) as executor:
            found = search_drains(executor=executor, played=view.advance).run()
    except KeyboardInterrupt:
        return INTERRUPTED
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        for line in lines(found):
            _say(line)
    return GOOD if found.is_safe else BROKEN


def _simulated(scenario: Scenario, name: str) -> tuple[Scenario, tuple[str, ...]]:
    """The scenario to simulate, and the names of the events that are left out."""
    scenario = replace(scenario, matrix={}, arms={})
    check_known(scenario)
    if scenario.fleet.group:
        raise ScenarioError(
            f"{name}: fleet.group: not supported by tune, which recommends one policy for all clients:"
            " expected a fleet without groups, such as a copy of the file without [[fleet.group]]"
        )
    if scenario.trigger_s is None:
        raise ScenarioError(f"{name}: event: expected at least one fault")
    return without_mitigations(scenario)


def _check_client(client: str) -> None:
    try:
        searched(client)
    except PolicyError as error:
        raise ScenarioError(f"--client: {error}") from None


def _check_options(*, drained: bool) -> None:
    """Raises ScenarioError for an option that would have no effect."""
    context = click.get_current_context()
    given = {
        parameter.name: parameter.opts[0]
        for parameter in context.command.params
        if parameter.name and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    }
    for name in _OF_THE_SEARCH if drained else ():
        if name in given:
            raise ScenarioError(f"{given[name]}: not supported together with --drain")
    if not drained and "max_window_s" in given:
        raise ScenarioError("--max-window-s: not supported without --drain")


def _sizes(text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 < size <= 1 for size in found):
        raise ScenarioError(invalid("--sizes", text, "shares > 0 and <= 1, such as 0.25,0.5,1"))
    return found


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
