"""The report on runs that were made before."""

import sys
from pathlib import Path

import click

from reports.analysis.judgement import judge_run
from reports.compare.comparison import ComparisonError
from reports.gate.history import GateFileError
from reports.rundir.files import find_runs
from reports.rundir.schema import RecordError
from scenarios.cli.options import REPORT_JSON_OPTION, runs_folder
from scenarios.cli.print_report import report
from scenarios.cli.terminal import fail, usage_errors
from scenarios.cli.trend_report import report_trend


@click.command("report")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN]...")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the report; default: the folder of the runs.",
)
@click.option(
    "--trend",
    "trend_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Report on the history that `gate --trend FILE` writes instead: show its change points, and draw"
    " them in FILE.svg.",
)
@click.option(
    "--since",
    default="",
    metavar="COMMIT",
    help="With --trend: exit with 1 only for a change point at this commit or later.",
)
@REPORT_JSON_OPTION
def report_command(
    paths: tuple[Path, ...], out: Path | None, trend_file: Path | None, since: str, as_json: bool
) -> None:
    """Regenerate the report for run directories.

    RUN is a run directory or a folder of them; by default, the latest runs.

    With --trend, the exit status is 0 if no measure has a change point for the worse, else 1.
    """
    if since and not trend_file:
        fail(f"--since: invalid value {since!r}: expected only with --trend FILE")
    if trend_file:
        if paths:
            fail(f"--trend: invalid argument {str(paths[0])!r}: expected no RUN with --trend")
        with usage_errors(GateFileError):
            sys.exit(report_trend(trend_file, since, out, as_json=as_json))
    latest = runs_folder() / "latest"
    with usage_errors(RecordError, ComparisonError):
        found = find_runs(paths or [latest])
        runs = [judge_run(path) for path in found]
        target = out or (paths[0] if paths else latest)
        sys.exit(report(runs, target, as_json=as_json))
