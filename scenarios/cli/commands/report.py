"""The report on runs that were made before."""

import sys
from pathlib import Path

import click

from reports.analysis.judgement import judge_run
from reports.compare.comparison import ComparisonError
from reports.rundir.files import find_runs
from reports.rundir.schema import RecordError
from scenarios.cli.options import REPORT_JSON_OPTION, runs_folder
from scenarios.cli.print_report import report
from scenarios.cli.terminal import usage_errors


@click.command("report")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN]...")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the report; default: the folder of the runs.",
)
@REPORT_JSON_OPTION
def report_command(paths: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Regenerate the report for run directories.

    RUN is a run directory or a folder of them; by default, the latest runs.
    """
    latest = runs_folder() / "latest"
    with usage_errors(RecordError, ComparisonError):
        found = find_runs(paths or [latest])
        runs = [judge_run(path) for path in found]
        target = out or (paths[0] if paths else latest)
        sys.exit(report(runs, target, as_json=as_json))
