"""Runs of one scenario, or of all its arms, and the report on them."""

import asyncio
import contextlib
import sys
from typing import NoReturn

import click
import msgspec

from reports.analysis.judgement import judge_run
from reports.compare.comparison import ComparisonError
from reports.rundir.files import find_runs, point_latest
from reports.rundir.schema import RecordError
from scenarios.cli.options import Options, carries_out_a_scenario
from scenarios.cli.print_report import report
from scenarios.cli.progress import LiveView
from scenarios.cli.terminal import console, errors, fail, stack_failed, usage_errors, warn_of_leftovers
from scenarios.clients.protocol.target import TargetError
from scenarios.exit_status import GOOD, INTERRUPTED
from scenarios.host.machine import MachineError
from scenarios.host.process import StackError
from scenarios.runner import deployment
from scenarios.runner.plan import plans, stamped_folder
from scenarios.runner.retry import run_until_quiet
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
@carries_out_a_scenario
def compare_command(options: Options, repeats: int) -> None:
    """Run every arm of a scenario and compare them.

    Exit status: 0 every arm has a valid run in every round, 2 usage or configuration, 3 one has none,
    5 a part of the stack failed, 130 interrupted.
    """
    with _usage_errors():
        scenario = options.load()
    _carry_out(scenario, options, repeats=repeats)


def _carry_out(scenario: Scenario, options: Options, *, repeats: int) -> NoReturn:
    """Carries out all arms in turn, reports on whatever was measured, and ends the program.

    A part of the stack that fails ends the comparison: what it says of an arm then rests on the runs before.
    """
    directory = stamped_folder(options.runs_folder / scenario.name)
    todo = plans(
        scenario,
        repeats=repeats,
        directory=directory,
        nginx_binary=options.nginx_binary,
        allow_remote=options.allow_remote,
    )
    status = GOOD
    with _usage_errors():
        deployment.check([plan.scenario for plan in todo], options.nginx_binary)
    warn_of_leftovers()
    try:
        with LiveView(errors if options.as_json else console, len(todo)) as view:
            spoilt = []
            for plan in todo:
                view.begin(plan.arm)
                if not run_until_quiet(plan, options.retries, view) and plan.control:
                    spoilt.append(plan)
            # Without its control no arm counts, so one that was disturbed gets another chance at the end.
            view.expect_more(len(spoilt))
            for plan in spoilt:
                view.begin(plan.arm)
                later = plan.directory.with_name(f"{plan.directory.name}-later")
                run_until_quiet(msgspec.structs.replace(plan, directory=later), options.retries, view)
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
    sys.exit(status)


def _usage_errors() -> contextlib.AbstractContextManager[None]:
    return usage_errors(ScenarioError, TargetError, RecordError, ComparisonError, MachineError)
