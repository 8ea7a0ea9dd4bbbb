"""Files and annotations that a gate writes besides its terminal output.

Modules that load the templates are imported inside functions: loading them takes longer than the rest of the
program's start.
"""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from reports.gate.commit import Commit
from reports.gate.decision import EXIT_STATUS, Decision
from reports.gate.history import read_trend, trend_entry, write_trend
from reports.gate.junit import junit
from reports.gate.measures import Gauge
from reports.rundir.files import replacing
from reports.rundir.reader import Run
from reports.trend.bencher import bencher
from reports.trend.changes import latest_worse
from reports.trend.text import history_note
from scenarios.cli.trend_report import draw
from scenarios.gate.acceptance import job_address
from scenarios.gate.request import trend_plot


def write_junit(path: Path, decision: Decision, scenario: str) -> None:
    """Writes JUnit XML. Raises OSError."""
    with replacing(path) as stream:
        stream.write(junit(decision, scenario))


def write_bencher(path: Path, decision: Decision, gauges: Sequence[Gauge], scenario: str) -> None:
    """Writes the candidate's measures as Bencher Metric Format. Raises OSError."""
    with replacing(path) as stream:
        stream.write(bencher(scenario, decision.candidate.measured, gauges))


def write_comment(path: Path, decision: Decision, scenario: str) -> None:
    """Writes the Markdown of a comment on the change. Raises OSError."""
    from reports.gate.github import comment  # noqa: PLC0415

    with replacing(path) as stream:
        stream.write(comment(decision, scenario, job_address(os.environ)))


def with_notes(decision: Decision, notes: Sequence[str]) -> Decision:
    """The decision with these notes as well, without empty ones."""
    return msgspec.structs.replace(decision, notes=(*decision.notes, *filter(None, notes)))


def continue_trend(path: Path, decision: Decision, gauges: Sequence[Gauge], commit: Commit, run: Run) -> str:
    """Adds the decision to the trend, and draws the entries of its scenario into `path`.svg; `run` is one of
    the candidate's. Returns a note on change points for the worse, or nothing. Raises GateFileError, OSError.
    """
    recorded = datetime.now(UTC).isoformat(timespec="seconds")
    entry = trend_entry(decision, gauges, commit=commit, run=run, recorded=recorded)
    entries = [*read_trend(path), entry]
    write_trend(path, entries)
    found = draw(trend_plot(path), entries, gauges)
    alike = sum(one.scenario == entry.scenario for one in entries)
    return history_note(latest_worse(found), alike, str(path))


def as_json(decision: Decision, scenario: str, runs: Path | None) -> str:
    """The whole decision; `runs` is the folder of the runs that were made for it."""
    return json.dumps(
        {
            "scenario": scenario,
            "exit_status": EXIT_STATUS[decision.outcome],
            **msgspec.to_builtins(decision),
            "runs": str(runs) if runs else None,
        },
        indent=2,
    )


def tell_github(decision: Decision, scenario: str, runs: Path | None, *, to_stderr: bool) -> None:
    """Prints annotations, and appends to the step summary and the step's outputs. Raises OSError."""
    from reports.gate.github import annotations, step_summary  # noqa: PLC0415

    for line in annotations(decision, scenario):
        click.echo(line, err=to_stderr)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(step_summary(decision, scenario))
    outputs = os.environ.get("GITHUB_OUTPUT")
    if outputs:
        with Path(outputs).open("a", encoding="utf-8") as stream:
            stream.write(f"outcome={decision.outcome}\nruns={runs.absolute() if runs else ''}\n")
