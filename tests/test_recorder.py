"""What the recorder counts: by hand, against a brute-force oracle, and split over processes."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.clients.messages import Interval, Samples
from scenarios.clients.recorder import (
    LAG_PROBE_NS,
    SECOND_NS,
    SLOT_NS,
    USEFUL_STALENESS_NS,
    FeedSchedule,
    Recorder,
)

EPOCH_NS = 77 * SECOND_NS
RATE_HZ = 5.0
PERIOD_NS = 200_000_000
MS = 1_000_000


def due(seq: int) -> int:
    return EPOCH_NS + seq * PERIOD_NS


def recorder_of(clients: int) -> Recorder:
    recorder = Recorder(clients, EPOCH_NS, RATE_HZ)
    recorder.started = clients
    return recorder


def receive(recorder: Recorder, client: int, seq: int, now_ns: int) -> None:
    """What a client does with a tick: it writes an expected one down itself, and hands over any other."""
    if seq == recorder.held_seq[client] + 1:
        recorder.latency_ns.append(now_ns - due(seq))
        recorder.due_ns.append(due(seq))
        recorder.held_seq[client] = seq
        recorder.held_due_ns[client] = due(seq)
    else:
        recorder.tick_out_of_order(client, seq, due(seq), now_ns)


def test_ticks_in_order_are_as_late_effectively_as_they_are_delivered() -> None:
    recorder = recorder_of(2)
    for seq in range(8):
        for client in range(2):
            receive(recorder, client, seq, due(seq) + (seq + 1) * MS + client)
    interval = recorder.take_interval(0)
    assert (interval.ticks, interval.missed) == (16, 0)
    late = [(seq + 1) * MS + client for seq in range(8) for client in range(2)]
    assert interval.fanout == Samples.of(late)
    assert interval.effective == {0: Samples.of(late[:10]), 1: Samples.of(late[10:])}
    assert interval.censored == {}


def test_a_client_that_was_away_adds_one_value_for_every_tick_it_never_got() -> None:
    recorder = recorder_of(1)
    receive(recorder, 0, 3, due(3) + 2 * MS)
    recorder.take_interval(0)
    receive(recorder, 0, 8, due(8) + 50 * MS)
    interval = recorder.take_interval(1)
    assert (interval.ticks, interval.missed) == (1, 4)
    assert interval.fanout == Samples.of([50 * MS])
    assert interval.effective == {
        0: Samples.of([850 * MS]),
        1: Samples.of([650 * MS, 450 * MS, 250 * MS, 50 * MS]),
    }


def test_the_first_tick_of_all_is_news_and_no_gap() -> None:
    recorder = recorder_of(1)
    receive(recorder, 0, 1_000, due(1_000) + MS)
    interval = recorder.take_interval(200)
    assert (interval.ticks, interval.missed) == (1, 0)
    assert interval.effective == {200: Samples.of([MS])}


def test_an_old_tick_from_a_lagging_pod_is_a_delivery_but_no_news() -> None:
    recorder = recorder_of(1)
    for seq, late_ms in ((5, 10), (4, 300), (5, 300), (6, 10)):
        receive(recorder, 0, seq, due(seq) + late_ms * MS)
    interval = recorder.take_interval(1)
    assert (interval.ticks, interval.missed) == (4, 0)
    assert interval.fanout == Samples.of([10 * MS, 10 * MS, 300 * MS, 300 * MS])
    assert interval.effective == {1: Samples.of([10 * MS, 10 * MS])}
    assert recorder.held_due_ns[0] == due(6)


def test_closing_the_books_censors_what_nobody_knows_yet_and_never_counts_it_again() -> None:
    recorder = recorder_of(3)
    receive(recorder, 0, 4, due(4) + MS)
    receive(recorder, 1, 7, due(7) + MS)
    now_ns = due(7) + 30 * MS
    recorder.close_books(now_ns)
    interval = recorder.take_interval(1)
    assert interval.censored == {1: Samples.of([430 * MS, 230 * MS, 30 * MS])}
    assert interval.missed == 0

    recorder.close_books(now_ns)
    assert recorder.take_interval(2).censored == {}
    recorder.close_books(due(8))
    assert recorder.take_interval(2).censored == {1: Samples.of([0, 0])}
    receive(recorder, 0, 10, due(10) + MS)
    interval = recorder.take_interval(2)
    assert (interval.ticks, interval.missed) == (1, 1)
    assert interval.effective == {1: Samples.of([201 * MS]), 2: Samples.of([MS])}


def test_closing_the_books_makes_nobody_fresher() -> None:
    recorder = recorder_of(1)
    recorder.joined[0] = 1
    receive(recorder, 0, 0, due(0))
    now_ns = due(0) + 2 * SECOND_NS
    recorder.close_books(now_ns)
    recorder.sample_slot(now_ns)
    assert recorder.take_interval(2).useful == 0


def test_books_can_be_closed_before_any_tick_was_seen() -> None:
    recorder = recorder_of(2)
    recorder.close_books(EPOCH_NS + 9 * SECOND_NS)
    assert recorder.take_interval(9).censored == {}


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Client, tick number and time of arrival, in order of time; no tick comes before it is due."""
    received, now_ns = [], EPOCH_NS
    for _ in range(draw(st.integers(1, 25))):
        now_ns += draw(st.sampled_from([0, 1, 999, 7 * MS, 150 * MS, 200 * MS, 900 * MS, 2_345_678_901]))
        newest = (now_ns - EPOCH_NS) // PERIOD_NS
        received.append((draw(st.integers(0, 2)), draw(st.integers(max(0, newest - 6), newest)), now_ns))
    return received


