"""Ticks of single groups of clients add up to those of all clients, to the last tick."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_stub.feed_schedule import FeedSchedule
from reports.analysis.delivery import ticks_of
from reports.rundir import latency
from reports.rundir.histograms import Buckets
from reports.rundir.memory import MemoryWriter
from reports.rundir.reader import Run
from reports.rundir.schema import RunInfo
from scenarios.clients.protocol.schedule import Schedule, SharedSchedule
from scenarios.clients.protocol.streams import Streams
from scenarios.clients.recorder import SECOND_NS, Recorder
from scenarios.runner.collector import Collector
from scenarios.scenario.loader import load
from scenarios.simulator.run import Prediction, simulate
from scenarios.wire.interval import Samples
from scenarios.wire.merge import Merger
from scenarios.wire.tick_counts import (
    GroupTicks,
    TickCounts,
    add_groups,
    add_seconds,
    held_ticks,
    never_held_ticks,
    skipped_ticks,
)
from tests.scenarios.clients.test_recorder import EPOCH_NS, RATE_HZ, deliveries, due
from tests.support.group_ticks import assert_groups_add_up
from tests.support.intervals import interval

CLIENTS = 6

counts = st.builds(
    TickCounts,
    in_time=st.integers(0, 99),
    late=st.integers(0, 99),
    never=st.integers(0, 99),
    skipped=st.integers(0, 99),
)
groups = st.dictionaries(
    st.integers(1, 3), st.dictionaries(st.integers(-2, 3), counts, max_size=4), max_size=3
)


@given(st.lists(groups, max_size=4))
def test_groups_are_added_second_by_second(parts: list[GroupTicks]) -> None:
    expected: Counter[tuple[int, int]] = Counter()
    for part in parts:
        for size, seconds in part.items():
            for second, some in seconds.items():
                expected[size, second] += some.late
    found = {
        (size, second): some.late
        for size, seconds in add_groups(parts).items()
        for second, some in seconds.items()
    }
    assert found == dict(expected)
    assert sum(skipped_ticks(add_groups(parts)).values()) == sum(
        some.skipped for part in parts for seconds in part.values() for some in seconds.values()
    )


BOUND_NS = latency.LATE_FROM_US * 1_000
LATENCIES_NS = st.integers(-(10**9), 10**12) | st.integers(BOUND_NS - 3_000, BOUND_NS + 3_000)


@given(st.lists(st.tuples(st.integers(-5, 5) | st.integers(-(10**12), 10**12), LATENCIES_NS), max_size=40))
def test_a_tick_is_in_time_where_the_histogram_says_so(ticks: list[tuple[int, int]]) -> None:
    seconds, late_ns = np.array(ticks, np.int64).reshape(-1, 2).T
    found = held_ticks(seconds, late_ns)
    assert found == add_seconds(held_ticks(seconds[[place]], late_ns[[place]]) for place in range(len(ticks)))
    recorder = Collector(MemoryWriter(info()), epoch_ns=0)
    for second in {second for second, _ in ticks}:
        recorder.on_interval(interval(0, effective={second: Samples.of(late_ns[seconds == second])}))
        expected = ticks_of(latency.total([of_second(recorder, second)]), latency.no_counts())
        assert (found[second].in_time, found[second].late) == (expected.in_time, expected.late)


def of_second(collector: Collector, second: int) -> Buckets:
    return collector.recorded((second, second + 1)).histograms["effective"][second]


def test_a_skipped_tick_is_in_time_or_late_as_well() -> None:
    seconds, late_ns = np.array([0, 0, 1]), np.array([5, 2 * SECOND_NS, 5])
    assert held_ticks(seconds, late_ns, skipped=True) == {
        0: TickCounts(in_time=1, late=1, skipped=2),
        1: TickCounts(in_time=1, skipped=1),
    }


def test_a_tick_that_several_clients_lack_counts_for_each_of_them() -> None:
    assert never_held_ticks(np.array([0, 0, 2, 3]), np.array([3, 4, 1, 0])) == {
        0: TickCounts(never=7),
        2: TickCounts(never=1),
    }
    assert never_held_ticks(np.empty(0, np.int64), np.empty(0, np.int64)) == {}


def info() -> RunInfo:
    return RunInfo(
        scenario={}, arm="a", seed=1, started_utc="", versions={}, machine={}, stability={}, command=[]
    )


def streams() -> Schedule:
    return Streams(RATE_HZ, fitted=False)


def shared() -> Schedule:
    return SharedSchedule(FeedSchedule.of(EPOCH_NS, RATE_HZ))


@pytest.mark.parametrize("schedule", [shared, streams])
@settings(max_examples=60, deadline=None)
@given(
    deliveries(clients=CLIENTS),
    st.lists(st.sampled_from([1, 2, 40]), min_size=CLIENTS, max_size=CLIENTS),
    st.sets(st.integers(0, 24), max_size=4),
    st.sets(st.integers(0, 24), max_size=2),
    st.sampled_from([1, 2, 3]),
)
def test_the_ticks_of_all_groups_are_those_of_all_clients(
    schedule: Callable[[], Schedule],
    received: list[tuple[int, int, int]],
    sizes: list[int],
    reports: set[int],
    ends: set[int],
    processes: int,
) -> None:
    recorders = [Recorder(EPOCH_NS, schedule()) for _ in range(processes)]
    for client, size in enumerate(sizes):
        recorders[client % processes].add_client(size)
    merger, collector = Merger(), Collector(MemoryWriter(info()), epoch_ns=EPOCH_NS)

    def report(now_ns: int) -> None:
        second = (now_ns - EPOCH_NS) // SECOND_NS
        for number, recorder in enumerate(recorders):
            merger.add(str(number), recorder.take_interval(second))
        for each in merger.ready():
            collector.on_interval(each)

    for number, (client, seq, now_ns) in enumerate(received):
        recorder, own = recorders[client % processes], client // processes
        tick, due_ns = recorder.schedule.learn(seq, due(seq))
        recorder.tick_out_of_order(own, tick, due_ns, now_ns)
        if number in ends:
            for each in recorders:
                each.finalise(now_ns)
        if number in reports:
            report(now_ns)
    end_ns = received[-1][2] + 3 * SECOND_NS
    for each in recorders:
        each.finalise(end_ns)
    report(end_ns)
    collector.finish(1_000_000, None)
    assert_groups_add_up(collector.writer.run())  # type: ignore[attr-defined]


def test_so_they_are_in_a_predicted_run(tmp_path: Path) -> None:
    sets = (
        "fleet.clients=60",
        "fleet.clients_per_ip=[{share=0.5, clients_per_ip=1}, {share=0.5, clients_per_ip=10}]",
        "fleet.policy=incident",
        "edge.limit=per-ip-strict",
        "phases.duration_s=24",
        "phases.during_s=4",
        "phases.recovery_window_s=4",
        "phases.rescue_at_s=0",
        "matrix={}",
    )
    simulate(Prediction(scenario=load("mass-drop", sets), directory=tmp_path / "run", arm="arm"))
    run = Run.load(tmp_path / "run")
    assert_groups_add_up(run)
    late = dict.fromkeys((1, 10), 0.0)
    for row in run.shared_ips:
        late[int(row["clients_per_ip"] or 0)] += row["ticks_late"] or 0
    assert late[10] > late[1], "the limit lets one client behind an IP in after the other"
