"""The series and histograms of a run as OTLP metrics. Needs the package opentelemetry-proto."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)

from reports.otlp.clock import at_ns, zero_ns
from reports.otlp.exponential import exponential
from reports.otlp.names import HISTOGRAMS, PODS, PREFIX, SERIES, Column
from reports.otlp.values import attributes, resource, scope
from reports.rundir.histograms import Buckets
from reports.rundir.reader import Run
from reports.rundir.series import Row

BATCH_S = 60
"""Seconds of a run in one request: some hundred kilobytes. Collectors refuse more than some megabytes."""

_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


class _Second(Struct, frozen=True):
    """When a second ended, and when the run began, in nanoseconds since 1970."""

    start_ns: int
    end_ns: int


class _Batch:
    """The metrics of one request, by name."""

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}

    def number(self, column: Column, point: NumberDataPoint) -> None:
        metric = self._metric(column.metric, column.unit)
        if not column.count:
            metric.gauge.data_points.append(point)
            return
        metric.sum.aggregation_temporality = _CUMULATIVE
        metric.sum.is_monotonic = True
        metric.sum.data_points.append(point)

    def histogram(self, name: str, point: ExponentialHistogramDataPoint) -> None:
        histogram = self._metric(name, "s").exponential_histogram
        histogram.aggregation_temporality = _CUMULATIVE
        histogram.data_points.append(point)

    def _metric(self, name: str, unit: str) -> Metric:
        whole = f"{PREFIX}.{name}"
        if whole not in self.metrics:
            self.metrics[whole] = Metric(name=whole, unit=unit)
        return self.metrics[whole]


def metric_requests(run: Run) -> Iterator[ExportMetricsServiceRequest]:
    """All of a run, `BATCH_S` seconds in a request. Raises RecordError where it does not say when it was."""
    zero_at_ns = zero_ns(run)
    seconds = [int(row["t_s"] or 0) for row in run.rows]
    first_s = min(seconds, default=0)
    batches: defaultdict[int, _Batch] = defaultdict(_Batch)

    def place(t_s: int) -> tuple[_Batch, _Second]:
        second = _Second(at_ns(zero_at_ns, first_s), at_ns(zero_at_ns, t_s + 1))
        return batches[(t_s - first_s) // BATCH_S], second

    for t_s, column, named, value in _numbers(run):
        batch, second = place(t_s)
        batch.number(column, _number_point(column, named, value, second))
    for tag, (name, attribute) in HISTOGRAMS.items():
        for t_s, buckets in _added_up(run.histograms.get(tag, {})):
            batch, second = place(t_s)
            batch.histogram(name, _histogram_point(buckets, attributes(_named(attribute)), second))
    for _, batch in sorted(batches.items()):
        scoped = ScopeMetrics(scope=scope(), metrics=batch.metrics.values())
        of_run = ResourceMetrics(resource=resource(run), scope_metrics=[scoped])
        yield ExportMetricsServiceRequest(resource_metrics=[of_run])


def points(request: ExportMetricsServiceRequest) -> int:
    """How many data points it has."""
    return sum(
        len(metric.gauge.data_points)
        + len(metric.sum.data_points)
        + len(metric.exponential_histogram.data_points)
        for of_run in request.resource_metrics
        for scoped in of_run.scope_metrics
        for metric in scoped.metrics
    )


def _numbers(run: Run) -> Iterator[tuple[int, Column, Mapping[str, object], float]]:
    """(second, column, attributes, value) of every cell with a value; counts are added up."""
    for rows, columns in ((run.rows, SERIES), (run.pods, PODS)):
        totals: defaultdict[tuple[str, object], float] = defaultdict(float)
        for row in rows:
            pod = {} if "pod" not in row else {"pod": int(row["pod"] or 0)}
            for name, column, cell in _cells(row, columns):
                value = cell * column.factor
                if column.count:
                    totals[name, pod.get("pod")] += value
                    value = totals[name, pod.get("pod")]
                yield int(row["t_s"] or 0), column, {**pod, **_named(column.attribute)}, value


def _cells(row: Row, columns: Mapping[str, Column]) -> Iterator[tuple[str, Column, float]]:
    for name, column in columns.items():
        cell = row.get(name)
        if cell is not None:
            yield name, column, cell


def _added_up(seconds: Mapping[int, Buckets]) -> Iterator[tuple[int, Buckets]]:
    """The histogram of everything up to each second; from the first one on that has a value."""
    added: Buckets | None = None
    for t_s in sorted(seconds):
        added = seconds[t_s] if added is None else added + seconds[t_s]
        if added.total:
            yield t_s, added


def _named(attribute: str) -> dict[str, object]:
    name, _, value = attribute.partition("=")
    return {name: {"true": True, "false": False}.get(value, value)} if name else {}


def _number_point(
    column: Column, named: Mapping[str, object], value: float, second: _Second
) -> NumberDataPoint:
    return NumberDataPoint(
        attributes=attributes(named),
        start_time_unix_nano=second.start_ns if column.count else 0,
        time_unix_nano=second.end_ns,
        as_double=value,
    )


def _histogram_point(
    buckets: Buckets, named: Iterable[KeyValue], second: _Second
) -> ExponentialHistogramDataPoint:
    made = exponential(buckets)
    return ExponentialHistogramDataPoint(
        attributes=named,
        start_time_unix_nano=second.start_ns,
        time_unix_nano=second.end_ns,
        count=made.count,
        sum=made.sum_s,
        min=made.min_s,
        max=made.max_s,
        scale=made.scale,
        zero_count=made.zeros,
        positive=ExponentialHistogramDataPoint.Buckets(offset=made.offset, bucket_counts=made.counts),
    )
