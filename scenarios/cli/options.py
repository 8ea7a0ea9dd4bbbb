"""Options that several commands share."""

import functools
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
    allow_remote: bool
    as_json: bool

    def load(self) -> Scenario:
        """The scenario with its overrides. Raises ScenarioError, TargetError."""
        scenario = load(self.scenario_name, (*self.overrides, *target_override(self.target)))
        if scenario.target.url:
            endpoint = resolve(scenario.target, allow_remote=self.allow_remote)
            source_of(scenario.fleet, endpoint)
        return scenario


def decorated_by(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A decorator that applies all of these."""
    return lambda command: functools.reduce(lambda inner, decorate: decorate(inner), decorators, command)


RUNS_VARIABLE = "RECONNECT_STORM_RUNS"


def runs_folder() -> Path:
    """Where run directories are unless a command says otherwise."""
    return Path(os.environ.get(RUNS_VARIABLE) or "runs")


RUNS_OPTION = click.option(
    "--runs",
    "runs_folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=runs_folder,
    show_default=f"${RUNS_VARIABLE}, or runs",
    help="Folder for run directories.",
)

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")

_RETRIES_OPTION = click.option(
    "--retries",
    type=click.IntRange(0, 10),
    default=1,
    show_default=True,
    help="Further tries of a run during which others used the machine's cores.",
)

MODEL_OPTIONS = (
    click.option(
        "--slot-ms",
        type=click.FloatRange(min=0.1, max=1_000),
        help="How finely time is cut; by default 10 ms, and more for many clients.",
    ),
    click.option(
        "--costs",
        "costs_file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Take what things cost from a file: what `simulate --keep-costs` has written, or what was"
        " measured of another gateway, as TOML.",
    ),
    click.option(
        "--calibrate",
        "recorded",
        type=click.Path(path_type=Path, exists=True),
        multiple=True,
        metavar="RUN",
        help="Take what things cost from these recorded runs, or folders of them.",
    ),
    click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a key, e.g. fleet.clients=1000000.",
    ),
)
"""What a prediction is made of, beside its scenario."""

TARGET_OPTIONS = (
    click.option(
        "--target",
        default="",
        metavar="URL",
        help="Somebody's Socket.IO gateway instead of nginx and pods of our own; short for"
        " --set target.url=URL. Its namespace, auth, headers and so on are keys of [target].",
    ),
    click.option(
        "--allow-remote",
        is_flag=True,
        help="Let the target be something else than this machine's loopback.",
    ),
)


def target_override(url: str) -> list[str]:
    """What `--target URL` is short for."""
    return [f"target.url={json.dumps(url)}"] if url else []


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

    decorated: Callable[..., None] = with_options
    for decorate in (
        click.argument("scenario_name", metavar="[SCENARIO]", default=default),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="Override a key, e.g. fleet.clients=1000.",
        ),
        RUNS_OPTION,
        click.option(
            "--nginx",
            "nginx_binary",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="Another nginx than the pinned one.",
        ),
        *(() if once else (_RETRIES_OPTION,)),
        *TARGET_OPTIONS,
        click.option("--json", "as_json", is_flag=True, help="Print summary, validity and verdict as JSON."),
    ):
        decorated = decorate(decorated)
    return decorated
