"""The options of the gate."""

import os
from pathlib import Path

import click
from msgspec import Struct

from reports.gate.measures import ALLOWED_KEYS, DEFAULT_KEYS
from scenarios.cli.options import JSON_OPTION, RUNS_OPTION, decorated_by

STORED, VERSION = "runs:", "git:"
"""What a side begins with that is no scenario."""
DEFAULT_SCENARIO = "gate-quick"

ROUNDS, MOST_ROUNDS = 5, 8
ROUNDS_ALONE, MOST_ROUNDS_ALONE = 2, 5
"""Without a baseline."""


class Options(Struct, frozen=True, kw_only=True):
    """The options of the command."""

    scenario_name: str
    baseline: str
    candidate: str
    rounds: int | None
    most_rounds: int | None
    overrides: tuple[str, ...]
    baseline_overrides: tuple[str, ...]
    candidate_overrides: tuple[str, ...]
    measures: tuple[str, ...]
    junit_file: Path | None
    csv_file: Path | None
    trend_file: Path | None
    on_github: bool
    retries: int
    runs_folder: Path
    nginx_binary: Path | None
    as_json: bool


WITH_OPTIONS = decorated_by(
    click.argument("scenario_name", metavar="[SCENARIO]", default=DEFAULT_SCENARIO),
    click.option(
        "--baseline",
        default="",
        metavar="SOURCE",
        help="What to compare with: a scenario's name or file, runs:FOLDER (runs:FOLDER@ARM where there are"
        " several arms), or git:REF, a version of this project that carries out SCENARIO. Without it,"
        " SCENARIO has to keep its [[slo]].",
    ),
    click.option("--candidate", default="", metavar="SOURCE", help="The same; by default SCENARIO."),
    click.option(
        "--rounds",
        type=click.IntRange(1, 1_000),
        help=f"Runs of each side before anything is decided.  [default: {ROUNDS}, or {ROUNDS_ALONE} without a"
        " baseline]",
    ),
    click.option(
        "--max-rounds",
        "most_rounds",
        type=click.IntRange(1, 1_000),
        help="Where they do not decide, go on up to so many."
        f"  [default: {MOST_ROUNDS}, or {MOST_ROUNDS_ALONE} without a baseline]",
    ),
    click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key on both sides."
    ),
    click.option(
        "--baseline-set", "baseline_overrides", multiple=True, metavar="KEY=VALUE", help="On one side."
    ),
    click.option(
        "--candidate-set", "candidate_overrides", multiple=True, metavar="KEY=VALUE", help="On one side."
    ),
    click.option(
        "--measure",
        "measures",
        multiple=True,
        type=click.Choice(ALLOWED_KEYS),
        metavar="KEY",
        help="Decide on this measure, and no others but the verdict; may be repeated.  [default:"
        f" {', '.join(DEFAULT_KEYS)}]",
    ),
    click.option("--junit", "junit_file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE"),
    click.option(
        "--csv",
        "csv_file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Add the candidate's runs to a table for change-point tools.",
    ),
    click.option(
        "--trend",
        "trend_file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Add the result to a history of JSON lines, and draw it into FILE.svg.",
    ),
    click.option(
        "--github/--no-github",
        "on_github",
        default=lambda: os.environ.get("GITHUB_ACTIONS") == "true",
        show_default="where GitHub Actions runs it",
        help="Annotations, and a summary of the step.",
    ),
    click.option(
        "--retries",
        type=click.IntRange(0, 10),
        default=1,
        show_default=True,
        help="Further tries of a run during which others used the machine's cores.",
    ),
    click.option("--nginx", "nginx_binary", type=click.Path(path_type=Path, exists=True, dir_okay=False)),
    RUNS_OPTION,
    JSON_OPTION,
)
