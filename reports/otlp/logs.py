"""The events of a run, and what came of it, as OTLP log records. Needs the package opentelemetry-proto."""

from collections.abc import Iterator
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber

from reports.otlp.clock import at_ns, zero_ns
from reports.otlp.names import PREFIX
from reports.otlp.values import any_value, attributes, resource, scope
from reports.rundir.reader import Run

BATCH = 1000
"""Records in one request."""


def log_requests(run: Run) -> Iterator[ExportLogsServiceRequest]:
    """All events of a run, in order. Raises RecordError where it does not say when it was."""
    made = [*_records(run)]
    for begin in range(0, len(made), BATCH):
        scoped = ScopeLogs(scope=scope(), log_records=made[begin : begin + BATCH])
        yield ExportLogsServiceRequest(
            resource_logs=[ResourceLogs(resource=resource(run), scope_logs=[scoped])]
        )


def records(request: ExportLogsServiceRequest) -> int:
    """How many log records it has."""
    return sum(len(each.log_records) for of_run in request.resource_logs for each in of_run.scope_logs)


def _records(run: Run) -> Iterator[LogRecord]:
    zero_at_ns = zero_ns(run)
    for line in run.events:
        details = {key: value for key, value in line.items() if key not in {"t_s", "event"}}
        yield _record(at_ns(zero_at_ns, float(line["t_s"])), str(line["event"]), details)
    if verdict := run.info.verdict:
        last_s = max((row["t_s"] or 0.0 for row in run.rows), default=0.0)
        details = {"verdict": verdict.get("name"), "valid": run.info.validity.get("valid")}
        yield _record(at_ns(zero_at_ns, last_s + 1), "verdict", details, str(verdict.get("reason", "")))


def _record(time_ns: int, name: str, details: dict[str, Any], body: str = "") -> LogRecord:
    return LogRecord(
        time_unix_nano=time_ns,
        observed_time_unix_nano=time_ns,
        severity_number=SeverityNumber.SEVERITY_NUMBER_INFO,
        severity_text="INFO",
        event_name=f"{PREFIX}.{name}",
        body=any_value(body or name),
        attributes=attributes({f"event.{key}": value for key, value in details.items()}),
    )
