"""Several generator processes report as one would."""

import random
from typing import Any

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway_stub.feed_schedule import FeedSchedule
from reports.rundir.schema import ClockOffset, FeedFit
from scenarios.clients.protocol.schedule import SharedSchedule
from scenarios.clients.protocol.streams import Streams
from scenarios.clients.recorder import SECOND_NS, Recorder
from scenarios.wire.interval import ClockStep, Interval, Samples, SomeClients, WorkerChange
from scenarios.wire.merge import Merger, merge, over_both
from scenarios.wire.tick_counts import GroupTicks, TickCounts
from tests.scenarios.clients.test_recorder import EPOCH_NS, RATE_HZ, deliveries, receive
from tests.support.intervals import MS, interval

CLIENTS = 7


def recorded(
    received: list[tuple[int, int, int]], places: list[int], processes: int, report_after: int
) -> list[Interval]:
    """Two seconds of all clients, of which each is in the process that `places` says."""
    own_index = [places[:client].count(place) for client, place in enumerate(places)]
    recorders = [
        Recorder(EPOCH_NS, SharedSchedule(FeedSchedule.of(EPOCH_NS, RATE_HZ)), grouped=True)
        for _ in range(processes)
    ]
    for client in range(CLIENTS):
        recorders[places[client]].add_client(1 + client % 3, client % 2)
    merger = Merger()

    def report(second: int, now_ns: int) -> None:
        for number, recorder in enumerate(recorders):
            recorder.sample_slot(now_ns)
            merger.add(str(number), recorder.take_interval(second))

    for number, (client, seq, now_ns) in enumerate(received):
        recorder, own = recorders[places[client]], own_index[client]
        receive(recorder, own, seq, now_ns)
        outcome = ("joined", "timeout", "limited")[seq % 3]
        recorder.attempt_began(own, now_ns)
        recorder.attempt_ended(own, outcome, EPOCH_NS, now_ns)
        recorder.joined[own] = outcome == "joined"
        recorder.disconnects["stale"] += seq % 2
        recorder.held_back += seq % 2
        if seq % 2:
            recorder.gave_up_after(own, "timeout")
        recorder.lag_probe(seq * MS)
        recorder.retry_late_ns.append(seq * MS)
        if number == report_after:
            report(0, now_ns)
    end_ns = received[-1][2] + SECOND_NS
    for recorder in recorders:
        recorder.finalise(end_ns)
    report(1, end_ns)
    return merger.ready()


def percentiles(values_us: "np.ndarray[Any, Any]", counts: "np.ndarray[Any, Any]") -> list[int]:
    histogram = HdrHistogram(1, 3_600_000_000, 3)
    for value, count in zip(values_us.tolist(), counts.tolist(), strict=True):
        histogram.record_value(max(1, value), count)
    return [histogram.get_value_at_percentile(percent) for percent in (50, 95, 99, 99.9)]


@settings(max_examples=60, deadline=None)
@given(deliveries(clients=CLIENTS), st.data(), st.sampled_from([2, 5, CLIENTS + 1]), st.integers(0, 20))
def test_a_stream_split_over_processes_is_reported_as_by_one(
    received: list[tuple[int, int, int]], data: st.DataObject, processes: int, report_after: int
) -> None:
    place = st.integers(0, processes - 1)
    places = data.draw(st.lists(place, min_size=CLIENTS, max_size=CLIENTS))
    alone = recorded(received, [0] * CLIENTS, 1, report_after)
    merged = recorded(received, places, processes, report_after)
    assert [replace(each, processes=1) for each in merged] == alone
    assert {each.processes for each in merged} == {processes}
    assert [each.staleness for each in merged] == [each.staleness for each in alone]
    assert sum(each.staleness.arrays()[1].sum() for each in merged) == CLIENTS * len(merged)


def stream(seconds: float) -> list[tuple[int, int, int]]:
    """A stormy feed: every client gets its ticks late, and is away for some of them."""
    rng = random.Random(7)
    received = []
    for client in range(CLIENTS):
        for seq in range(int(seconds * RATE_HZ)):
            if (seq + 3 * client) % 11 > 3:
                late_ns = int(rng.lognormvariate(17, 1.2))
                received.append((client, seq, EPOCH_NS + int(seq * SECOND_NS / RATE_HZ) + late_ns))
    return sorted(received, key=lambda delivery: delivery[2])


