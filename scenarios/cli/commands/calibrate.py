"""The command that tests the measurement itself; like `cli.py`, it knows how runs are made and how judged."""

import asyncio
import json
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
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
from scenarios.cli.options import JSON_OPTION, RUNS_OPTION
from scenarios.cli.terminal import complain, console, errors, stack_failed, usage_errors, warn_of_leftovers
from scenarios.exit_status import GOOD, INTERRUPTED, INVALID
from scenarios.host.machine import MachineError
from scenarios.host.process import StackError
from scenarios.runner.plan import plans
from scenarios.runner.run import run
from scenarios.runner.until_done import run_until_done
from scenarios.scenario.loader import load
from scenarios.scenario.validate import ScenarioError
from scenarios.selftest import aa
from scenarios.selftest.aa import COMPARISONS, Verdicts, called, draws
from scenarios.selftest.checks import CHECKS
from scenarios.selftest.readings import ALLOWED, Reading, all_good, as_dicts
from scenarios.selftest.rig import SAMPLER, Rig

NAMES = (*CHECKS, SAMPLER)
_GROUP = runs_needed(len(KEY_MEASURES))
"""Fewer runs a side could not call any difference after Holm, and would pass for nothing."""


@click.command("calibrate")
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="This check alone; may be repeated.")
@click.option("--aa", is_flag=True, help="Also compare runs of one and the same scenario with each other.")
@click.option(
    "--aa-runs",
    type=click.IntRange(2 * _GROUP, 1_000),
    default=16,
    show_default=True,
    help="How many of them to make.",
)
@click.option(
    "--aa-from",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Compare those recorded there, and make none; nothing else is checked unless --only says so.",
)
@click.option(
    "--tries",
    type=click.IntRange(1, 10),
    default=3,
    show_default=True,
    help="Of a check, or a run, during which others used the machine's cores.",
)
@RUNS_OPTION
@JSON_OPTION
def calibrate_command(
    *,
    only: tuple[str, ...],
    aa: bool,
    aa_runs: int,
    aa_from: Path | None,
    tries: int,
    runs_folder: Path,
    as_json: bool,
) -> None:
    """Inject known values and check the measurements.

    Exit status: 0 where every figure is within 2 % of what is known, and no more than one of twenty A/A
    comparisons calls a difference; 5 where a part of the stack failed; else 3.
    """
    directory = runs_folder / "calibration" / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    wanted = only or (() if aa_from else NAMES)
    readings: list[Reading] = []
    pool: list[Run] = []
    rig = Rig(
        directory=directory,
        judge=judge_run,
        disturbed=lambda rows, machine: any(one.too_much for one in taken(rows, machine)),
        tries=tries,
        on_progress=_progress,
    )

    async def measure() -> None:
        for name in wanted:
            readings.extend(await (rig.sampled() if name == SAMPLER else rig.readings(name, CHECKS[name])))
        if aa and not aa_from:
            await _record(directory / "aa", aa_runs, tries)

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
    _show(readings, verdicts, as_json=as_json)
    sys.exit(GOOD if good else INVALID)


async def _record(directory: Path, runs: int, tries: int) -> None:
    """Makes the pool of an A/A comparison: one scenario, again and again, each time with another seed."""
    scenario = load(aa.SCENARIO, aa.OVERRIDES)
    for number, plan in enumerate(plans(scenario, repeats=runs, directory=directory), start=1):
        for again in range(1, tries + 1):
            _progress(f"A/A: run {number} of {runs}{f', try {again}' if again > 1 else ''}")
            folder = (
                plan.directory
                if again == 1
                else plan.directory.with_name(f"{plan.directory.name}-try{again}")
            )
            await run(replace(plan, directory=folder), lambda _: None)
            if not judge_run(folder).info.validity["spoilt_by_machine"]:
                break


def _verdicts(pool: list[Run]) -> Verdicts:
    """Raises ComparisonError where the pool has too few valid runs, or runs that differ."""
    valid = [found for found in pool if found.info.validity.get("valid")]
    if len(valid) < 2 * _GROUP:
        raise ComparisonError(
            f"A/A: found {len(valid)} valid runs of {len(pool)}, allowed: at least {2 * _GROUP}, "
            f"{_GROUP} on either side"
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


def _show(readings: list[Reading], verdicts: Verdicts | None, *, as_json: bool) -> None:
    if as_json:
        found = {
            "readings": as_dicts(readings),
            "aa": aa.as_dict(verdicts) if verdicts else None,
        }
        click.echo(json.dumps(found, indent=2))
        return
    if readings:
        console.print(_table(readings))
    if verdicts:
        console.print(_aa_sentence(verdicts), highlight=False)


def _table(readings: list[Reading]) -> Table:
    table = Table("", "check", "what", "known", "read back", "error", "allowed", box=None, pad_edge=False)
    for column in table.columns[3:]:
        column.justify = "right"
    for reading in readings:
        table.add_row(
            "ok" if reading.good else "!!",
            reading.check,
            reading.what,
            f"{reading.known:,.2f} {reading.unit}",
            "–" if reading.found is None else f"{reading.found:,.2f} {reading.unit}",
            "–" if reading.error is None else f"{reading.error:+.2%}",
            f"±{ALLOWED:.0%}",
        )
    return table


def _aa_sentence(verdicts: Verdicts) -> str:
    sign = "ok" if verdicts.good else "!!"
    where = "; ".join(", ".join(keys) for keys in verdicts.called)
    return (
        f"{sign}  A/A: {len(verdicts.called)} of {verdicts.comparisons} comparisons called a difference, "
        f"{verdicts.allowed} is allowed: {verdicts.group} against {verdicts.group} runs, "
        f"drawn from {verdicts.runs}{f' ({where})' if where else ''}"
    )


def _progress(what: str) -> None:
    errors.print(f"{what} …", style="dim", highlight=False)
