"""What the generator, the pods and the CPU sampler say becomes one row a second."""

import random
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.rundir.reader import Run
from reports.rundir.schema import ClockOffset, FeedFit, RunInfo
from reports.rundir.writer import RunWriter
from scenarios.host.cpu import CoreShares, CpuShares
from scenarios.proxies.sidecar_stats import SidecarLine
from scenarios.runner.collector import SECOND_NS, Collector
from scenarios.wire.interval import ClockStep, GroupTimes, Interval, Samples, SomeClients, WorkerChange
from scenarios.wire.pod_second import PodSecond
from scenarios.wire.tick_counts import TickCounts
from tests.support.intervals import interval

MS = 1_000_000


def pod_line(second: int, **changes: Any) -> PodSecond:
    quiet = PodSecond(
        t_ns=(second + 1) * SECOND_NS + 3 * MS,
        span_ns=SECOND_NS,
        cpu_ns=0,
        occupied_ns=0,
        lag_ms=0,
        clients=5,
        handshakes=0,
        joined=0,
        gone_early=0,
        short_sessions=0,
        ticks_sent=0,
        tick_late_ms=0,
    )
    return msgspec.structs.replace(quiet, **changes)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    writer = written_to(tmp_path)
    yield Collector(writer, epoch_ns=0)
    writer.close()


def written_to(folder: Path) -> RunWriter:
    info = RunInfo(
        scenario={}, arm="a", seed=1, started_utc="", versions={}, machine={}, stability={}, command=[]
    )
    return RunWriter(folder / "run", info)


def written(collector: Collector, end: int = 100) -> Run:
    collector.finish(end, {})
    collector.writer.close()
    return Run.load(collector.writer.directory)


def test_seconds_count_from_the_steady_state(collector: Collector) -> None:
    collector.zero = 4
    for second in range(3, 6):
        collector.on_interval(interval(second))
    assert written(collector).column("t_s") == [-1, 0, 1]


