"""What can be run, and what scenarios are made of."""

import json

import click
from rich.table import Table

from scenarios.cli.options import JSON_OPTION
from scenarios.cli.terminal import console
from scenarios.events.registry import EVENTS
from scenarios.limits.registry import LIMITS
from scenarios.policies.registry import POLICIES
from scenarios.policies.stock.catalogue import STOCK
from scenarios.scenario.loader import catalog, load


@click.command("list")
@JSON_OPTION
def list_command(as_json: bool) -> None:
    """Show the built-in scenarios, policies, limits and events."""
    summaries = {name: load(name).summary for name in catalog()}
    parts = {"policies": [*POLICIES], "limits": [*LIMITS], "events": [*EVENTS]}
    if as_json:
        click.echo(json.dumps({"scenarios": summaries, **parts}, indent=2))
        return
    table = Table("scenario", "summary", box=None)
    for name, summary in summaries.items():
        table.add_row(name, summary)
    console.print(table)
    console.print(
        f"\npolicies: {', '.join(name for name in POLICIES if name not in STOCK)}, or module:function"
        f"\npolicies of client libraries: {', '.join(STOCK)}"
        f"\nlimits: {', '.join(LIMITS)}, or several joined by +, such as per-ip+global"
        f"\nevents: {', '.join(EVENTS)}"
    )
