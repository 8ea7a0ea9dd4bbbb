"""`calibrate-gate`: the gate's false-positive rate, and its missed regressions."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import msgspec
from rich.table import Table

from reports.analysis.judgement import judge_run, judgement_of
from reports.gate.measures import DEFAULT_KEYS, Measured, gauges, measured
from reports.gate.power import UNCHANGED, Pool, Tally, tally
from reports.rundir.files import find_runs, replacing
from reports.rundir.reader import Run
from reports.rundir.schema import RecordError
from reports.text.units import percent
from scenarios.cli.gate_options import DEFAULT_SCENARIO, MOST_ROUNDS, ROUNDS
from scenarios.cli.options import JSON_OPTION, RETRIES_OPTION, RUNS_OPTION, scenario_argument
from scenarios.cli.progress import LiveView
from scenarios.cli.terminal import console, errors, fail, stack_failed, usage_errors, warn_of_leftovers
from scenarios.exit_status import GOOD, INTERRUPTED, INVALID
from scenarios.fields import invalid
from scenarios.gate.repository import CheckoutError, project, revision
from scenarios.gate.rounds import Player, Schedule, play
from scenarios.gate.seeded_regressions import read_regressions, seeded
from scenarios.host.machine import MachineError
from scenarios.host.process import StackError
from scenarios.runner.plan import stamped_folder
from scenarios.runner.retry import other_load
from scenarios.runner.until_done import run_until_done
from scenarios.scenario.loader import load
from scenarios.scenario.validate import ScenarioError

MOST_FALSE_ALARMS = 0.05
FEWEST_CAUGHT = 0.95


@click.command("calibrate-gate")
@scenario_argument(DEFAULT_SCENARIO)
@click.option(
    "--record",
    "rounds",
    type=click.IntRange(1, 1_000),
    help="Record N runs per arm first, and add their results to --pool.",
    metavar="N",
)
@click.option(
    "--arm",
    "only",
    multiple=True,
    metavar="NAME",
    help=f"With --record: record this arm only: `{UNCHANGED}`, or the name of a regression; may be repeated.",
)
@click.option(
    "--regressions",
    "regressions_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="TOML file with the regressions to seed: for each a table of keys to override, as in [arms]. Needed"
    " with gateway.command.",
)
@click.option(
    "--pool",
    "pool_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default="gate-pool.json",
    show_default=True,
    help="File with the results of recorded runs.",
)
@click.option(
    "--gates",
    type=click.IntRange(1, 100_000),
    default=200,
    show_default=True,
    help="Gates simulated per arm.",
)
@RETRIES_OPTION
@RUNS_OPTION
@JSON_OPTION
def calibrate_gate_command(
    *,
    scenario_name: str,
    rounds: int | None,
    only: tuple[str, ...],
    regressions_file: Path | None,
    pool_file: Path,
    gates: int,
    retries: int,
    runs_folder: Path,
    as_json: bool,
) -> None:
    """Measure the gate's false-positive rate and its missed regressions.

    Simulates gates with runs drawn from recorded ones: of the unchanged scenario, and of scenarios with a
    seeded regression.

    Exit status: 0 if the gate reports at most 1 in 20 unchanged scenarios, and at least 19 in 20 of each
    seeded regression; 2 usage or configuration; 5 a part of the stack failed; 130 interrupted; else 3.
    """
    with usage_errors(ScenarioError, MachineError, RecordError, CheckoutError):
        if rounds:
            arms = _arms(scenario_name, regressions_file, only)
            recorded = _recorded(scenario_name, rounds, arms, runs_folder, retries)
            _keep(pool_file, arms, recorded)
    pool = _read(pool_file)
    if all(run.verdict == "INVALID" for run in pool.arms.get(UNCHANGED, ())):
        fail(f"{pool_file}: no valid run of the arm {UNCHANGED!r}: expected at least one")
    tallies = [
        tally(pool, arm, gauges(), gates=gates, rounds=ROUNDS, most_rounds=MOST_ROUNDS)
        for arm, runs in pool.arms.items()
        if runs
    ]
    if as_json:
        click.echo(
            json.dumps([msgspec.to_builtins(found) | {"good": good(found)} for found in tallies], indent=2)
        )
    else:
        console.print(_table(tallies))
    sys.exit(GOOD if all(map(good, tallies)) else INVALID)


def good(found: Tally) -> bool:
    """Whether the gate met its targets for this arm."""
    called, _, _ = found.share("regression")
    return called <= MOST_FALSE_ALARMS if found.arm == UNCHANGED else called >= FEWEST_CAUGHT


def _arms(
    scenario_name: str, regressions_file: Path | None, only: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The overrides of each arm. Raises ScenarioError."""
    found = read_regressions(regressions_file) if regressions_file else seeded(load(scenario_name))
    arms: dict[str, tuple[str, ...]] = {UNCHANGED: (), **found}
    for name in only:
        if name not in arms:
            fail(invalid("--arm", name, f"one of {', '.join(arms)}"))
    return {name: overrides for name, overrides in arms.items() if not only or name in only}