@pytest.mark.parametrize(("workers", "still_ms"), [(2, 300), (8, 300), (64, 300), (64, 2_500)])
def test_a_process_that_stood_still_does_not_disappear_among_those_that_did_not(
    workers: int, still_ms: int
) -> None:
    parts = []
    for worker in range(workers):
        recorder = Recorder(0, SharedSchedule(FeedSchedule.of(0, 5.0)))
        for _ in range(40):
            recorder.lag_probe(MS)
        recorder.lag_probe(0 if worker else still_ms * MS)
        parts.append(recorder.take_interval(0))
    both_halves = (merge(parts[: workers // 2]), merge(parts[workers // 2 :]))
    for merged in (merge(parts), merge(both_halves), merge(reversed(both_halves))):
        assert merged.lag_p99_ms == pytest.approx(still_ms, rel=0.1)


@pytest.mark.parametrize("workers", [2, 5])
def test_one_two_and_five_workers_give_the_same_percentiles(workers: int) -> None:
    received = stream(20)
    half = len(received) // 2
    alone = recorded(received, [0] * CLIENTS, 1, half)
    split = recorded(received, [(3 * client) % workers for client in range(CLIENTS)], workers, half)
    for kind in ("fanout", "staleness", "loop_lag", "retry_late"):
        seconds = [[percentiles(*getattr(each, kind).arrays()) for each in run] for run in (alone, split)]
        assert seconds[0] == seconds[1]
    for one, many in zip(alone, split, strict=True):
        assert {second: percentiles(*samples.arrays()) for second, samples in one.effective.items()} == {
            second: percentiles(*samples.arrays()) for second, samples in many.effective.items()
        }
        assert (one.ticks, one.missed, one.skipped, one.attempts, one.outcomes) == (
            *(many.ticks, many.missed, many.skipped, many.attempts, many.outcomes),
        )
    assert sum(each.ticks for each in alone) == len(received)
    assert sum(each.missed for each in alone) > 100


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 10**11), max_size=300), min_size=1, max_size=5))
def test_percentiles_of_merged_seconds_are_those_of_all_values(parts: list[list[int]]) -> None:
    merged = merge([interval(0, fanout=Samples.of(part)) for part in parts]).fanout
    values_us = np.array([ns // 1000 for part in parts for ns in part], np.int64)
    assert percentiles(*merged.arrays()) == percentiles(values_us, np.ones_like(values_us))


def test_what_is_no_histogram_is_added_too() -> None:
    one = interval(
        4,
        useful=3.5,
        attempts=3,
        attempts_per_slot=(1, 2),
        first_attempt_ns=50,
        last_join_ns=90,
        held_back=1,
        skipped={2: 3, 4: 1},
        group_ticks={1: {2: TickCounts(late=3, skipped=3), 4: TickCounts(in_time=9, skipped=1)}},
        gave_up_by_reason={"timeout": 3, "connect_error": 1},
        staleness=Samples.of([7 * MS]),
        stale_clients=1.5,
        outcomes={"joined": 2, "limited": 1},
        shared_ips={1: SomeClients(clients=10, connected=9, useful=3.5, attempts=3, limited=1)},
        reference=None,
        cpu_ns=5,
        busiest_cpu_ns=5,
        rss_bytes=70,
        empty_rss_bytes=40,
        missing=2,
    )
    other = replace(
        one,
        attempts=9,
        attempts_per_slot=(4, 4, 1),
        first_attempt_ns=40,
        last_join_ns=None,
        skipped={4: 5},
        group_ticks={1: {4: TickCounts(in_time=1, never=2)}, 6: {4: TickCounts(late=5, skipped=5)}},
        unnumbered=True,
        outcomes={"joined": 9},
        shared_ips={
            1: SomeClients(clients=8, connected=7, useful=3.0, attempts=6, limited=2),
            6: SomeClients(clients=2, connected=2, useful=0.5, attempts=3, limited=0),
        },
        reference="due",
    )
    assert merge([one, other]) == replace(
        one,
        clients=20,
        connected=20,
        useful=7.0,
        attempts=12,
        attempts_per_slot=(5, 6, 1),
        first_attempt_ns=40,
        held_back=2,
        skipped={2: 3, 4: 6},
        group_ticks={
            1: {2: TickCounts(late=3, skipped=3), 4: TickCounts(in_time=10, never=2, skipped=1)},
            6: {4: TickCounts(late=5, skipped=5)},
        },
        unnumbered=True,
        gave_up_by_reason={"timeout": 6, "connect_error": 2},
        staleness=Samples.of([7 * MS] * 2),
        stale_clients=3.0,
        outcomes={"joined": 11, "limited": 1},
        shared_ips={
            1: SomeClients(clients=18, connected=16, useful=6.5, attempts=9, limited=3),
            6: SomeClients(clients=2, connected=2, useful=0.5, attempts=3, limited=0),
        },
        loop_lag=Samples.of([MS] * 200),
        reference="due",
        cpu_ns=10,
        busiest_cpu_ns=5,
        rss_bytes=140,
        empty_rss_bytes=80,
        processes=2,
        missing=4,
    )


def fitted(stream: str, ticks: int, problem: str = "") -> FeedFit:
    return FeedFit(stream=stream, ticks=ticks, rate_hz=5.0, spread_ms=1.0, problem=problem)


def test_both_figures_and_the_schedules_of_several_processes_are_brought_together() -> None:
    one = interval(
        4,
        ticks=3,
        fanout=Samples.of([100 * MS, 200 * MS, 7 * MS]),
        fanout_by_stamp=Samples.of([MS, 2 * MS, 7 * MS]),
        stamped=1,
        reference="due",
        fits=(fitted("a:1", 20), fitted("b:2", 0, "too few ticks")),
    )
    other = replace(
        one,
        fanout_by_stamp=Samples.of([MS]),
        stamped=0,
        reference="schedule",
        fits=(fitted("b:2", 40), fitted("c:3", 30)),
    )
    merged = merge([one, other])
    assert merged.fanout_by_stamp == Samples.of([MS, MS, 2 * MS, 7 * MS])
    assert (merged.stamped, merged.reference) == (1, "schedule")
    assert merged.fits == (fitted("a:1", 20), fitted("b:2", 40), fitted("c:3", 30))


def test_processes_that_see_the_same_ticks_count_from_the_same_schedule() -> None:
    """Two processes with other clients, whose ticks arrive at other times."""
    period_ns = int(SECOND_NS / RATE_HZ)
    rng = random.Random(1)
    stamps = [EPOCH_NS + seq * period_ns + rng.randint(0, MS) for seq in range(50)]
    stamps += [EPOCH_NS + seq * period_ns + 127 * MS for seq in range(50, 60)]
    merger = Merger()
    for name, after_ms in (("a", 2), ("b", 9)):
        streams = Streams(RATE_HZ, fitted=True)
        recorder = Recorder(EPOCH_NS, streams)
        recorder.add_client()
        for seq, stamp_ns in enumerate(stamps):
            if seq == 50:
                streams.end_calm()
                recorder.take_interval(0)
            number, due_ns = streams.learn(seq, stamp_ns)
            recorder.tick_out_of_order(0, number, due_ns, stamp_ns + after_ms * MS)
        merger.add(name, replace(recorder.take_interval(1), fits=streams.fits))
    (whole,) = merger.ready()
    assert whole.fanout_by_stamp == Samples.of([2 * MS] * 10 + [9 * MS] * 10)
    by_schedule = whole.fanout.arrays()[0] / 1000
    assert by_schedule.min() == pytest.approx(129, abs=1)
    assert by_schedule.max() == pytest.approx(136, abs=1)
    assert (whole.stamped, len(whole.fits)) == (0, 1)


def test_what_one_part_does_not_know_is_not_known_of_the_whole() -> None:
    parts = [interval(0, useful=3.0, stale_clients=2.0), interval(0, useful=None, stale_clients=None)]
    assert (merge(parts).useful, merge(parts).stale_clients) == (None, None)


def test_a_second_waits_until_every_process_has_reported_it_or_a_later_one() -> None:
    merger = Merger()
    for process, second in (("a", 0), ("b", 0), ("a", 1), ("a", 2)):
        merger.add(process, interval(second))
    assert [(each.second, each.processes) for each in merger.ready()] == [(0, 2)]
    merger.add("b", interval(2))
    assert [(each.second, each.processes) for each in merger.ready()] == [(1, 2), (2, 2)]
    assert merger.ready() == []


SHARED = SomeClients(clients=10, connected=8, useful=7.0, attempts=3, limited=0)
PASSED_OVER: dict[str, tuple[str, list[tuple[int, int, int, float | None, float | None, int]]]] = {
    "by none": ("a0 b0 a1 b1", [(0, 20, 16, 14, 4, 6), (1, 20, 16, 14, 4, 6)]),
    "by one": (
        "a0 b0 a1 a2 b2",
        [(0, 20, 16, 14, 4, 6), (1, 20, 16, None, None, 3), (2, 20, 16, 14, 4, 6)],
    ),
    "two by one": (
        "a0 b0 a1 a2 b3 a3",
        [
            (0, 20, 16, 14, 4, 6),
            (1, 20, 16, None, None, 3),
            (2, 20, 16, None, None, 3),
            (3, 20, 16, 14, 4, 6),
        ],
    ),
    "by one that had not told anything yet": ("a0 b1 a1", [(0, 10, 8, 7, 2, 3), (1, 20, 16, 14, 4, 6)]),
    "by one that is back after it was out of reach": (
        "a0 b0 -b a1 +b a2 b3 a3",
        [
            (0, 20, 16, 14, 4, 6),
            (1, 10, 8, 7, 2, 3),
            (2, 20, 16, None, None, 3),
            (3, 20, 16, 14, 4, 6),
        ],
    ),
}
"""Process and second of each report (-b: b died, +b: it is there again), and of each second of the whole:
(second, clients, connected, useful, stale clients, attempts)."""


@pytest.mark.parametrize(("steps", "wholes"), PASSED_OVER.values(), ids=PASSED_OVER)
def test_clients_of_a_process_that_passed_a_second_over_are_there_though_nobody_knows_how_many_are_served(
    steps: str, wholes: list[tuple[int, int, int, float | None, float | None, int]]
) -> None:
    merger = Merger()
    merger.living(["a", "b"])
    found = []
    for step in steps.split():
        if step in {"-b", "+b"}:
            merger.living(["a"] if step == "-b" else ["a", "b"])
        else:
            told = interval(
                int(step[1]),
                connected=8,
                useful=7.0,
                stale_clients=2.0,
                attempts=3,
                shared_ips={1: SHARED},
                fleet_groups={0: SHARED},
            )
            merger.add(step[0], told)
        found += merger.ready()
    assert [
        (each.second, each.clients, each.connected, each.useful, each.stale_clients, each.attempts)
        for each in found
    ] == wholes
    for each in found:
        for parts in (each.shared_ips[1], each.fleet_groups[0]):
            assert (parts.clients, parts.connected, parts.useful, parts.attempts) == (
                *(each.clients, each.connected, each.useful, each.attempts),
            )


def test_a_second_that_was_cut_may_be_passed_over_as_a_whole() -> None:
    merger = Merger()
    merger.living(["a", "b"])
    found = []
    for process, second in (("a", 0), ("b", 0), ("a", 1), ("b", 2), ("a", 1), ("a", 2)):
        merger.add(process, interval(second, attempts=1))
        found += [(each.second, each.clients, each.useful, each.attempts) for each in merger.ready()]
    assert found == [(0, 20, 20, 2), (1, 20, None, 1), (1, 20, None, 1), (2, 20, 20, 2)]


def test_a_living_process_is_waited_for_from_the_beginning() -> None:
    merger = Merger()
    merger.living(["a", "b"])
    merger.add("a", interval(0))
    assert merger.ready() == []
    merger.add("b", interval(0))
    assert [each.clients for each in merger.ready()] == [20]


def test_when_a_process_dies_the_others_go_on_and_its_clients_are_missing() -> None:
    merger = Merger()
    for process, clients in (("a", 10), ("b", 30), ("c", 5)):
        merger.add(process, interval(0, clients=clients))
    assert merger.living(["a", "b", "c"]) == {}
    assert [(each.clients, each.missing) for each in merger.ready()] == [(45, 0)]
    merger.add("b", interval(1, clients=31, attempts=1))
    merger.add("a", interval(1, attempts=2))
    merger.add("a", interval(2))
    merger.add("c", interval(2, clients=5))
    assert merger.living(["a", "c"]) == {"b": 31}
    assert merger.living(["a", "c"]) == {}
    assert [(each.second, each.attempts, each.missing) for each in merger.ready()] == [(1, 3, 0), (2, 0, 31)]
    assert merger.living([]) == {"a": 10, "c": 5}
    assert merger.ready() == []


def test_what_became_of_workers_is_told_once_with_the_next_second() -> None:
    merger = Merger()
    for process in ("a", "b"):
        merger.add(process, interval(0, clients=4))
    assert [each.worker_changes for each in merger.ready()] == [()]
    merger.joined("c")
    merger.living(["a"])
    merger.add("a", interval(1))
    merger.add("a", interval(2))
    lost, joined = WorkerChange("b", "lost", 4), WorkerChange("c", "joined")
    assert [each.worker_changes for each in merger.ready()] == [(joined, lost), ()]


def test_every_process_has_its_own_clock() -> None:
    a, b = (ClockOffset(process=name, offset_ns=5, error_ns=3) for name in "ab")
    assert merge([interval(0, clocks=(b,)), interval(0, clocks=(a,))]).clocks == (a, b)
    merger = Merger()
    merger.add("a", interval(0, clocks=(a,)))
    merger.add("a", interval(0, clocks=(a,)))
    assert [each.clocks for each in merger.ready()] == [(a,)]


def test_a_process_that_was_only_out_of_reach_is_not_missing_any_more() -> None:
    merger = Merger()
    handed_out = []
    for second, living in enumerate((["a", "b"], ["a"], ["a", "b"])):
        merger.living(living)
        for process in living:
            merger.add(process, interval(second))
        handed_out += [(each.clients, each.missing) for each in merger.ready()]
    assert handed_out == [(20, 0), (10, 10), (20, 0)]


NEW = SomeClients(clients=5, connected=0, useful=0.0, attempts=5, limited=2)


def test_two_parts_of_one_second_become_one_before_it_is_handed_out() -> None:
    merger = Merger()
    first = interval(
        0,
        clients=8,
        connected=3,
        useful=2.0,
        stale_clients=5.0,
        attempts=3,
        attempts_per_slot=(1, 2),
        shared_ips={1: SomeClients(clients=8, connected=3, useful=2.0, attempts=3, limited=1)},
        fanout=Samples.of([MS]),
        cpu_ns=4,
        busiest_cpu_ns=4,
        rss_bytes=50,
    )
    second = replace(
        first,
        clients=10,
        connected=9,
        useful=None,
        stale_clients=None,
        attempts=4,
        attempts_per_slot=(4,),
        shared_ips={1: SomeClients(clients=10, connected=9, useful=None, attempts=4, limited=0), 5: NEW},
        rss_bytes=60,
    )
    merger.add("a", first)
    merger.add("a", second)
    (both,) = merger.ready()
    assert (both.clients, both.connected, both.useful, both.rss_bytes, both.processes) == (10, 9, 2, 60, 1)
    assert both.stale_clients == 5
    assert (both.attempts, both.cpu_ns, both.fanout) == (7, 8, Samples.of([MS, MS]))
    assert both.busiest_cpu_ns == 8
    assert both.attempts_per_slot == (1, 2, 4)
    together = SomeClients(clients=10, connected=9, useful=2.0, attempts=7, limited=1)
    assert both.shared_ips == {1: together, 5: NEW}


def test_the_rest_of_a_second_whose_first_part_was_handed_out_is_handed_out_for_all_at_once() -> None:
    merger = Merger()
    handed_out = []
    merger.living(["a", "b"])
    for second, attempts in ((0, 0), (1, 1), (1, 2), (2, 3)):
        for process in ("a", "b"):
            merger.add(process, interval(second, attempts=attempts))
            handed_out += [(each.second, each.clients, each.attempts) for each in merger.ready()]
    assert handed_out[-3:] == [(1, 20, 2), (1, 20, 4), (2, 20, 6)]


@pytest.mark.parametrize(
    ("order", "handed_out"),
    [
        pytest.param("a1 b1 a2 b2", [(2, None, 20), (4, 14, 20)], id="both parts of both come in turn"),
        pytest.param("a1 a2 b1 b2 a9", [(4, None, 20), (2, 14, 20)], id="one is quick"),
        pytest.param("a1 a2 b1 b9", [(4, None, 20)], id="the other one's rest never comes"),
        pytest.param("a1 b1 b2 a9", [(2, None, 20), (2, None, 20)], id="the quick one's rest never comes"),
        pytest.param("a1 b1 a2 a9 b2 b9", [(2, None, 20), (4, 14, 20)], id="one is slow"),
    ],
)
def test_each_part_of_a_second_that_was_cut_tells_of_all_processes(
    order: str, handed_out: list[tuple[int, float | None, int]]
) -> None:
    merger = Merger()
    merger.living(["a", "b"])
    group = SomeClients(clients=10, connected=10, useful=None, attempts=1, limited=0, gave_up=1)
    rest = replace(group, useful=7.0, attempts=2, gave_up=2)
    found = []
    steps = order.split()
    for step in steps:
        process, part = step[0], step[1]
        told = {
            "1": interval(
                4, useful=None, stale_clients=None, attempts=1, shared_ips={1: group}, group_ticks=ticks(1)
            ),
            "2": interval(
                4, useful=7.0, stale_clients=3.0, attempts=2, shared_ips={1: rest}, group_ticks=ticks(2)
            ),
            "9": interval(9),
        }[part]
        merger.add(process, told)
        found += [each for each in merger.ready() if each.second == 4]
    assert [(each.attempts, each.useful, each.clients) for each in found][: len(handed_out)] == handed_out
    assert sum(each.attempts for each in found) == sum(int(step[1]) for step in steps if step[1] != "9")
    for each in found:
        assert (each.shared_ips[1].clients, each.shared_ips[1].attempts) == (20, each.attempts)
        assert each.shared_ips[1].useful == each.useful
        assert each.shared_ips[1].gave_up == each.attempts
        assert each.group_ticks == ticks(each.attempts), "a count is handed out once"


def ticks(in_time: int) -> GroupTicks:
    return {1: {3: TickCounts(in_time=in_time)}}


def test_a_mean_over_both_parts_of_a_second_weighs_them_by_their_points() -> None:
    first = interval(4, useful=2.0, stale_clients=8.0, shared_ips={1: NEW})
    second = interval(4, useful=7.0, stale_clients=3.0, shared_ips={1: replace(NEW, useful=5.0), 9: NEW})
    both = over_both(first, 3, second, 7)
    assert both.useful == pytest.approx(5.5)
    assert both.stale_clients == pytest.approx(4.5)
    assert both.shared_ips == {1: replace(NEW, useful=pytest.approx(3.5)), 9: NEW}
    for useful in (None, 7.0):
        whole = over_both(replace(first, useful=None), 0, replace(second, useful=useful), 10)
        assert whole.useful == useful
    assert over_both(first, 10, replace(second, useful=None), 0).useful == 2


def test_a_wall_clock_that_was_set_is_told_once() -> None:
    a, b = ClockStep("a", 5), ClockStep("b", -7)
    merger = Merger()
    merger.living(["a", "b"])
    merger.add("a", interval(0, clock_steps=(a,)))
    merger.add("a", interval(0))
    merger.add("b", interval(0, clock_steps=(b,)))
    (first,) = merger.ready()
    assert first.clock_steps == (a, b)
    # The rest of a second that was cut in two, of which the other one has none.
    merger.add("b", interval(0))
    merger.add("a", interval(1))
    assert [each.clock_steps for each in merger.ready()] == [()]
