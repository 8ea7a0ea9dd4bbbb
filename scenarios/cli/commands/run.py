"""Runs of one scenario, or of all its arms, and the report on them."""

import asyncio
import contextlib
import sys
from typing import NoReturn

import click
import msgspec

from reports.analysis.judgement import judge_run
from reports.compare.comparison import ComparisonError
from reports.compare.control import controls
from reports.gate.sequential import Interim, decided, first_round, interim, interim_lines
from reports.rundir.files import find_runs, point_latest
from reports.rundir.schema import RecordError
from scenarios.cli.forecast import compare_lines
from scenarios.cli.gate_options import MOST_ROUNDS
from scenarios.cli.jitter_lines import jitter_lines
from scenarios.cli.options import Options, carries_out_a_scenario
from scenarios.cli.print_report import report
from scenarios.cli.progress import LiveView
from scenarios.cli.terminal import console, errors, fail, stack_failed, usage_errors, warn_of_leftovers
from scenarios.clients.protocol.target import TargetError
from scenarios.exit_status import GOOD, INTERRUPTED
from scenarios.fields import invalid
from scenarios.host.machine import MachineError
from scenarios.host.process import StackError
from scenarios.runner import deployment
from scenarios.runner.plan import plans, stamped_folder
from scenarios.runner.retry import run_until_quiet
from scenarios.runner.rounds import play_rounds
from scenarios.scenario.arms import arms
from scenarios.scenario.loader import refuse_set_by_arms
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import ScenarioError


@click.command("run")
@carries_out_a_scenario
def run_command(options: Options) -> None:
    """Run one scenario, without its matrix, and report on it.

    Exit status: 0 the run is valid, 2 usage or configuration, 3 invalid run, 5 a part of the stack failed,
    130 interrupted.
    """
    with _usage_errors():
        scenario = msgspec.structs.replace(options.load(), matrix={}, arms={})
    _carry_out(scenario, options, repeats=1)


@click.command("compare")
@click.option(
    "--repeats",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Runs per arm: 4 for the overall test, 5 for per-metric tests.",
)
@click.option(
    "--until-decided",
    is_flag=True,
    help="Go on by rounds until every arm is better, worse or no different from the reference.",
)
@click.option(
    "--max-rounds",
    "most_rounds",
    type=click.IntRange(1, 100),
    help=f"Upper limit of rounds with --until-decided; default: {MOST_ROUNDS}.",
)
@carries_out_a_scenario
def compare_command(options: Options, repeats: int, until_decided: bool, most_rounds: int | None) -> None:
    """Run every arm of a scenario and compare them.

    Exit status: 0 every arm has a valid run in every round, 2 usage or configuration, 3 one has none,
    5 a part of the stack failed, 130 interrupted.
    """
    with _usage_errors():
        scenario = options.load()
        refuse_set_by_arms(scenario, options.overrides)
        number = len(arms(scenario))
    if until_decided and number < 2:
        fail(f"{scenario.name}: --until-decided: needs at least 2 arms: expected [matrix] or [arms]")
    rounds = _rounds(repeats, until_decided=until_decided, most_rounds=most_rounds)
    _carry_out(scenario, options, repeats=rounds[0], most_rounds=rounds[1], forecast=True)


def _rounds(repeats: int, *, until_decided: bool, most_rounds: int | None) -> tuple[int, int | None]:
    """How many rounds a comparison plays at least and, where it ends once it is decided, at the most."""
    if not until_decided:
        if most_rounds is not None:
            fail("--max-rounds: needs --until-decided; without it, --repeats is the number of rounds")
        return repeats, None
    most = most_rounds or max(MOST_ROUNDS, repeats)
    first = first_round(repeats, most)
    if most < first:
        why = "the value of --repeats" if first == repeats else "the fewest that can decide anything"
        fail(invalid("--max-rounds", most, f">= {first}, {why}"))
    return first, most


def _carry_out(
    scenario: Scenario,
    options: Options,
    *,
    repeats: int,
    most_rounds: int | None = None,
    forecast: bool = False,
) -> NoReturn:
    """Carries out all arms in turn, reports on whatever was measured, and ends the program.

    With `most_rounds`, rounds go on after `repeats`, up to that many, until every arm is decided. A part of
    the stack that fails ends the comparison: what it says of an arm then rests on the runs before.
    """
    most = most_rounds or repeats
    directory = stamped_folder(options.runs_folder / scenario.name)
    todo = plans(
        scenario,
        repeats=most,
        directory=directory,
        nginx_binary=options.nginx_binary,
        allow_remote=options.allow_remote,
        allow_exec=options.allow_exec,
    )
    status = GOOD
    with _usage_errors():
        deployment.check(
            [plan.scenario for plan in todo], options.nginx_binary, allow_exec=options.allow_exec
        )
    warn_of_leftovers()
    said = errors if options.as_json else console
    if forecast:
        for line in compare_lines(todo, repeats, most):
            said.print(line, highlight=False, markup=False)
    for line in jitter_lines(plan.scenario for plan in todo):
        said.print(line, highlight=False, markup=False)
    looks: list[tuple[Interim, ...]] = []

    def is_decided() -> bool:
        if most_rounds is None:
            return True
        earlier = looks[-1] if looks else ()
        runs = [judge_run(path) for path in find_runs([directory])]
        looks.append(interim(runs, first=repeats, most_rounds=most, earlier=earlier))
        # Where a control run failed no further round makes an arm valid.
        return decided(looks[-1]) or any(control.problems for control in controls(runs))

    planned = sum(plan.control or plan.round <= repeats for plan in todo)
    try:
        with _usage_errors(), LiveView(said, planned) as view:
            play_rounds(
                todo,
                view,
                rounds=repeats,
                play=lambda plan: run_until_quiet(plan, options.retries, view),
                decided=is_decided,
            )
    except asyncio.CancelledError:
        status = INTERRUPTED
    except StackError as error:
        status = stack_failed(error)
    except OSError as error:
        fail(f"{directory}: {error}")
    if directory.exists():
        point_latest(directory, options.runs_folder / "latest")
        with _usage_errors():
            runs = [judge_run(path) for path in find_runs([directory])]
            status = max(status, report(runs, directory, as_json=options.as_json))
    if looks:
        reference = next(plan.arm for plan in todo if not plan.control)
        for line in interim_lines(looks[-1], reference, repeats + len(looks) - 1):
            said.print(line, highlight=False, markup=False)
    sys.exit(status)


def _usage_errors() -> contextlib.AbstractContextManager[None]:
    return usage_errors(ScenarioError, TargetError, RecordError, ComparisonError, MachineError)
