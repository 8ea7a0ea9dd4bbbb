"""Options that several commands share."""

import functools
import inspect
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from scenarios.clients.protocol.target import resolve, source_of
from scenarios.scenario.loader import load
from scenarios.scenario.model import Scenario


class Options(Struct, frozen=True, kw_only=True):
    """The options of every command that carries out a scenario."""

    scenario_name: str
    overrides: tuple[str, ...]
    runs_folder: Path
    nginx_binary: Path | None
    retries: int
    target: str
    gateway: str
    nginx_conf: Path | None
    allow_remote: bool
    allow_exec: bool
    as_json: bool

    def load(self) -> Scenario:
        """The scenario with its overrides. Raises ScenarioError, TargetError."""
        own = [*gateway_override(self.gateway), *nginx_conf_override(self.nginx_conf)]
        # A limit of the scenario is not one of the user's nginx; one that the user asks for is a mistake.
        unlimited = ['edge.limit="none"'] if self.nginx_conf else []
        scenario = load(
            self.scenario_name, (*unlimited, *self.overrides, *target_override(self.target), *own)
        )
        if scenario.target.url:
            endpoint = resolve(scenario.target, allow_remote=self.allow_remote)
            source_of(scenario.fleet, endpoint)
        return scenario


def decorated_by(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A decorator that applies all of these; help lists options in the order in which they are given."""
    # click puts the decorator that is applied last first.
    return lambda command: functools.reduce(
        lambda inner, decorate: decorate(inner), reversed(decorators), command
    )


def scenario_argument(default: str) -> Callable[[Any], Any]:
    """The argument [SCENARIO], and a sentence about it after the first paragraph of the command's help."""
    sentence = f"SCENARIO is a name from `reconnect-storm list`, or a TOML file; default: {default}."

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        first, _, rest = (inspect.getdoc(command) or "").partition("\n\n")
        command.__doc__ = "\n\n".join(filter(None, (first, sentence, rest)))
        return click.argument("scenario_name", metavar="[SCENARIO]", default=default)(command)

    return decorate


RUNS_VARIABLE = "RECONNECT_STORM_RUNS"


def runs_folder() -> Path:
    """Where run directories are unless a command says otherwise."""
    return Path(os.environ.get(RUNS_VARIABLE) or "runs")


def renamed_option(old: str, new: str, parameter: str) -> Callable[[Any], Any]:
    """Accepts `old`, hidden and with a warning, for `new`, whose value goes to `parameter`."""

    def forward(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
        if value is not None:
            click.echo(f"reconnect-storm: warning: {old} is now {new}", err=True)
            ctx.default_map = {**(ctx.default_map or {}), parameter: value}

    return click.option(old, hidden=True, expose_value=False, is_eager=True, callback=forward)


RUNS_OPTION = click.option(
    "--runs",
    "runs_folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=runs_folder,
    show_default=f"${RUNS_VARIABLE}, or runs",
    help="Folder for run directories.",
)

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")

REPORT_JSON_OPTION = click.option(
    "--json", "as_json", is_flag=True, help="Print summary, validity and verdict as JSON."
)

SET_OPTION = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key, e.g. fleet.clients=1000.",
)

NGINX_OPTION = click.option(
    "--nginx",
    "nginx_binary",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="nginx executable to use instead of the pinned one.",
)

NGINX_CONF_OPTION = click.option(
    "--nginx-conf",
    "nginx_conf",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Your own nginx configuration in front of the pods, with {{ listen }} and {{ pods }} in it; same as"
    " --set edge.limit=none --set edge.nginx_conf=FILE.",
)

RETRIES_OPTION = click.option(
    "--retries",
    type=click.IntRange(0, 10),
    default=1,
    show_default=True,
    help="Retries for runs invalidated by other load on this host.",
)

COSTS_OPTION = click.option(
    "--costs",
    "costs_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Read CPU costs from a file: JSON written by `simulate --keep-costs`, or TOML with costs"
    " measured on another gateway.",
)

MODEL_OPTIONS = (
    click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a key, e.g. fleet.clients=1000000.",
    ),
    click.option(
        "--calibrate",
        "recorded",
        type=click.Path(path_type=Path, exists=True),
        multiple=True,
        metavar="RUN",
        help="Fit CPU costs to these recorded runs, or folders of them.",
    ),
    COSTS_OPTION,
)
"""What a prediction is made of, beside its scenario."""

GATEWAY_OPTION = click.option(
    "--gateway",
    default="",
    metavar="COMMAND",
    help="Command that starts one pod of your own gateway, in the current folder, such as 'node server.js';"
    " the port is in PORT, or {port} in the command. Same as --set gateway.command=COMMAND.",
)

TARGET_OPTIONS = (
    click.option(
        "--target",
        default="",
        metavar="URL",
        help="Existing Socket.IO gateway to test instead of nginx and pods of this program; same as"
        " --set target.url=URL. Set its namespace, auth and headers in [target].",
    ),
    click.option(
        "--allow-remote",
        is_flag=True,
        help="Allow a target outside this host's loopback; only with the owner's permission.",
    ),
)


ALLOW_EXEC_OPTION = click.option(
    "--allow-exec",
    is_flag=True,
    help="Run the commands of the scenario's exec events on this machine; without it, a scenario that has"
    " such events is refused.",
)


def target_override(url: str) -> list[str]:
    """What `--target URL` is short for."""
    return [f"target.url={json.dumps(url)}"] if url else []


def gateway_override(command: str) -> list[str]:
    """What `--gateway COMMAND` is short for: paths on a command line begin in the current folder."""
    if not command:
        return []
    return [f"gateway.command={json.dumps(command)}", f"folder={json.dumps(str(Path.cwd()))}"]


def nginx_conf_override(file: Path | None) -> list[str]:
    """What `--nginx-conf FILE` is short for."""
    return [f"edge.nginx_conf={json.dumps(str(file.absolute()))}"] if file else []


def carries_out_a_scenario(
    command: Callable[..., None], *, default: str = "mass-drop", once: bool = False
) -> Callable[..., None]:
    """Gives a command the argument and the options of `Options`, and hands them over as one.

    default: the scenario. once: nothing is tried again, because somebody is watching.
    """

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        values.setdefault("retries", 0)
        common = Options(**{name: values.pop(name) for name in Options.__struct_fields__})
        command(common, **values)

    decorated: Callable[..., None] = decorated_by(
        scenario_argument(default),
        SET_OPTION,
        GATEWAY_OPTION,
        *TARGET_OPTIONS,
        ALLOW_EXEC_OPTION,
        *(() if once else (RETRIES_OPTION,)),
        NGINX_OPTION,
        NGINX_CONF_OPTION,
        RUNS_OPTION,
        REPORT_JSON_OPTION,
    )(with_options)
    return decorated
