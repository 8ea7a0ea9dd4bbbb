"""Files and annotations that a gate writes besides its terminal output.

Modules that load the plotting library or the templates are imported inside functions: loading them takes
longer than the rest of the program's start.
"""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from reports.gate.decision import EXIT_STATUS, Decision
from reports.gate.history import Commit, read_trend, trend_entry, write_trend
from reports.gate.junit import junit
from reports.gate.measures import Gauge
from reports.rundir.files import replacing
from reports.rundir.reader import Run
from scenarios.gate.acceptance import job_address


def write_junit(path: Path, decision: Decision, scenario: str) -> None:
    """Writes JUnit XML. Raises OSError."""
    with replacing(path) as stream:
        stream.write(junit(decision, scenario))


def write_comment(path: Path, decision: Decision, scenario: str) -> None:
    """Writes the Markdown of a comment on the change. Raises OSError."""
    from reports.gate.github import comment  # noqa: PLC0415

    with replacing(path) as stream:
        stream.write(comment(decision, scenario, job_address(os.environ)))


def continue_trend(path: Path, decision: Decision, gauges: Sequence[Gauge], commit: Commit, run: Run) -> None:
    """Adds the decision to the trend, and draws the entries of its scenario into `path`.svg; `run` is one of
    the candidate's. Raises GateFileError, OSError."""
    from reports.figures.timeline import svg  # noqa: PLC0415
    from reports.figures.trend import trend_alt_text, trend_figure  # noqa: PLC0415

    recorded = datetime.now(UTC).isoformat(timespec="seconds")
    entry = trend_entry(decision, gauges, commit=commit, run=run, recorded=recorded)
    entries = [*read_trend(path), entry]
    write_trend(path, entries)
    alike = [one for one in entries if one.scenario == entry.scenario]
    with replacing(path.with_name(f"{path.name}.svg")) as stream:
        stream.write(svg(trend_figure(alike, gauges), trend_alt_text(alike)))


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