def test_pods_are_averaged_and_their_counts_added(collector: Collector) -> None:
    collector.on_pod(
        0, pod_line(0, cpu_ns=SECOND_NS // 4, occupied_ns=SECOND_NS // 2, ticks_sent=3, lag_ms=7)
    )
    collector.on_pod(1, pod_line(0, cpu_ns=SECOND_NS // 2, occupied_ns=SECOND_NS, ticks_sent=4, lag_ms=2))
    (row,) = written(collector).rows
    assert row["pod_cpu"] == 0.375
    assert row["pod_cpu_total"] == 0.75
    assert row["pod_loop"] == 0.75
    assert row["pod_loop_max"] == 1
    assert row["ticks_sent"] == 7
    assert row["pod_lag_ms"] == 7


def test_each_pod_has_a_row_of_its_own(collector: Collector) -> None:
    collector.zero = 1
    collector.on_pod(
        1, pod_line(3, clients=7, shed=4, joined=2, handshakes=3, gone_early=1, short_sessions=1)
    )
    collector.on_pod(
        0, pod_line(3, cpu_ns=SECOND_NS // 4, occupied_ns=SECOND_NS // 2, shed=1, lag_ms=1.23456)
    )
    run = written(collector)
    first, second = run.pods
    assert [first[name] for name in ("t_s", "pod", "cpu", "loop", "lag_ms")] == [2, 0, 0.25, 0.5, 1.2346]
    assert [second[name] for name in ("t_s", "pod", "clients", "shed", "joined", "handshakes")] == [
        *(2, 1, 7, 4, 2, 3)
    ]
    assert run.column("pod_shed") == [5]


def test_sidecars_have_a_table_of_their_own_where_there_are_some(collector: Collector) -> None:
    collector.zero = 1
    for second in (2, 3):
        collector.on_interval(interval(second))
        collector.on_sidecar(
            1,
            SidecarLine(
                t_ns=(second + 1) * SECOND_NS + 9 * MS,
                span_ns=SECOND_NS,
                cpu_ns=SECOND_NS // 4,
                rss_bytes=50_000_000,
                counts={"retries": second},
            ),
        )
    collector.write_until(3)
    (early,) = Run.load(collector.writer.directory).sidecars
    assert [early[name] for name in ("t_s", "pod", "cpu", "rss_mb", "retries")] == [1, 1, 0.25, 50, 2]
    collector.finish(100, {}, {3: 7})
    collector.writer.close()
    run = Run.load(collector.writer.directory)
    assert [row["retries"] for row in run.sidecars] == [2, 3]
    assert [row["ejections"] for row in run.sidecars] == [None, None]
    assert run.column("sidecar_refused") == [0, 7]


def test_a_run_without_sidecars_leaves_no_table_of_them(collector: Collector) -> None:
    collector.on_interval(interval(0))
    run = written(collector)
    assert (run.sidecars, run.column("sidecar_refused")) == ((), [None])
    assert not (run.directory / "sidecars.csv").exists()


def test_the_two_lines_of_a_pod_that_meet_in_one_second_are_added(collector: Collector) -> None:
    # A pod that was stopped for 3.4 s goes on; the rest of the second has a line of its own.
    stopped = pod_line(
        3,
        t_ns=int(3.7 * SECOND_NS),
        span_ns=int(3.7 * SECOND_NS),
        cpu_ns=SECOND_NS // 5,
        ticks_sent=40,
        lag_ms=3400,
    )
    rest = pod_line(
        3, span_ns=int(0.3 * SECOND_NS), cpu_ns=SECOND_NS // 5, ticks_sent=200, lag_ms=9, clients=3
    )
    collector.on_pod(0, stopped)
    collector.on_pod(0, rest)
    run = written(collector)
    (row,), (pod,) = run.rows, run.pods
    for found, prefix in ((row, "pod_"), (pod, "")):
        assert (found["t_s"], found["ticks_sent"], found[f"{prefix}lag_ms"]) == (3, 240, 3400)
        assert found[f"{prefix}cpu"] == 0.1
    assert pod["clients"] == 3


def test_a_line_that_covers_a_long_time_is_booked_where_it_ends_and_nothing_before_it(
    collector: Collector,
) -> None:
    collector.on_pod(0, pod_line(0))
    for second in range(6):
        collector.on_pod(1, pod_line(second))
    collector.on_pod(0, pod_line(5, span_ns=5 * SECOND_NS, cpu_ns=SECOND_NS // 2, ticks_sent=25))
    run = written(collector)
    assert [row["t_s"] for row in run.pods if row["pod"] == 0] == [0, 5]
    assert [row["pod_cpu"] for row in run.rows] == [0, 0, 0, 0, 0, 0.05]
    assert sum(row["ticks_sent"] or 0 for row in run.rows) == 25


def test_a_line_that_comes_after_its_second_was_written_is_there_in_the_end(collector: Collector) -> None:
    for second in range(4):
        collector.on_interval(interval(second))
        collector.on_pod(0, pod_line(second, ticks_sent=5))
        collector.write_until(second)
    before = Run.load(collector.writer.directory)
    collector.on_pod(1, pod_line(0, ticks_sent=7))
    run = written(collector, end=3)
    assert [(row["t_s"], row["pod"]) for row in before.pods] == [(0, 0), (1, 0), (2, 0)]
    assert [(row["t_s"], row["pod"]) for row in run.pods] == [(0, 0), (0, 1), (1, 0), (2, 0)]
    assert [row["ticks_sent"] for row in run.rows] == [12, 5, 5]


def test_ages_of_ended_sessions_have_a_histogram_of_the_second_in_which_they_ended(
    collector: Collector,
) -> None:
    collector.zero = 1
    collector.on_interval(interval(1))
    collector.on_interval(interval(2, session_ages=Samples.of([60 * SECOND_NS] * 3)))
    collector.write_until(9)
    unfinished = Run.load(collector.writer.directory).histograms["session_age"]
    found = written(collector).histograms["session_age"]
    assert {second: buckets.total for second, buckets in found.items()} == {1: 3}
    assert {second: buckets.total for second, buckets in unfinished.items()} == {1: 3}


def test_staleness_has_a_histogram_and_cells_of_its_second(collector: Collector) -> None:
    ages = Samples.of([100 * MS] * 90 + [2000 * MS] * 9 + [9000 * MS])
    collector.on_interval(interval(0, staleness=ages, stale_clients=1.0))
    run = written(collector)
    (row,) = run.rows
    found = [row[f"staleness_{name}_ms"] for name in ("p50", "p99", "max")]
    assert found == pytest.approx([100, 2000, 9000], rel=0.001)
    assert row["stale_client_s"] == 1
    assert run.histograms["staleness"][0].total == 100


def test_clients_that_are_missing_are_stale_as_well(collector: Collector) -> None:
    collector.on_interval(interval(0, stale_clients=2.5, missing=10))
    assert collector.row(0)["stale_client_s"] == 12.5


def test_the_two_parts_of_a_second_that_was_cut_become_one_row(collector: Collector) -> None:
    collector.on_interval(
        interval(
            0,
            attempts=2,
            outcomes={"joined": 1},
            useful=8.0,
            gave_up_by_reason={"timeout": 1},
            stale_clients=2.0,
        )
    )
    collector.on_interval(
        interval(
            0,
            attempts=3,
            outcomes={"joined": 2},
            useful=None,
            attempts_per_slot=(3,),
            gave_up_by_reason={"timeout": 1, "connect_error": 1},
        )
    )
    (row,) = written(collector).rows
    assert (row["attempts"], row["joined"], row["useful"]) == (5, 3, 8)
    assert (row["gave_up"], row["stale_client_s"]) == (3, 2)
    assert (row["gave_up_timeout"], row["gave_up_connect_error"], row["gave_up_stale"]) == (2, 1, 0)
    assert row["attempts_peak_100ms"] == 3
    assert row["attempts_squares_100ms"] == 9


@pytest.mark.parametrize("late_part", [0, 1])
def test_a_part_of_a_second_in_which_the_generator_was_late_is_not_forgotten(
    collector: Collector, late_part: int
) -> None:
    late, on_time = Samples.of([2_500 * MS] * 3), Samples.of([1 * MS] * 40)
    for part in (0, 1):
        lag = late if part == late_part else on_time
        collector.on_interval(interval(5, loop_lag=lag, retry_late=lag))
    row = collector.row(5)
    assert row["generator_lag_p99_ms"] == row["retry_late_p99_ms"] == pytest.approx(2_500, rel=0.01)


def test_latencies_are_read_back_from_the_histograms(collector: Collector) -> None:
    fanout = Samples.of([10 * MS] * 98 + [50 * MS] * 2)
    collector.on_interval(interval(0, fanout=fanout, effective={0: fanout}))
    run = written(collector)
    (row,) = run.rows
    assert row["fanout_p50_ms"] == pytest.approx(10, rel=0.001)
    assert row["fanout_p99_ms"] == pytest.approx(50, rel=0.001)
    assert row["effective_p99_ms"] == pytest.approx(50, rel=0.001)
    assert row["effective_at_least"] == 0
    assert run.histograms["fanout"][0].total == 100


@pytest.mark.parametrize(
    ("known_ms", "unknown_ms", "expected_ms", "at_least"),
    [
        pytest.param([10] * 100, [], 10, 0, id="all are known"),
        pytest.param([10] * 999, [5000], 10, 0, id="so few are unknown that they are beyond the percentile"),
        pytest.param([10] * 90, [5000] * 10, 5000, 1, id="the percentile falls among lower bounds"),
        pytest.param([], [5000] * 10, 5000, 1, id="nobody ever got anything"),
        pytest.param([10] * 90 + [9000] * 10, [20] * 5, 9000, 1, id="a small bound may hide a large value"),
        pytest.param([10] * 900 + [9000] * 100, [20] * 5, 9000, 0, id="so few small bounds change nothing"),
    ],
)
def test_a_percentile_among_lower_bounds_says_at_least(
    collector: Collector, known_ms: list[int], unknown_ms: list[int], expected_ms: float, at_least: int
) -> None:
    effective = Samples.of([value * MS for value in known_ms])
    censored = Samples.of([value * MS for value in unknown_ms])
    collector.on_interval(interval(0, effective={0: effective}, censored={0: censored}))
    (row,) = written(collector).rows
    assert row["effective_p99_ms"] == pytest.approx(expected_ms, rel=0.001)
    assert row["effective_at_least"] == at_least


def test_a_latency_belongs_to_the_second_in_which_the_tick_was_due(collector: Collector) -> None:
    collector.on_interval(interval(0))
    collector.on_interval(interval(5, effective={0: Samples.of([5000 * MS])}))
    rows = {row["t_s"]: row for row in written(collector).rows}
    assert rows[0]["effective_p99_ms"] == pytest.approx(5000, rel=0.001)
    assert rows[5]["effective_p99_ms"] is None


def test_rows_are_there_while_the_run_goes_on(collector: Collector) -> None:
    for second in range(4):
        collector.on_interval(interval(second))
        collector.on_cpu(second, CpuShares(nginx=0.1, generator=0.2, foreign=0.0, steal=0.0))
        collector.write_until(second)
    run = Run.load(collector.writer.directory)
    assert run.column("t_s") == [0, 1, 2]
    assert run.column("nginx_cpu") == [0.1] * 3
    collector.writer.close()


def told_of(second: int, *, cut: bool = False) -> list[Interval]:
    """What a generator tells of a second, in order: all at once, or in two parts."""

    def part(number: int, useful: float | None) -> Interval:
        group = SomeClients(clients=10, connected=9 - number, useful=useful, attempts=second, limited=1)
        earlier = {due: Samples.of([(second - due) * 1000 * MS + number * MS]) for due in range(second + 1)}
        return interval(
            second,
            connected=9 - number,
            useful=useful,
            attempts=second,
            attempts_per_slot=(second,),
            outcomes={"joined": 1, "limited": 1},
            disconnects={"stale": number},
            shared_ips={5: group},
            fanout=Samples.of([(second + number + 1) * MS] * 3),
            staleness=Samples.of([(second + number + 1) * 100 * MS] * 10),
            stale_clients=1.0,
            effective=earlier,
            group_ticks={5: {due: TickCounts(in_time=1, skipped=number) for due in earlier}},
            censored={0: Samples.of([second * 1000 * MS])},
            loop_lag=Samples.of([(7 - 5 * number) * MS] * 10),
            retry_late=Samples.of([(7 - 5 * number) * MS] * 10),
        )

    return [part(0, None), part(1, 8.0)] if cut else [part(1, 8.0)]


def played_into(collector: Collector, told: list[Interval | int], *, cpu_of: int) -> Run:
    """Takes what is told, in that order; a number stands for what was written by then, as time goes on."""
    for what in told:
        if isinstance(what, Interval):
            collector.on_interval(what)
        else:
            collector.write_until(what)
    for second in range(cpu_of):
        collector.on_cpu(second, CpuShares(nginx=0.1, generator=0.2, foreign=0.0, steal=0.0))
    return written(collector, end=8)


LATE: dict[str, tuple[int, ...]] = {
    "in time": (0, 0, 0, 0, 0, 0),
    "one second is a second late": (0, 0, 0, 1, 0, 0),
    "one second is ten seconds late": (0, 0, 10, 0, 0, 0),
    "all are late, and by different times": (1, 10, 3, 2, 5, 4),
    "the last one comes after the end": (0, 0, 0, 0, 0, 10),
    "a worker that is slow holds all of them up": (5, 5, 5, 5, 5, 5),
}


@pytest.mark.parametrize("late_s", LATE.values(), ids=LATE)
@pytest.mark.parametrize("cut", [None, 0, 3, 5], ids=lambda cut: f"cut {cut}")
def test_a_second_is_written_whole_and_once_however_late_it_comes(
    collector: Collector, late_s: tuple[int, ...], cut: int | None
) -> None:
    for now_s in range(20):
        collector.on_cpu(now_s, CpuShares(nginx=0.1, generator=0.2, foreign=0.0, steal=0.0))
        for second, late in enumerate(late_s):
            parts = told_of(second, cut=second == cut)
            for number, part in enumerate(parts):
                # The second part is a second later still.
                if second + late + number * 1 == now_s:
                    collector.on_interval(part)
        collector.write_until(now_s - 1)
    run = written(collector, end=6)
    assert run.column("t_s") == [*range(6)]
    assert run.column("useful") == [8.0] * 6
    assert [row["t_s"] for row in run.shared_ips] == [*range(6)]
    for second, row in enumerate(run.shared_ips):
        times = 2 if second == cut else 1
        assert (row["connected"], row["useful"], row["attempts"], row["limited"]) == (
            *(8, 8, second * times, times),
        )
        told = sum(2 if later == cut else 1 for later in range(second, 6))
        assert (row["ticks_in_time"], row["ticks_skipped"]) == (told, 6 - second)
    for second, row in enumerate(run.rows):
        times = 2 if second == cut else 1
        histograms = {tag: run.histograms[tag].get(second) for tag in ("fanout", "staleness")}
        assert {tag: found and found.total for tag, found in histograms.items()} == {
            "fanout": 3 * times,
            "staleness": 10 * times,
        }
        assert row["fanout_p99_ms"] == pytest.approx(second + 2, rel=0.001)
        assert row["joined"] == times
        # A lag in either part is a lag of the second.
        lag_ms = 7 if second == cut else 2
        for name in ("generator_lag_p99_ms", "retry_late_p99_ms"):
            assert row[name] == pytest.approx(lag_ms, rel=0.001)
        later = sum(2 if due == cut else 1 for due in range(second, 6))
        assert run.histograms["effective"][second].total == later
    hlog = (run.directory / "latency.hlog").read_text(encoding="utf-8")
    starts = [line.split(",")[:2] for line in hlog.splitlines() if line.startswith("Tag=")]
    assert len(starts) == len({tuple(start) for start in starts})


@settings(max_examples=40, deadline=None)
@given(
    st.permutations(range(6)),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 9)), max_size=6),
    st.sampled_from([None, 2, 5]),
)
def test_any_order_of_arrival_leaves_the_same_run_directory(
    order: list[int], writing: list[tuple[int, int]], cut: int | None
) -> None:
    def files(seconds: list[int], writing: list[tuple[int, int]]) -> dict[str, bytes]:
        told: list[Interval | int] = [one for second in seconds for one in told_of(second, cut=second == cut)]
        for place, until in writing:
            told.insert(place, until)
        with TemporaryDirectory() as folder:
            run = played_into(Collector(written_to(Path(folder)), epoch_ns=0), told, cpu_of=8)
            # The process and its paths are in run.json.
            return {
                path.name: path.read_bytes() for path in run.directory.iterdir() if path.name != "run.json"
            }

    assert files(order, writing) == files([*range(6)], [])


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(5)), st.permutations(range(5)), st.integers(0, 6))
def test_lines_of_pods_and_sidecars_may_come_in_any_order(
    pods: list[int], sidecars: list[int], until: int
) -> None:
    def tables(pods: list[int], sidecars: list[int], until: int) -> list[object]:
        with TemporaryDirectory() as folder:
            collector = Collector(written_to(Path(folder)), epoch_ns=0)
            for place, (pod, sidecar) in enumerate(zip(pods, sidecars, strict=True)):
                collector.on_pod(place % 2, pod_line(pod, ticks_sent=pod))
                collector.on_sidecar(
                    0,
                    SidecarLine(
                        t_ns=(sidecar + 1) * SECOND_NS,
                        span_ns=SECOND_NS,
                        cpu_ns=sidecar,
                        rss_bytes=10**6,
                        counts={"retries": sidecar},
                    ),
                )
                if place == 3:
                    collector.write_until(until)
            run = written(collector, end=5)
            return [
                [row["ticks_sent"] for row in run.rows],
                [(row["t_s"], row["ticks_sent"]) for row in run.pods],
                run.sidecars,
            ]

    assert tables(pods, sidecars, until) == tables([*range(5)], [*range(5)], 0)


def test_a_second_that_never_comes_leaves_its_row_to_the_others(collector: Collector) -> None:
    for second in (0, 1, 3):
        collector.on_interval(told_of(second)[0])
    for second in range(4):
        collector.on_cpu(second, CpuShares(nginx=0.1, generator=0.2, foreign=0.0, steal=0.0))
        collector.write_until(second)
    run = written(collector, end=4)
    assert run.column("nginx_cpu") == [0.1] * 4
    assert run.column("useful") == [8, 8, None, 8]
    assert sorted(run.histograms["fanout"]) == [0, 1, 3]
    assert [(row["t_s"], row["clients"], row["ticks_in_time"]) for row in run.shared_ips] == [
        *((0, 10, 3), (1, 10, 2), (2, None, 1), (3, 10, 1)),
    ]


def test_what_comes_after_the_end_still_tells_of_the_seconds_before_it(collector: Collector) -> None:
    for second in random.Random(3).sample(range(7), 7):
        collector.on_interval(told_of(second)[0])
    run = written(collector, end=4)
    assert run.column("t_s") == [0, 1, 2, 3]
    assert [run.histograms["effective"][second].total for second in range(4)] == [7, 6, 5, 4]
    assert {max(run.histograms[tag], default=0) for tag in run.histograms} == {0, 3}


def test_the_latest_second_is_the_newest_one_not_the_one_that_came_last(collector: Collector) -> None:
    for second in (0, 2, 1):
        collector.on_interval(interval(second))
    assert collector.latest is not None
    assert collector.latest.second == 2


def test_a_second_of_which_nothing_is_known_is_an_empty_row(collector: Collector) -> None:
    collector.on_interval(interval(0))
    assert collector.row(0)["clients"] == 10
    assert collector.row(1) == {}
    assert written(collector).column("t_s") == [0]


def test_seconds_after_the_end_are_not_written(collector: Collector) -> None:
    for second in range(6):
        collector.on_interval(interval(second))
    assert written(collector, end=3).column("t_s") == [0, 1, 2]


def test_refusals_that_nginx_counted_are_added_at_the_end(collector: Collector) -> None:
    collector.on_interval(interval(0, outcomes={"limited": 4}))
    collector.finish(10, {0: 4})
    collector.writer.close()
    (row,) = Run.load(collector.writer.directory).rows
    assert row["limited"] == row["nginx_limited"] == 4


def test_clients_of_a_process_that_died_are_still_clients(collector: Collector) -> None:
    collector.on_interval(interval(3, clients=50, connected=50, missing=50, reference="first receipt"))
    row = collector.row(3)
    assert (row["clients"], row["connected"], row["missing"]) == (100, 50, 50)
    assert collector.writer.info.reference == "first receipt"


def test_both_figures_of_the_fan_out_are_written_and_read_back(collector: Collector) -> None:
    fits = (FeedFit(stream="a:1", ticks=40, rate_hz=5.0, spread_ms=0.4),)
    collector.on_interval(interval(0, ticks=2, fanout=Samples.of([3 * MS, 5 * MS]), reference="due"))
    for second, part in ((1, [130 * MS]), (1, [140 * MS, 150 * MS])):
        collector.on_interval(
            interval(
                second,
                ticks=len(part),
                fanout=Samples.of(part),
                fanout_by_stamp=Samples.of([ns - 127 * MS for ns in part]),
                stamped=len(part) - 1,
                reference="schedule",
                fits=fits,
            )
        )
    collector.writer.save()
    run = written(collector)
    assert (run.info.reference, run.info.feed_fits) == ("schedule", fits)
    before, after = run.rows
    assert (before["fanout_by_stamp_p50_ms"], before["stamped"]) == (None, None)
    assert after["fanout_p50_ms"] == pytest.approx(140, rel=0.001)
    assert after["stamped"] == 1
    by_stamp = [after[f"fanout_by_stamp_{name}_ms"] for name in ("p50", "p99", "max")]
    assert by_stamp == pytest.approx([13, 23, 23], rel=0.01)
    assert {second: found.total for second, found in run.histograms["fanout_by_stamp"].items()} == {1: 3}


def test_what_became_of_workers_is_an_event_of_its_second(collector: Collector) -> None:
    collector.zero = 4
    changes = (WorkerChange("host_a", "lost", 31), WorkerChange("host_b", "joined"))
    collector.on_interval(interval(9, worker_changes=changes))
    assert written(collector).events == (
        {"t_s": 5, "event": "worker_lost", "worker": "host_a", "clients": 31},
        {"t_s": 5, "event": "worker_joined", "worker": "host_b", "clients": 0},
    )


def test_a_wall_clock_that_is_set_is_an_event_of_its_second(collector: Collector) -> None:
    collector.zero = 4
    steps = (ClockStep("host_a", 1_500_000_000), ClockStep("", -20_000_000))
    collector.on_interval(interval(9, clock_steps=steps))
    assert written(collector).events == (
        {"t_s": 5, "event": "clock_set", "process": "host_a", "by_ms": 1_500.0},
        {"t_s": 5, "event": "clock_set", "process": "load generator", "by_ms": -20.0},
    )


def test_the_clock_of_every_process_is_kept(collector: Collector) -> None:
    host, a, b = (ClockOffset(process=name, offset_ns=5, error_ns=3) for name in ("a host", "b", "c"))
    info = collector.writer.info
    info.clocks = (host,)
    collector.on_interval(interval(0, clocks=(b,)))
    collector.on_interval(interval(1, clocks=(a,)))
    collector.on_interval(interval(2))
    assert list(info.clocks) == [host, a, b]


def test_where_nginx_is_not_ours_its_refusals_are_not_known(collector: Collector) -> None:
    collector.on_interval(interval(3))
    collector.finish(5, None)
    collector.writer.close()
    (row,) = Run.load(collector.writer.directory).rows
    assert row["nginx_limited"] is None


def test_clients_have_rows_by_how_many_share_an_ip(collector: Collector) -> None:
    group = SomeClients(clients=40, connected=30, useful=29.5, attempts=7, limited=2)
    collector.on_interval(interval(3, shared_ips={20: group}))
    collector.write_until(4)
    collector.writer.close()
    (row,) = Run.load(collector.writer.directory).shared_ips
    assert (row["t_s"], row["clients_per_ip"], row["useful"]) == (3 - collector.zero, 20, 29.5)


def test_ticks_have_columns_by_how_many_share_an_ip_however_late_they_come(collector: Collector) -> None:
    alone = SomeClients(clients=60, connected=60, useful=60.0, attempts=0, limited=0)
    shared = SomeClients(clients=40, connected=0, useful=0.0, attempts=7, limited=2)
    in_time = {1: {3: TickCounts(in_time=300)}}
    collector.on_interval(interval(3, shared_ips={1: alone, 40: shared}, group_ticks=in_time))
    collector.write_until(4)
    so_far = Run.load(collector.writer.directory).shared_ips
    assert [row["ticks_in_time"] for row in so_far] == [300, None]
    late = {40: {3: TickCounts(late=190, never=10, skipped=180)}}
    collector.on_interval(interval(9, group_ticks=late))
    rows = written(collector).shared_ips
    columns = ("clients_per_ip", "ticks_in_time", "ticks_late", "ticks_never", "ticks_skipped")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        (1, 300, 0, 0, 0),
        (40, 0, 190, 10, 180),
    ]


