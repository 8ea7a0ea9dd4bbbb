"""What another version of this program asks this one."""

import json

import click

from reports.rundir.schema import SCHEMA_VERSION
from scenarios.cli.terminal import usage_errors
from scenarios.scenario.loader import load
from scenarios.scenario.validate import ScenarioError


@click.command("probe", hidden=True)
@click.argument("scenario_name", metavar="SCENARIO")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
def probe_command(scenario_name: str, overrides: tuple[str, ...]) -> None:
    """Say as JSON which run directories this version would write of a scenario.

    For other versions of reconnect-storm, such as a gate that compares with this one: the answer's keys
    may grow, but none changes its meaning. A scenario that cannot be run ends with status 2 and one line.
    """
    with usage_errors(ScenarioError):
        scenario = load(scenario_name, overrides)
    click.echo(json.dumps({"schema_version": SCHEMA_VERSION, "scenario": scenario.name}))
