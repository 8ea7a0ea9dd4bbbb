"""`measure`: the costs of one gateway, for `simulate` and `tune`."""

import asyncio
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click
import msgspec

from reports.rundir.files import replacing
from scenarios.cli.options import (
    GATEWAY_OPTION,
    JSON_OPTION,
    SET_OPTION,
    decorated_by,
    gateway_override,
    scenario_argument,
)
from scenarios.cli.terminal import (
    complain,
    console,
    errors,
    fail,
    stack_failed,
    usage_errors,
    warn_of_leftovers,
)
from scenarios.exit_status import INTERRUPTED, INVALID
from scenarios.host import machine
from scenarios.host.process import StackError
from scenarios.measure.driver import MeasurePlan, NoisyHostError, measure
from scenarios.measure.estimate import FEWEST_CYCLES
from scenarios.measure.result import Measured, costs_toml
from scenarios.measure.sizes import FEWEST, MOST
from scenarios.measure.table import measured_table, notes
from scenarios.runner.until_done import run_until_done
from scenarios.scenario.loader import load
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact import without_secrets
from scenarios.scenario.validate import ScenarioError
from scenarios.stack.own_programs import check_programs

_DEFAULT = "mass-drop"


@click.command("measure")
@scenario_argument(_DEFAULT)
@decorated_by(GATEWAY_OPTION, SET_OPTION)
@click.option(
    "--out",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the costs, as TOML; default: costs.toml, or costs-NAME.toml with a SCENARIO.",
)
@click.option(
    "--cycles",
    type=click.IntRange(FEWEST_CYCLES, 100),
    default=5,
    show_default=True,
    help="Cycles of clients that join and leave; more cycles, narrower intervals.",
)
@click.option(
    "--clients",
    "most_clients",
    type=click.IntRange(FEWEST, 20_000),
    default=MOST,
    show_default=True,
    help="Max clients of a cycle.",
)
@click.option(
    "--retries",
    type=click.IntRange(0, 100),
    default=5,
    show_default=True,
    help="Retries for cycles invalidated by other load on this host.",
)
@JSON_OPTION
def measure_command(
    *,
    scenario_name: str,
    gateway: str,
    overrides: tuple[str, ...],
    file: Path | None,
    cycles: int,
    most_clients: int,
    retries: int,
    as_json: bool,
) -> None:
    """Measure what one pod of a gateway costs, in about a minute.

    Writes a file that `simulate --costs FILE` and `tune --costs FILE` read: CPU per handshake, per delivered
    tick and per close, idle CPU, memory, and the accept queue, with 95 % intervals.

    One pod is started, without a proxy. Its clients join and leave in cycles, below saturation. Events,
    limits and the number of pods in the scenario are ignored.

    Exit status: 0 good, 2 usage or configuration, 3 noisy host, 5 a part of the stack failed, or clients did
    not join, 130 interrupted.
    """
    with usage_errors(ScenarioError, machine.MachineError):
        scenario = load(scenario_name, (*overrides, *gateway_override(gateway)))
        if scenario.target.url:
            raise ScenarioError("target.url: not supported by measure: expected gateway.command, or neither")
        most_clients = min(most_clients, machine.most_clients())
        check_programs(scenario)
    file = file or Path("costs.toml" if scenario_name == _DEFAULT else f"costs-{scenario.name}.toml")
    if not file.parent.is_dir():
        fail(f"--out {file}: no such folder: {file.parent}")
    warn_of_leftovers()
    plan = MeasurePlan(
        scenario=scenario,
        gateway=_name(scenario),
        cycles=cycles,
        most_clients=most_clients,
        retries=retries,
    )
    found: list[Measured] = []

    async def work() -> None:
        found.append(await measure(plan, _say_progress))

    try:
        run_until_done(work())
    except asyncio.CancelledError:
        sys.exit(INTERRUPTED)
    except StackError as error:
        sys.exit(stack_failed(error))
    except NoisyHostError as error:
        complain(f"INVALID: {error}: stop the other load on this host")
        sys.exit(INVALID)
    text = costs_toml(found[0], version=version("reconnect-storm"), date=_today())
    try:
        with replacing(file) as stream:
            stream.write(text)
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found[0])).decode())
        return
    console.print(measured_table(found[0]))
    for note in notes(found[0]):
        _say(f"- {note}")
    simulated = "" if scenario_name == _DEFAULT else f"{shlex.quote(scenario_name)} "
    _say(f"costs: {file}")
    _say(f"next: reconnect-storm tune {simulated}--costs {shlex.quote(str(file))}")


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _say_progress(part: str) -> None:
    errors.print(f"{part} …", style="dim", markup=False, highlight=False, soft_wrap=True)


def _name(scenario: Scenario) -> str:
    """What the gateway is called: its command as it may be shown."""
    if not scenario.own_gateway:
        return "built-in stub"
    command = without_secrets(scenario)["gateway"]["command"]
    return command if isinstance(command, str) else shlex.join(command)


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