def test_a_fleet_with_groups_has_rows_by_group_and_another_one_has_no_such_file(collector: Collector) -> None:
    web = SomeClients(clients=60, connected=60, useful=60.0, attempts=1, limited=0)
    old = SomeClients(clients=40, connected=0, useful=0.0, attempts=7, limited=2, failed=7, gave_up=3)
    collector.on_interval(interval(2, shared_ips={1: web}))
    collector.write_until(3)
    table = collector.writer.directory / "groups.csv"
    assert not table.exists()
    ticks = {0: {3: TickCounts(in_time=300)}}
    collector.on_interval(interval(3, fleet_groups={0: web, 1: old}, fleet_group_ticks=ticks))
    collector.write_until(4)
    columns = ("group", "clients", "attempts", "limited", "failed", "gave_up", "ticks_in_time")
    for rows in (Run.load(collector.writer.directory).groups, written(collector).groups):
        assert [tuple(row[name] for name in columns) for row in rows] == [
            (0, 60, 1, 0, 0, 0, 300),
            (1, 40, 7, 2, 7, 3, None),
        ]


def test_each_group_has_latencies_of_its_own_in_the_run_directory(collector: Collector) -> None:
    of_web = GroupTimes(
        effective={2: Samples.of([20 * MS] * 9)},
        censored={3: Samples.of([50 * MS])},
        staleness=Samples.of([5 * MS] * 10),
    )
    collector.on_interval(interval(3, fleet_group_times={1: of_web}))
    found = written(collector).group_histograms
    sizes = {
        tag: {second: each.total for second, each in seconds.items() if each.total}
        for tag, seconds in found[1].items()
    }
    zero = collector.zero
    assert list(found) == [1]
    assert sizes == {"effective": {2 - zero: 9}, "censored": {3 - zero: 1}, "staleness": {3 - zero: 10}}


