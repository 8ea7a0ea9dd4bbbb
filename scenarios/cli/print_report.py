"""Prints and writes the report of runs, and maps them to an exit status."""

import json
from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from reports.compare.agreement import Agreement, agreement_table
from reports.compare.control import controls, under_control
from reports.page.table import terminal_report
from reports.rundir.reader import Run
from scenarios.cli.terminal import console
from scenarios.exit_status import FAILED, GOOD, INVALID


def report(runs: list[Run], directory: Path, *, as_json: bool) -> int:
    """Prints and writes the report; returns the exit status of the runs.

    A failed part of the stack outranks an invalid run, unless the same arm has a valid run of the same round.
    """
    rehearsals = [run for run in runs if run.info.rehearsal is not None]
    others = [run for run in runs if run.info.rehearsal is None]
    written = _write(rehearsals, others, directory)
    if as_json:
        click.echo(
            json.dumps(
                [
                    {
                        "directory": str(run.directory),
                        "arm": run.info.arm,
                        "round": run.info.round,
                        "status": run.info.status,
                        "summary": run.info.summary,
                        "validity": run.info.validity,
                        "verdict": run.info.verdict,
                        "findings": run.info.findings,
                    }
                    for run in runs
                ],
                indent=2,
            )
        )
    else:
        if others:
            console.print(terminal_report(others, console.width))
        if rehearsals:
            latest = max(rehearsals, key=lambda run: run.info.started_utc)
            console.print(terminal_report([latest], console.width))
        paths = "\n        ".join(map(str, written))
        console.print(f"\nreport: {paths}", highlight=False, markup=False, soft_wrap=True)
    found = controls(others)
    arms = [run for run in under_control(others, found) if not run.info.control]
    wanted = {(run.info.arm, run.info.round) for run in arms}
    valid = {(run.info.arm, run.info.round) for run in arms if run.info.validity.get("valid")}
    crashed = {(run.info.arm, run.info.round) for run in others if run.info.status == "failed"}
    if crashed - valid or any(run.info.status == "failed" for run in rehearsals):
        return FAILED
    sound = all(run.info.validity.get("valid") for run in rehearsals)
    return GOOD if sound and wanted == valid and not any(control.problems for control in found) else INVALID


def shown_agreement(found: Agreement) -> Table:
    """How predictions and measurements compare, for a terminal."""
    table = agreement_table(found)
    shown = Table(*table.headings, box=None, title=table.label)
    for row in table.rows:
        shown.add_row(*map(escape, row))
    return shown


def _write(rehearsals: list[Run], others: list[Run], directory: Path) -> list[Path]:
    """Writes the report of the rehearsals and that of all other runs; returns their paths."""
    # Loading the plotting library takes longer than all the rest of the program's start.
    written: list[Path] = []
    if rehearsals:
        from reports.rehearsal import write_rehearsals  # noqa: PLC0415

        written += msgspec.structs.astuple(write_rehearsals(rehearsals, directory))
    if others:
        from reports.page.write import write_report  # noqa: PLC0415

        markdown, html = write_report(others, directory)
        written += [html, markdown]
    return written
