"""Runs for programs that know OpenTelemetry."""

import sys
from collections import Counter
from pathlib import Path

import click

from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from reports.rundir.schema import RecordError
from reports.text import units
from scenarios.cli.commands.exporting.receiver import (
    AddressError,
    Receiver,
    ReceiverError,
    headers_of_environment,
)
from scenarios.cli.options import runs_folder
from scenarios.cli.terminal import complain, fail, usage_errors
from scenarios.exit_status import FAILED
from scenarios.scenario.redact_text import shown_text


@click.command("export")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN]...")
@click.option(
    "--otlp",
    "url",
    required=True,
    metavar="URL",
    help="OTLP receiver, such as http://127.0.0.1:4318. Metrics go to /v1/metrics, events to /v1/logs.",
)
@click.option("--allow-remote", is_flag=True, help="Allow a receiver outside this host's loopback.")
@click.option("--metrics-only", is_flag=True, help="Leave out events, for a receiver of metrics alone.")
def export_command(paths: tuple[Path, ...], url: str, *, allow_remote: bool, metrics_only: bool) -> None:
    """Send the series, histograms and events of runs to an OpenTelemetry receiver.

    RUN is a run directory or a folder of them; by default, the latest runs.

    Needs the optional extra reconnect-storm[otlp]. Headers, such as a token, are read from
    OTEL_EXPORTER_OTLP_HEADERS and are written nowhere.
    """
    with usage_errors(RecordError, AddressError):
        receiver = Receiver(url, allow_remote=allow_remote, headers=headers_of_environment())
        runs = [Run.load(path) for path in find_runs(paths or [runs_folder() / "latest"])]
    try:
        with receiver, usage_errors(RecordError):
            for run in runs:
                sent = _send(run, receiver, events=not metrics_only)
                events = "" if metrics_only else f" and {units.count(sent['records'])} events"
                click.echo(f"{run.directory}: {units.count(sent['points'])} data points{events} sent")
    except ReceiverError as error:
        complain(f"--otlp: {error}")
        sys.exit(FAILED)


def _send(run: Run, receiver: Receiver, *, events: bool) -> Counter[str]:
    """Sends a run, with its events or without; returns how many points and records that was.

    Raises ReceiverError, RecordError.
    """
    try:
        # An optional extra: nobody else needs it.
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (  # noqa: PLC0415
            ExportLogsServiceResponse,
        )
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (  # noqa: PLC0415
            ExportMetricsServiceResponse,
        )

        from reports.otlp import logs, metrics  # noqa: PLC0415
    except ImportError:
        fail("--otlp: not installed; install the optional extra reconnect-storm[otlp]")
    sent: Counter[str] = Counter()
    for request in metrics.metric_requests(run):
        answer = receiver.send("metrics", request.SerializeToString())
        partly = ExportMetricsServiceResponse.FromString(answer).partial_success
        _taken(partly.rejected_data_points, "data points", partly.error_message)
        sent["points"] += metrics.points(request)
    for log_request in logs.log_requests(run) if events else ():
        answer = receiver.send("logs", log_request.SerializeToString())
        refused = ExportLogsServiceResponse.FromString(answer).partial_success
        _taken(refused.rejected_log_records, "events", refused.error_message)
        sent["records"] += logs.records(log_request)
    return sent


def _taken(rejected: int, what: str, why: str) -> None:
    """Raises ReceiverError where the receiver has rejected some of what it got."""
    if rejected:
        told = f": {shown_text(why)}" if why else ""
        raise ReceiverError(f"the receiver rejected {units.count(rejected)} {what}{told}")
