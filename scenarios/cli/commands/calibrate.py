"""`calibrate`: tests the measurement itself by injecting known values."""

import asyncio
import json
import random
import sys
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace
from rich.table import Table

from reports.analysis.disturbance import taken
from reports.analysis.judgement import judge_run
from reports.compare.comparison import ComparisonError, compare
from reports.compare.measures import KEY_MEASURES
from reports.compare.statistics import runs_needed
from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from reports.rundir.schema import RecordError
from reports.text.units import percent
from scenarios.cli.options import JSON_OPTION, RUNS_OPTION, renamed_option
from scenarios.cli.terminal import complain, console, errors, stack_failed, usage_errors, warn_of_leftovers
from scenarios.exit_status import GOOD, INTERRUPTED, INVALID
from scenarios.host.machine import MachineError
from scenarios.host.process import StackError
from scenarios.runner.plan import Plan, plans, stamped_folder
from scenarios.runner.retry import attempt_folder, other_load, until_quiet
from scenarios.runner.run import run
from scenarios.runner.until_done import run_until_done
from scenarios.scenario.loader import load
from scenarios.scenario.validate import ScenarioError
from scenarios.selftest import aa
from scenarios.selftest.aa import COMPARISONS, Verdicts, called, draws
from scenarios.selftest.checks import CHECKS
from scenarios.selftest.other_load import OtherLoad, other_loads
from scenarios.selftest.readings import ALLOWED, Reading, all_good, as_dicts
from scenarios.selftest.rig import SAMPLER, Rig

NAMES = (*CHECKS, SAMPLER)
_GROUP = runs_needed(len(KEY_MEASURES))
"""Runs per side. With fewer, no difference is significant after Holm, and the test would always pass."""


@click.command("calibrate")
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="Run this check only; may be repeated.")
@click.option("--aa", is_flag=True, help="Also compare runs of the same scenario (A/A test).")
@click.option(
    "--aa-runs",
    type=click.IntRange(2 * _GROUP, 1_000),
    default=16,
    show_default=True,
    help="Runs to record for the A/A test.",
)
@click.option(
    "--aa-from",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Use the runs in this folder for the A/A test, and run no checks except those of --only.",
)
@click.option(
    "--attempts",
    type=click.IntRange(1, 10),
    default=3,
    show_default=True,
    help="Attempts per check or run that is invalidated by other load on this host.",
)
@renamed_option("--tries", "--attempts", "attempts")
@RUNS_OPTION
@JSON_OPTION
def calibrate_command(
    *,
    only: tuple[str, ...],
    aa: bool,
    aa_runs: int,
    aa_from: Path | None,
    attempts: int,
    runs_folder: Path,
    as_json: bool,
) -> None:
    """Inject known values and check the measurements.

    Exit status: 0 if every measurement is within 2 % of the known value, and at most one of twenty A/A
    comparisons reports a difference; 5 if a part of the stack failed; else 3.
    """
    directory = stamped_folder(runs_folder / "calibration")
    wanted = only or (() if aa_from else NAMES)
    readings: list[Reading] = []
    pool: list[Run] = []
    rig = Rig(
        directory=directory,
        judge=judge_run,
        noisy=lambda rows, machine: any(one.too_much for one in taken(rows, machine)),
        attempts=attempts,
        on_progress=_progress,
    )

    async def measure() -> None:
        for name in wanted:
            readings.extend(await (rig.sampled() if name == SAMPLER else rig.readings(name, CHECKS[name])))
        if aa and not aa_from:
            await _record(directory / "aa", aa_runs, attempts)

    warn_of_leftovers()
    try:
        if wanted or not aa_from:
            directory.mkdir(parents=True)
        with usage_errors(ScenarioError, MachineError, RecordError):
            run_until_done(measure())
            if aa or aa_from:
                pool = [judge_run(path) for path in find_runs([aa_from or directory / "aa"])]
    except asyncio.CancelledError:
        sys.exit(INTERRUPTED)
    except StackError as error:
        sys.exit(stack_failed(error))
    verdicts, good = None, not wanted or all_good(readings)
    if pool:
        try:
            verdicts = _verdicts(pool)
            good = good and verdicts.good
        except ComparisonError as error:
            complain(str(error))
            good = False
    load_of_others = other_loads((found.rows, found.info.machine) for found in pool)
    _show(readings, verdicts, load_of_others, as_json=as_json)
    sys.exit(GOOD if good else INVALID)


