"""Runs the arms of a scenario's matrix in turn, one round after another: A B C D, D C B A, B D A C, C A D B.

Interleaving spreads whatever drifts on the machine over all arms alike; the order changes from round to
round, so that what a run leaves behind for the next one, and the heat of a minute, do not always fall on
the same arm. All arms of a round share their seed.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from math import gcd
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from scenarios.host.machine import claim
from scenarios.scenario.arms import arms
from scenarios.scenario.mesh import Mesh
from scenarios.scenario.model import Scenario


class Plan(Struct, frozen=True, kw_only=True):
    """One run to carry out."""

    scenario: Scenario
    directory: Path
    arm: str
    round: int = 1
    control: bool = False
    """A run without a trigger, which shows that the steady state is one."""
    nginx_binary: Path | None = None
    allow_remote: bool = False
    allow_exec: bool = False
    """Whether the user has asked for the commands of events to be run."""


_Arm = TypeVar("_Arm")


def plans(
    scenario: Scenario,
    *,
    repeats: int,
    directory: Path,
    nginx_binary: Path | None = None,
    allow_remote: bool = False,
    allow_exec: bool = False,
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
            scenario=with_seed(arm, scenario.fleet.seed + round_number - 1),
            directory=directory / f"{round_number:02}-{position}-{slug(label)}",
            arm=label,
            round=round_number,
            nginx_binary=nginx_binary,
            allow_remote=allow_remote,
            allow_exec=allow_exec,
        )
        for round_number in range(1, repeats + 1)
        for position, (label, arm) in enumerate(in_turn(list(every.items()), round_number), start=1)
    ]


def in_turn(arms: Sequence[_Arm], round_number: int) -> list[_Arm]:
    """The arms in the order of a round, counted from 1; in the first one, as they are.

    With n arms, those of a round are r, 2r, 3r, … modulo n + 1, for every r that shares no divisor with it:
    each arm then follows another one in each of these rounds. r and n + 1 - r come one after the other and
    are each other's reverse, so two rounds already cancel what drifts evenly. Where n + 1 is prime, n
    rounds bring every arm to every place once, behind every other arm once (Williams 1949). What comes
    after that is the same again, rotated by one place.
    """
    modulus = len(arms) + 1
    steps = [step for r in range(1, (modulus + 1) // 2) if gcd(r, modulus) == 1 for step in (r, modulus - r)]
    again, place = divmod(round_number - 1, len(steps) or 1)
    step = steps[place] if steps else 1
    order = [arms[(step * number) % modulus - 1] for number in range(1, modulus)]
    turned = again % len(arms)
    return order[turned:] + order[:turned]


def _steady_states(every: dict[str, Scenario]) -> list[Scenario]:
    """A scenario without a trigger for each steady state that the arms have, however they leave it."""
    found: dict[bytes, Scenario] = {}
    for arm in every.values():
        length = arm.phases.control_s
        if not length:
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


def stamped_folder(parent: Path) -> Path:
    """A folder named after the time, such as 20260131T235959Z, that exists not yet.

    No other process of this machine gets the same one: a number is added in the same second.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for number in count(1):
        folder = parent / (stamp if number == 1 else f"{stamp}-{number}")
        if not folder.exists() and claim(f"folder {folder.absolute()}"):
            return folder
    raise AssertionError  # numbers do not end


def with_seed(scenario: Scenario, seed: int) -> Scenario:
    """The scenario with another seed."""
    return replace(scenario, fleet=replace(scenario.fleet, seed=seed))
