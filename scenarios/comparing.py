"""Runs the arms of a scenario's matrix in turn: A B C D, A B C D, …, one round after another.

Interleaving spreads whatever drifts on the machine over all arms alike, and all arms of a round share
their seed.
"""

import re
from pathlib import Path

import msgspec

from scenarios.model import Scenario
from scenarios.runner import Plan
from scenarios.scenario_file import arms


def plans(
    scenario: Scenario,
    *,
    repeats: int,
    directory: Path,
    nginx_binary: Path | None = None,
    allow_remote: bool = False,
) -> list[Plan]:
    """Every run of a comparison, in the order in which they are to be carried out."""
    return [
        Plan(
            scenario=_with_seed(arm, scenario.fleet.seed + round_number - 1),
            directory=directory / f"{round_number:02}-{position}-{slug(label)}",
            arm=label,
            round=round_number,
            nginx_binary=nginx_binary,
            allow_remote=allow_remote,
        )
        for round_number in range(1, repeats + 1)
        for position, (label, arm) in enumerate(arms(scenario).items(), start=1)
    ]


def slug(label: str) -> str:
    """A label as a folder's name."""
    return re.sub(r"[^\w.]+", "-", label).strip("-")


def _with_seed(scenario: Scenario, seed: int) -> Scenario:
    return msgspec.structs.replace(scenario, fleet=msgspec.structs.replace(scenario.fleet, seed=seed))