def brute_force(
    received: list[tuple[int, int, int]], end_ns: int
) -> tuple[dict[int, Samples], dict[int, Samples], int]:
    """Effective latencies and lower bounds by due second, and the ticks that were missed.

    For every client and every tick since its first: when did it first hold this one or a later one?
    """
    effective: dict[int, list[int]] = {}
    censored: dict[int, list[int]] = {}
    missed = 0
    for client in {client for client, _, _ in received}:
        own = [(seq, now_ns) for who, seq, now_ns in received if who == client]
        for k in range(own[0][0], (end_ns - EPOCH_NS) // PERIOD_NS + 1):
            second = (due(k) - EPOCH_NS) // SECOND_NS
            first = next(((seq, now_ns) for seq, now_ns in own if seq >= k), None)
            if first is None:
                censored.setdefault(second, []).append(end_ns - due(k))
            else:
                effective.setdefault(second, []).append(first[1] - due(k))
                missed += first[0] > k
    in_samples = [{s: Samples.of(values) for s, values in kind.items()} for kind in (effective, censored)]
    return in_samples[0], in_samples[1], missed


@settings(max_examples=150, deadline=None)
@given(deliveries(), st.integers(0, 3 * SECOND_NS))
def test_effective_latency_equals_brute_force(received: list[tuple[int, int, int]], rest_ns: int) -> None:
    recorder = recorder_of(3)
    for client, seq, now_ns in received:
        receive(recorder, client, seq, now_ns)
    end_ns = received[-1][2] + rest_ns
    recorder.close_books(end_ns)
    interval = recorder.take_interval(0)
    effective, censored, missed = brute_force(received, end_ns)
    assert interval.effective == effective
    assert interval.censored == censored
    assert interval.missed == missed
    assert interval.ticks == len(received)
    assert interval.fanout == Samples.of([now_ns - due(seq) for _, seq, now_ns in received])


def added(parts: Iterable[Samples]) -> Counter[int]:
    """Microseconds and how often, over all parts."""
    total: Counter[int] = Counter()
    for part in parts:
        values, times = part.arrays()
        total.update(dict(zip(values.tolist(), times.tolist(), strict=True)))
    return total


def merged(intervals: list[Interval]) -> dict[str, Any]:
    """The intervals of all processes and seconds as one."""
    seconds = {s for interval in intervals for s in (*interval.effective, *interval.censored)}
    nothing = Samples()
    return {
        "ticks": sum(interval.ticks for interval in intervals),
        "missed": sum(interval.missed for interval in intervals),
        "fanout": added(interval.fanout for interval in intervals),
        "effective": {
            s: added(interval.effective.get(s, nothing) for interval in intervals) for s in seconds
        },
        "censored": {s: added(interval.censored.get(s, nothing) for interval in intervals) for s in seconds},
        "outcomes": sum((Counter(interval.outcomes) for interval in intervals), Counter()),
        "tries": added(s for interval in intervals for s in interval.attempt_durations.values()),
    }


@settings(max_examples=60, deadline=None)
@given(deliveries(), st.sampled_from([1, 2, 5]), st.integers(0, 20))
def test_a_stream_split_over_processes_and_seconds_merges_to_the_same(
    received: list[tuple[int, int, int]], processes: int, report_after: int
) -> None:
    end_ns = received[-1][2] + SECOND_NS
    results = []
    for shares, report_at in ((1, None), (processes, report_after)):
        recorders = [recorder_of(3) for _ in range(shares)]
        intervals = []
        for number, (client, seq, now_ns) in enumerate(received):
            recorder = recorders[client % shares]
            receive(recorder, client, seq, now_ns)
            recorder.attempt_ended("joined" if seq % 2 else "timeout", now_ns - EPOCH_NS)
            if number == report_at:
                intervals += [each.take_interval(0) for each in recorders]
        for recorder in recorders:
            recorder.close_books(end_ns)
            intervals.append(recorder.take_interval(1))
        results.append(merged(intervals))
    assert results[0] == results[1]


@pytest.mark.parametrize("rate_hz", [3.0, 7.0, 333.3], ids=["three", "seven", "a third of a thousand"])
def test_due_times_agree_to_the_nanosecond_whatever_tick_is_the_anchor(rate_hz: float) -> None:
    period_ns = round(1e9 / rate_hz)
    seqs = np.arange(100_000, 100_005)
    for anchor in (0, 1, 99_999, 10**9):
        schedule = FeedSchedule(rate_hz)
        schedule.learn(anchor, EPOCH_NS + anchor * period_ns)
        schedule.learn(5, 12)
        assert schedule.due_ns(seqs).tolist() == [EPOCH_NS + k * period_ns for k in seqs.tolist()]
        for late_ns, latest in ((-1, 69), (0, 70), (period_ns - 1, 70)):
            assert schedule.latest_due(EPOCH_NS + 70 * period_ns + late_ns) == latest


def test_a_client_is_useful_while_it_is_joined_and_its_newest_tick_is_under_a_second_old() -> None:
    recorder = recorder_of(4)
    recorder.started = 3
    recorder.joined[0] = recorder.joined[1] = recorder.joined[3] = 1
    for client in range(4):
        receive(recorder, client, 0, due(0))
    receive(recorder, 1, 1, due(1))
    grid = [due(0) + USEFUL_STALENESS_NS - 1, due(0) + USEFUL_STALENESS_NS, due(1) + USEFUL_STALENESS_NS]
    for now_ns in grid:
        recorder.sample_slot(now_ns)
    interval = recorder.take_interval(1)
    assert interval.useful == pytest.approx((2 + 1 + 0) / 3)
    assert (interval.clients, interval.connected) == (3, 2)


def test_attempts_are_counted_in_slots_of_100_ms() -> None:
    recorder = recorder_of(1)
    for attempts in (3, 0, 2):
        recorder.attempts_in_slot += attempts
        recorder.sample_slot(EPOCH_NS + SLOT_NS)
    interval = recorder.take_interval(0)
    assert (interval.attempts, interval.attempts_per_slot) == (5, (3, 0, 2))
    assert recorder.take_interval(1).attempts == 0


def test_an_interval_holds_only_what_came_since_the_last_one() -> None:
    recorder = recorder_of(1)
    recorder.attempt_ended("limited", 5 * MS)
    recorder.attempt_ended("limited", 5 * MS)
    recorder.disconnects["stale"] += 1
    recorder.retry_late_ns.append(3 * MS)
    first, second = recorder.take_interval(0), recorder.take_interval(1)
    assert (first.outcomes, first.disconnects) == ({"limited": 2}, {"stale": 1})
    assert first.attempt_durations == {"limited": Samples.of([5 * MS, 5 * MS])}
    assert first.retry_late == Samples.of([3 * MS])
    assert (second.outcomes, second.disconnects, second.attempt_durations) == ({}, {}, {})
    assert second.retry_late == Samples.of([])


@pytest.mark.parametrize(
    ("lag_ms", "recorded_ms"),
    [(0, [0]), (9, [9]), (10, [0, 10]), (25, [5, 15, 25])],
    ids=["on time", "late within its turn", "a whole turn late", "two turns and a half late"],
)
def test_a_late_probe_stands_for_the_probes_it_displaced(lag_ms: int, recorded_ms: list[int]) -> None:
    assert LAG_PROBE_NS == 10 * MS
    recorder = recorder_of(1)
    recorder.lag_probe(lag_ms * MS)
    assert recorder.take_interval(0).loop_lag == Samples.of([late * MS for late in recorded_ms])