def _recorded(
    scenario_name: str,
    rounds: int,
    arms: Mapping[str, tuple[str, ...]],
    runs_folder: Path,
    retries: int,
) -> dict[str, list[Run]]:
    directory = stamped_folder(runs_folder / "calibrate-gate")
    players = []
    for arm, overrides in arms.items():
        planted = msgspec.structs.replace(load(scenario_name, overrides), matrix={}, arms={})
        players.append(Player(name=arm, scenario=planted, source=scenario_name, overrides=overrides))
    schedule = Schedule(rounds=rounds, most_rounds=rounds, retries=retries)
    warn_of_leftovers()
    try:
        with LiveView(errors, rounds * len(players)) as view:
            run_until_done(
                play(players, schedule, directory, view, invalidated=other_load, enough=lambda _: True)
            )
    except asyncio.CancelledError:
        sys.exit(INTERRUPTED)
    except StackError as error:
        sys.exit(stack_failed(error))
    return {arm: [judge_run(path) for path in find_runs([directory / arm])] for arm in arms}


def _keep(path: Path, planted: Mapping[str, tuple[str, ...]], recorded: dict[str, list[Run]]) -> None:
    """Adds the runs to the pool, which has to be one of the same scenario, machine and versions; those that
    others disturbed are left out."""
    before = _read(path) if path.exists() else None
    first = next(runs[0] for runs in recorded.values())
    now = (first.info.scenario["name"], first.info.machine, first.info.versions)
    if before and (before.scenario, before.machine, before.versions) != now:
        fail(
            f"{path}: has runs of {before.scenario} from another host or other versions: expected runs of"
            f" {now[0]} from this host and with these versions; use another file"
        )
    arms = dict(before.arms) if before else {}
    overrides = dict(before.overrides) if before else {}
    for arm, runs in recorded.items():
        judged = [judgement_of(run) for run in runs]
        kept = tuple(
            measured(found, DEFAULT_KEYS) if found.validity.valid else Measured("INVALID", {})
            for found in judged
            if not found.validity.invalidated_by_host
        )
        arms[arm] = (*arms.get(arm, ()), *kept)
        overrides[arm] = planted[arm]
    pool = Pool(
        scenario=now[0],
        commit=revision("HEAD", project()).id,
        machine=first.info.machine,
        versions=first.info.versions,
        overrides=overrides,
        arms={arm: arms[arm] for arm in sorted(arms, key=lambda arm: arm != UNCHANGED)},
    )
    with replacing(path) as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(pool), indent=1).decode() + "\n")


def _read(path: Path) -> Pool:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Pool)
    except (OSError, msgspec.DecodeError) as error:
        fail(f"{path}: {error}; expected a file written by calibrate-gate --record")


def _table(tallies: Sequence[Tally]) -> Table:
    table = Table(
        "", "arm", "runs", "gates", "regression", "pass", "inconclusive", "rounds", "worse", box=None
    )
    for found in tallies:
        called = [f"{key} {number}" for key, number in list(found.by.items())[:4]]
        share, low, high = found.share("regression")
        table.add_row(
            "ok" if good(found) else "!!",
            found.arm,
            str(found.runs),
            str(found.gates),
            f"{percent(share)} ({percent(low)} to {percent(high)})",
            percent(found.share("pass")[0]),
            percent(found.share("inconclusive")[0]),
            f"{found.rounds:.1f}",
            ", ".join(called),
        )
    return table