async def _record(directory: Path, runs: int, attempts: int) -> None:
    """Records the pool of an A/A test: runs of one scenario, each with another seed."""
    scenario = load(aa.SCENARIO, aa.OVERRIDES)
    for number, plan in enumerate(plans(scenario, repeats=runs, directory=directory), start=1):

        async def play(attempt: int, number: int = number, plan: Plan = plan) -> str:
            _progress(f"A/A: run {number} of {runs}{f', attempt {attempt}' if attempt > 1 else ''}")
            folder = attempt_folder(plan.directory, attempt)
            await run(replace(plan, directory=folder), lambda _: None)
            return other_load(folder)

        await until_quiet(attempts, play, lambda _: None)


def _verdicts(pool: list[Run]) -> Verdicts:
    """Raises ComparisonError where the pool has too few valid runs, or runs that differ."""
    valid = [found for found in pool if found.info.validity.get("valid")]
    if len(valid) < 2 * _GROUP:
        raise ComparisonError(
            f"A/A: {len(valid)} of {len(pool)} runs are valid: expected at least {2 * _GROUP}, "
            f"{_GROUP} per side"
        )
    differences = []
    for pair in draws(len(valid), _GROUP, COMPARISONS, random.Random(1)):  # noqa: S311
        sides = [
            replace(valid[place], info=replace(valid[place].info, arm=arm))
            for arm, places in zip("AB", pair, strict=True)
            for place in places
        ]
        (contrasts,) = compare(sides).contrasts.values()
        differences.append(called({key: found.decision for key, found in contrasts.items()}, KEY_MEASURES))
    return Verdicts(
        runs=len(valid), group=_GROUP, comparisons=COMPARISONS, called=tuple(filter(None, differences))
    )


def _show(
    readings: list[Reading], verdicts: Verdicts | None, load: tuple[OtherLoad, ...], *, as_json: bool
) -> None:
    if as_json:
        found = {
            "readings": as_dicts(readings),
            "aa": aa.as_dict(verdicts) if verdicts else None,
            "other_load": msgspec.to_builtins(load),
        }
        click.echo(json.dumps(found, indent=2))
        return
    if readings:
        console.print(_table(readings))
    if verdicts:
        console.print(_aa_sentence(verdicts), highlight=False)
    if load:
        console.print(_load_table(load))


def _table(readings: list[Reading]) -> Table:
    table = Table(
        "", "check", "quantity", "injected", "measured", "error", "tolerance", box=None, pad_edge=False
    )
    for column in table.columns[3:]:
        column.justify = "right"
    for reading in readings:
        table.add_row(
            "ok" if reading.good else "!!",
            reading.check,
            reading.what,
            f"{reading.known:,.2f} {reading.unit}",
            "–" if reading.found is None else f"{reading.found:,.2f} {reading.unit}",
            "–" if reading.error is None else f"{reading.error * 100:+.2f} %",
            f"±{percent(ALLOWED)}",
        )
    return table


def _load_table(load: tuple[OtherLoad, ...]) -> Table:
    table = Table(
        "", "worst seconds of each run", "runs", "median", "highest", "expected", box=None, pad_edge=False
    )
    for column in table.columns[2:]:
        column.justify = "right"
    for row in load:
        table.add_row(
            "ok" if row.good else "!!",
            f"{row.seconds} s: {row.what} of {row.where}",
            str(row.runs),
            percent(row.median),
            percent(row.highest),
            f"≤ {percent(row.allowed)}",
        )
    return table


def _aa_sentence(verdicts: Verdicts) -> str:
    sign = "ok" if verdicts.good else "!!"
    where = "; ".join(", ".join(keys) for keys in verdicts.called)
    return (
        f"{sign}  A/A: {len(verdicts.called)} of {verdicts.comparisons} comparisons reported a difference, "
        f"expected at most {verdicts.allowed}: {verdicts.group} against {verdicts.group} runs, "
        f"drawn from {verdicts.runs}{f' ({where})' if where else ''}"
    )


def _progress(what: str) -> None:
    errors.print(f"{what} …", style="dim", highlight=False)
