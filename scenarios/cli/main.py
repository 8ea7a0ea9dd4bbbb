"""The command line: the one place that knows both how runs are made and how they are judged."""

import asyncio
import contextlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click
import msgspec
from rich.table import Table

from reports.analysis.judgement import judge_run
from reports.compare.comparison import ComparisonError
from reports.rundir.files import find_runs, point_latest
from reports.rundir.schema import SCHEMA_VERSION, RecordError
from scenarios.cli.bench import bench_command
from scenarios.cli.calibrate import calibrate_command
from scenarios.cli.calibrate_gate import calibrate_gate_command
from scenarios.cli.doctor import findings
from scenarios.cli.gate import gate_command
from scenarios.cli.options import JSON_OPTION, Options, carries_out_a_scenario
from scenarios.cli.progress import LiveView
from scenarios.cli.rehearse import rehearse_command
from scenarios.cli.report import report
from scenarios.cli.simulate import simulate_command
from scenarios.cli.terminal import (
    Commands,
    console,
    errors,
    fail,
    stack_failed,
    usage_errors,
    warn_of_leftovers,
)
from scenarios.cli.tune import tune_command
from scenarios.clients.protocol.target import TargetError
from scenarios.events.registry import EVENTS
from scenarios.exit_status import GOOD, INTERRUPTED, INVALID
from scenarios.host import machine
from scenarios.host.process import StackError
from scenarios.limits.registry import LIMITS
from scenarios.policies.registry import POLICIES
from scenarios.runner import deployment
from scenarios.runner.plan import plans
from scenarios.runner.retry import run_until_quiet
from scenarios.scenario.loader import catalog, load
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import ScenarioError


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="reconnect-storm")
def main() -> None:
    """What happens to a Socket.IO gateway when all its clients come back at once.

    Exit status: 0 good, 1 a regression or an SLO violated, 2 usage or configuration, 3 invalid run,
    4 inconclusive, 5 a part of the stack failed, 130 interrupted.
    """


main.add_command(bench_command)
main.add_command(calibrate_command)
main.add_command(calibrate_gate_command)
main.add_command(gate_command)
main.add_command(rehearse_command)
main.add_command(simulate_command)
main.add_command(tune_command)


@main.command("list")
@JSON_OPTION
def list_command(as_json: bool) -> None:
    """List the built-in scenarios, policies, limits and events."""
    summaries = {name: load(name).summary for name in catalog()}
    parts = {"policies": [*POLICIES], "limits": [*LIMITS], "events": [*EVENTS]}
    if as_json:
        click.echo(json.dumps({"scenarios": summaries, **parts}, indent=2))
        return
    table = Table("scenario", "question", box=None)
    for name, summary in summaries.items():
        table.add_row(name, summary)
    console.print(table)
    console.print(
        f"\npolicies: {', '.join(POLICIES)}, or module:function"
        f"\nlimits: {', '.join(LIMITS)}, or several joined by +, such as per-ip+global"
        f"\nevents: {', '.join(EVENTS)}"
    )


@main.command("run")
@carries_out_a_scenario
def run_command(options: Options) -> None:
    """Run a scenario once, without its matrix, and report the result."""
    with _usage_errors():
        scenario = msgspec.structs.replace(options.load(), matrix={}, arms={})
    _carry_out(scenario, options, repeats=1)


@main.command("compare")
@click.option(
    "--repeats",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Runs per arm: 4 for the overall test, 5 for per-metric tests.",
)
@carries_out_a_scenario
def compare_command(options: Options, repeats: int) -> None:
    """Run every arm of a scenario's matrix and compare the arms."""
    with _usage_errors():
        scenario = options.load()
    _carry_out(scenario, options, repeats=repeats)


@main.command("report")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN]...")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the report; default: the folder of the runs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print summary, validity and verdict as JSON.")
def report_command(paths: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Regenerate the report for run directories, or for a folder of them; default: runs/latest."""
    with _usage_errors():
        found = find_runs(paths or [Path("runs/latest")])
        runs = [judge_run(path) for path in found]
        target = out or (paths[0] if paths else Path("runs/latest"))
        sys.exit(report(runs, target, as_json=as_json))


@main.command("probe", hidden=True)
@click.argument("scenario_name", metavar="SCENARIO")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
def probe_command(scenario_name: str, overrides: tuple[str, ...]) -> None:
    """Print as JSON which schema of run directories this version writes for a scenario.

    For other versions of reconnect-storm, such as a gate that compares with this one: the answer's keys
    may grow, but none changes its meaning. A scenario that cannot be run ends with status 2 and one line.
    """
    with _usage_errors():
        scenario = load(scenario_name, overrides)
    click.echo(json.dumps({"schema_version": SCHEMA_VERSION, "scenario": scenario.name}))


@main.command("doctor")
@click.argument("scenario_name", metavar="[SCENARIO]", default="mass-drop")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--nginx", "nginx_binary", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@JSON_OPTION
def doctor_command(
    scenario_name: str, overrides: tuple[str, ...], nginx_binary: Path | None, as_json: bool
) -> None:
    """Check whether this host can run the scenario, and what would invalidate the result."""
    with _usage_errors():
        found = findings(load(scenario_name, overrides), nginx_binary)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        table = Table("", "check", "result", "", box=None)
        for finding in found:
            advice = "" if finding.good else finding.advice
            table.add_row("ok" if finding.good else "!!", finding.what, finding.found, advice)
        console.print(table)
    sys.exit(GOOD if all(finding.good for finding in found) else INVALID)


def _carry_out(scenario: Scenario, options: Options, *, repeats: int) -> NoReturn:
    """Carries out all arms in turn, reports on whatever was measured, and ends the program.

    A part of the stack that fails ends the comparison: what it says of an arm then rests on the runs before.
    """
    directory = options.runs_folder / scenario.name / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
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
    return usage_errors(ScenarioError, TargetError, RecordError, ComparisonError, machine.MachineError)


if __name__ == "__main__":
    main()
