"""The options of the gate."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from reports.gate.measures import ALLOWED_KEYS, DEFAULT_KEYS
from scenarios.cli.options import (
    ALLOW_EXEC_OPTION,
    GATEWAY_OPTION,
    JSON_OPTION,
    NGINX_OPTION,
    RETRIES_OPTION,
    RUNS_OPTION,
    decorated_by,
    scenario_argument,
)
from scenarios.gate.request import ScenarioFrom

DEFAULT_SCENARIO = "gate-quick"

ROUNDS, MOST_ROUNDS = 5, 8
ROUNDS_ALONE, MOST_ROUNDS_ALONE = 2, 5
"""Without a baseline."""


def _file(option: str, text: str) -> Callable[[Any], Any]:
    """An option that names a file; its value is called after it."""
    return click.option(
        option,
        f"{option.removeprefix('--')}_file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=text,
    )


WITH_OPTIONS = decorated_by(
    scenario_argument(DEFAULT_SCENARIO),
    click.option(
        "--baseline",
        default="",
        metavar="SOURCE",
        help="Baseline: a scenario's name or file, runs:FOLDER (runs:FOLDER@ARM if it has several arms), or"
        " git:REF, the gateway of SCENARIO as in that commit of its repository (git:REF... is the merge base"
        " of REF and HEAD). Without a baseline, SCENARIO has to meet its [[slo]].",
    ),
    click.option(
        "--candidate",
        default="",
        metavar="SOURCE",
        help="Candidate, in the same forms as --baseline; default: SCENARIO.",
    ),
    click.option(
        "--scenario-from",
        type=click.Choice(get_args(ScenarioFrom)),
        help="With git:REF: both sides play SCENARIO as in the candidate, or as in the baseline; or each side"
        " its own.  [default: candidate]",
    ),
    click.option(
        "--cache/--no-cache",
        "cached",
        default=True,
        help="With git:REF: keep what gateway.setup makes in the user's cache folder, for the next gate; or"
        " set up in a temporary folder.  [default: --cache]",
    ),
    click.option(
        "--rounds",
        type=click.IntRange(1, 1_000),
        help=f"Runs per side before the first analysis.  [default: {ROUNDS}, or {ROUNDS_ALONE} without a"
        " baseline]",
    ),
    click.option(
        "--max-rounds",
        "most_rounds",
        type=click.IntRange(1, 1_000),
        help="Upper limit of runs per side if the result is still inconclusive."
        f"  [default: {MOST_ROUNDS}, or {MOST_ROUNDS_ALONE} without a baseline]",
    ),
    click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key on both sides."
    ),
    click.option(
        "--baseline-set",
        "baseline_overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a key for the baseline only.",
    ),
    click.option(
        "--candidate-set",
        "candidate_overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a key for the candidate only.",
    ),
    click.option(
        "--measure",
        "measures",
        multiple=True,
        type=click.Choice(ALLOWED_KEYS),
        metavar="KEY",
        help="Decide on this metric and the verdict only; may be repeated.  [default:"
        f" {', '.join(DEFAULT_KEYS)}]",
    ),
    _file("--junit", "Write the result as JUnit XML."),
    _file("--csv", "Append the candidate's runs to a CSV table for change-point detection."),
    _file(
        "--trend",
        "Append the result to a history of JSON lines, and plot it to FILE.svg. The result mentions"
        " change points for the worse; `report --trend FILE` shows all.",
    ),
    _file("--bencher", "Write the candidate's metrics as Bencher Metric Format (BMF) JSON."),
    _file("--comment", "Write the result as Markdown, for a comment on a pull request."),
    _file(
        "--accepted",
        "TOML file of accepted regressions: [[accept]] with measure, reason and until. They do not fail"
        " the gate, and every output shows them.",
    ),
    click.option(
        "--accept-all",
        "accepted_because",
        default="",
        metavar="REASON",
        help="Accept a regression in any measure, in this gate only. SLOs and failed runs still count.",
    ),
    click.option(
        "--github/--no-github",
        "on_github",
        default=lambda: os.environ.get("GITHUB_ACTIONS") == "true",
        show_default="on in GitHub Actions",
        help="Write annotations and a step summary for GitHub Actions.",
    ),
    GATEWAY_OPTION,
    ALLOW_EXEC_OPTION,
    RETRIES_OPTION,
    NGINX_OPTION,
    RUNS_OPTION,
    JSON_OPTION,
)
