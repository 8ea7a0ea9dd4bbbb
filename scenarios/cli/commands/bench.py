"""The command that measures the load generator itself."""

import asyncio
import sys
from typing import Any

import click
import msgspec

from scenarios.bench.measure import MANY_CLIENTS, BenchPlan, bench
from scenarios.bench.result import BenchResult
from scenarios.bench.table import bench_table
from scenarios.cli.options import JSON_OPTION, TARGET_OPTIONS, decorated_by, target_override
from scenarios.cli.terminal import console, errors, stack_failed, usage_errors, warn_of_leftovers
from scenarios.clients.protocol.target import TargetError, resolve
from scenarios.exit_status import INTERRUPTED
from scenarios.host import machine
from scenarios.host.process import StackError
from scenarios.runner.until_done import run_until_done
from scenarios.scenario.loader import load
from scenarios.scenario.validate import ScenarioError


@click.command("bench")
@click.option("--clients", type=click.IntRange(1, 100_000), default=1_000, show_default=True)
@click.option(
    "--rate", "rate_hz", type=click.FloatRange(0.1, 1_000), default=10.0, show_default=True, help="Ticks/s."
)
@click.option("--seconds", type=click.IntRange(1, 3_600), default=10, show_default=True, help="Each part.")
@click.option(
    "--many",
    "many_clients",
    type=click.IntRange(1, 1_000_000),
    default=MANY_CLIENTS,
    show_default=True,
    help="Clients that join, and come back, at once.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Generator and source processes for these.",
)
@click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    help="Seconds to wait for clients that do not join.",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, e.g. feed.event."
)
@decorated_by(*TARGET_OPTIONS)
@JSON_OPTION
def bench_command(*, overrides: tuple[str, ...], target: str, as_json: bool, **values: Any) -> None:
    """Measure the load generator itself.

    The same parts are measured with Locust's own Socket.IO user, side by side.

    With a target, only the reception of its ticks is measured.

    Exit status: 0 good, 2 usage or configuration, 5 a part failed, or clients did not join, 130 interrupted.
    """
    with usage_errors(ScenarioError, TargetError, machine.MachineError):
        scenario = load("mass-drop", (*overrides, *target_override(target)))
        if scenario.target.url:
            resolve(scenario.target, allow_remote=values["allow_remote"])
        plan = BenchPlan(scenario=scenario, **values)
        machine.check_descriptors(max(plan.clients, -(-plan.many_clients // plan.processes)))
    warn_of_leftovers()
    found: list[BenchResult] = []

    async def measure() -> None:
        found.append(await bench(plan, lambda part: errors.print(f"{part} …", style="dim", highlight=False)))

    try:
        run_until_done(measure())
    except asyncio.CancelledError:
        sys.exit(INTERRUPTED)
    except StackError as error:
        sys.exit(stack_failed(error))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found[0])).decode())
    else:
        console.print(bench_table(found[0]))