def test_a_sender_that_does_not_count_ticks_by_ip_leaves_their_columns_empty(collector: Collector) -> None:
    group = SomeClients(clients=40, connected=30, useful=29.5, attempts=7, limited=2)
    collector.on_interval(interval(3, shared_ips={20: group}))
    (row,) = written(collector).shared_ips
    assert [row[name] for name in ("attempts", "ticks_in_time", "ticks_never")] == [7, None, None]


def test_a_percentile_over_several_seconds_is_known_while_the_run_goes_on(collector: Collector) -> None:
    assert collector.percentile_ms("fanout", 99, 0, 5) is None
    for second in (1, 2):
        collector.on_interval(interval(second, fanout=Samples.of([second * 10 * MS] * 100)))
    assert collector.percentile_ms("fanout", 50, 0, 5) == pytest.approx(10, rel=0.001)
    assert collector.percentile_ms("fanout", 99, 0, 5) == pytest.approx(20, rel=0.001)
    assert collector.percentile_ms("fanout", 99, 1, 2) == pytest.approx(10, rel=0.001)
    assert collector.percentile_ms("effective", 99, 0, 5) is None


def test_a_generator_elsewhere_tells_the_cpu_of_its_busiest_process_itself(tmp_path: Path) -> None:
    collector = Collector(written_to(tmp_path), epoch_ns=0, cpu_in_intervals=True)
    collector.on_cpu(0, CpuShares(nginx=0.1, generator=None, foreign=None, steal=0.0))
    # Finalising ends a second early; its two parts are one row.
    collector.on_interval(interval(0, cpu_ns=800 * MS, busiest_cpu_ns=600 * MS, processes=2))
    collector.on_interval(interval(0, cpu_ns=200 * MS, busiest_cpu_ns=100 * MS, processes=2))
    (row,) = written(collector).rows
    assert row["generator_cpu"] == 0.7
    assert row["foreign_cpu"] is None


def test_what_others_had_of_a_parts_own_cores_is_told_where_it_has_some(collector: Collector) -> None:
    shares = CpuShares(nginx=0.1, generator=0.2, foreign=0.5, steal=0.3)
    collector.on_cpu(0, shares)
    of_cores = {"stack": CoreShares(0.4, 0.2), "generator_core": CoreShares(0.1, 0.05)}
    collector.on_cpu(1, msgspec.structs.replace(shares, **of_cores))
    columns = ("stack_foreign_cpu", "stack_steal", "generator_foreign_cpu", "generator_steal")
    assert [[collector.row(second).get(name) for name in columns] for second in (0, 1)] == [
        [None] * 4,
        [0.4, 0.2, 0.1, 0.05],
    ]


def test_a_quota_that_held_a_pod_up_is_told_by_pod(collector: Collector) -> None:
    collector.on_interval(interval(0))
    collector.on_pod(0, pod_line(0, throttled_ns=SECOND_NS // 4))
    collector.on_pod(0, pod_line(0, throttled_ns=0))
    (row,) = written(collector).pods
    assert row["throttled"] == 0.125
