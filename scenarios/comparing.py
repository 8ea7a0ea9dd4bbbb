"""Runs the arms of a scenario's matrix in turn: A B C D, A B C D, …, one round after another.

Interleaving spreads whatever drifts on the machine over all arms alike, and all arms of a round share
their seed.
"""

import re
from pathlib import Path

import msgspec
from msgspec.structs import replace

from scenarios.mesh import Mesh
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
    every = arms(scenario)
    controls = [
        Plan(
            scenario=calm,
            directory=directory / f"00-{position}-control",
            arm="control",
            control=True,
            nginx_binary=nginx_binary,
            allow_remote=allow_remote,
        )
        for position, calm in enumerate(_steady_states(every) if len(every) > 1 else (), start=1)
    ]
    return controls + [
        Plan(
            scenario=_with_seed(arm, scenario.fleet.seed + round_number - 1),
            directory=directory / f"{round_number:02}-{position}-{slug(label)}",
            arm=label,
            round=round_number,
            nginx_binary=nginx_binary,
            allow_remote=allow_remote,
        )
        for round_number in range(1, repeats + 1)
        for position, (label, arm) in enumerate(every.items(), start=1)
    ]


def _steady_states(every: dict[str, Scenario]) -> list[Scenario]:
    """A scenario without a trigger for each steady state that the arms have, however they leave it."""
    found: dict[bytes, Scenario] = {}
    for arm in every.values():
        length = arm.phases.control_s
        if not length or arm.target.url:
            continue
        calm = replace(
            arm,
            event=(),
            phases=replace(arm.phases, duration_s=length, rescue_at_s=0),
        )
        reference = replace(
            calm,
            fleet=replace(calm.fleet, policy="naive", reset_backoff="open"),
            edge=replace(calm.edge, limit="none"),
            # What sidecars do about failures, they do when there are some.
            mesh=Mesh(sidecar=calm.mesh.sidecar),
        )
        found.setdefault(msgspec.json.encode(reference), calm)
    return list(found.values())


def slug(label: str) -> str:
    """A label as a folder's name."""
    return re.sub(r"[^\w.]+", "-", label).strip("-")


def _with_seed(scenario: Scenario, seed: int) -> Scenario:
    return replace(scenario, fleet=replace(scenario.fleet, seed=seed))
