"""A run as OTLP has it: every second, every histogram, every event, at the time at which it was."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from reports.otlp import metrics
from reports.otlp.clock import zero_ns
from reports.otlp.logs import log_requests, records
from reports.otlp.metrics import metric_requests, points
from reports.otlp.names import HISTOGRAMS, PODS, PREFIX, SERIES
from reports.otlp.values import any_value
from reports.rundir.columns import POD_COLUMNS, SERIES_COLUMNS
from reports.rundir.reader import Run
from reports.rundir.schema import TAGS, RecordError
from tests.support.acted_runs import SCALE
from tests.support.histories import CLIENTS, TRIGGER_S, history, pod_second, second, seconds, storm

ROOT = Path(__file__).parents[3]
STEADY = "2026-11-22T20:00:05.250+00:00"
STEADY_NS = 1_000_000 * round(datetime(2026, 11, 22, 20, 0, 5, 250_000, UTC).timestamp() * 1000)


def made(**info: Any) -> Run:
    pods = [pod_second(t, pod, handshakes=3.0) for t in range(10) for pod in (0, 1)]
    return history(storm(0.0), events=SCALE, pods=pods, **{"steady_utc": STEADY, **info})


def by_name(run: Run) -> dict[str, Metric]:
    """All metrics of all requests."""
    found: dict[str, Metric] = {}
    for request in metric_requests(run):
        for metric in request.resource_metrics[0].scope_metrics[0].metrics:
            found.setdefault(metric.name, Metric()).MergeFrom(metric)
    return found


def named(point: Any) -> dict[str, Any]:
    """Its attributes, without the prefix."""
    values = {each.key: each.value for each in point.attributes}
    return {
        key.removeprefix(f"{PREFIX}."): getattr(value, value.WhichOneof("value"))
        for key, value in values.items()
    }


def test_every_name_is_a_column_or_a_histogram_that_there_is() -> None:
    assert {*SERIES} <= {*SERIES_COLUMNS}
    assert {*PODS} <= {*POD_COLUMNS}
    assert {*HISTOGRAMS} <= {*TAGS}


def test_the_page_lists_every_metric_with_its_unit_and_kind() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    for column in (*SERIES.values(), *PODS.values()):
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{column.metric}` |")]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        name, _, value = column.attribute.partition("=")
        assert (cells[1], cells[3]) == (f"`{column.unit}`", "sum" if column.count else "gauge")
        assert not name or f"`{name}`" in cells[2]
        assert name != "client.state" or f"`{value}`" in cells[2]
    for metric, _ in HISTOGRAMS.values():
        assert f"| `{metric}` | `s` |" in page


def test_a_gauge_has_a_point_for_the_end_of_each_second() -> None:
    run = made()
    gauge = by_name(run)["reconnect_storm.client.count"].gauge
    served = [point for point in gauge.data_points if named(point)["client.state"] == "served"]
    assert [point.as_double for point in served[:9]] == [*[CLIENTS] * 8, 0.0]
    assert served[0].time_unix_nano == STEADY_NS + 1_000_000_000
    assert served[-1].time_unix_nano == STEADY_NS + len(run.rows) * 1_000_000_000


def test_a_count_is_the_sum_since_the_run_began() -> None:
    metric = by_name(made())["reconnect_storm.connection.attempts"]
    assert metric.unit == "{attempt}"
    assert metric.sum.is_monotonic
    assert metric.sum.aggregation_temporality == metrics._CUMULATIVE
    values = [point.as_double for point in metric.sum.data_points]
    assert values[TRIGGER_S - 1 : TRIGGER_S + 3] == [0.0, 50.0, 100.0, 150.0]
    assert {point.start_time_unix_nano for point in metric.sum.data_points} == {STEADY_NS}


def test_outcomes_and_pods_are_attributes() -> None:
    found = by_name(made())
    outcomes = {
        named(point)["outcome"] for point in found["reconnect_storm.connection.outcomes"].sum.data_points
    }
    assert {"joined", "limited", "timeout"} <= outcomes
    handshakes = found["reconnect_storm.gateway.handshakes"].sum.data_points
    assert [(named(point)["pod"], point.as_double) for point in handshakes[:4]] == [
        (0, 3.0),
        (1, 3.0),
        (0, 6.0),
        (1, 6.0),
    ]


def test_units_are_those_of_opentelemetry() -> None:
    found = by_name(made())
    lag = found["reconnect_storm.gateway.loop.lag"]
    assert lag.unit == "s"
    assert found["reconnect_storm.gateway.loop.utilization"].unit == "1"
    assert not [name for name in found if name.endswith(("_ms", "_s", "_total"))]
    assert all(name.startswith("reconnect_storm.") for name in found)


def test_a_histogram_has_all_values_up_to_each_second() -> None:
    run = made()
    histogram = by_name(run)["reconnect_storm.tick.fanout.duration"].exponential_histogram
    assert histogram.aggregation_temporality == metrics._CUMULATIVE
    counts = [point.count for point in histogram.data_points]
    fanout = run.histograms["fanout"]
    expected = [sum(fanout[t].total for t in sorted(fanout) if t <= last) for last in sorted(fanout)]
    assert counts == [count for count in expected if count]
    for point in histogram.data_points:
        assert sum(point.positive.bucket_counts) + point.zero_count == point.count


def test_a_latency_of_which_only_a_lower_bound_is_known_says_so() -> None:
    histogram = by_name(made())["reconnect_storm.tick.effective.duration"].exponential_histogram
    assert {named(point)["censored"] for point in histogram.data_points} == {True, False}


def test_a_long_run_comes_in_several_requests_and_its_sums_go_on() -> None:
    run = history(seconds(0, 130, attempts=1.0), trigger_s=None, steady_utc=STEADY)
    requests = [*metric_requests(run)]
    assert len(requests) == 3
    together = [
        len(metric.gauge.data_points)
        + len(metric.sum.data_points)
        + len(metric.exponential_histogram.data_points)
        for metric in by_name(run).values()
    ]
    assert sum(map(points, requests)) == sum(together)
    attempts = by_name(run)["reconnect_storm.connection.attempts"].sum.data_points
    assert [point.as_double for point in attempts] == [float(t + 1) for t in range(130)]


def test_an_empty_cell_has_no_point() -> None:
    run = history([second(0), second(1, nginx_cpu=None), second(2)], trigger_s=None, steady_utc=STEADY)
    usage = by_name(run)["reconnect_storm.proxy.cpu.usage"].gauge.data_points
    assert [point.time_unix_nano - STEADY_NS for point in usage] == [1_000_000_000, 3_000_000_000]


def test_the_resource_says_which_run_it_is() -> None:
    (request, *_) = metric_requests(made(arm="naive + none", seed=7))
    resource = {each.key: each.value for each in request.resource_metrics[0].resource.attributes}
    assert resource["service.name"].string_value == "reconnect-storm"
    assert resource["reconnect_storm.arm"].string_value == "naive + none"
    assert resource["reconnect_storm.seed"].int_value == 7


def test_every_event_is_a_log_record_and_so_is_the_verdict() -> None:
    run = made(verdict={"name": "METASTABLE", "reason": "not recovering"}, validity={"valid": True})
    (request,) = log_requests(run)
    found = request.resource_logs[0].scope_logs[0].log_records
    assert records(request) == len(found) == len(run.events) + 1
    for record, line in zip(found, run.events, strict=False):
        assert record.event_name == f"reconnect_storm.{line['event']}"
        assert record.time_unix_nano == pytest.approx(STEADY_NS + line["t_s"] * 1e9, abs=1000)
        assert set(named(record)) == {f"event.{key}" for key in line if key not in {"t_s", "event"}}
    assert found[-1].event_name == "reconnect_storm.verdict"
    assert found[-1].body.string_value == "not recovering"
    assert named(found[-1]) == {"event.verdict": "METASTABLE", "event.valid": True}


def test_a_run_without_rows_has_no_metrics() -> None:
    assert [*metric_requests(history([], trigger_s=None, latencies={}))] == []


def test_values_of_json_stay_what_they_are() -> None:
    value = any_value({"a": [1, 2.5, True, None, "x"], "b": 2**70})
    a, b = value.kvlist_value.values
    kinds = [each.WhichOneof("value") for each in a.value.array_value.values]
    assert kinds == ["int_value", "double_value", "bool_value", None, "string_value"]
    assert b.value.double_value == 2.0**70


def test_an_older_run_began_with_its_ramp() -> None:
    rows = [second(t) for t in range(-3, 5)]
    older = history(rows, trigger_s=None, started_utc="2026-11-22T20:00:00+00:00")
    assert zero_ns(older) == round(datetime(2026, 11, 22, 20, 0, 3, tzinfo=UTC).timestamp()) * 10**9


def test_a_run_that_does_not_say_when_it_was_is_refused() -> None:
    run = history(seconds(0, 3), trigger_s=None)
    broken = replace(run, info=replace(run.info, started_utc="yesterday"))
    with pytest.raises(RecordError, match="invalid started_utc 'yesterday': expected a time in ISO 8601"):
        zero_ns(broken)
