"""Each pod numbers its own ticks; due times follow a schedule that was fitted before the first event."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.clients.protocol.streams import IN_A_ROW, MOST_PODS, Streams
from scenarios.clients.recorder import SECOND_NS, Recorder
from scenarios.wire.interval import Samples

MS = 1_000_000
START_NS = 500 * SECOND_NS
PERIOD_NS = 200 * MS
RATE_HZ = 5.0


def due(seq: int) -> int:
    return START_NS + seq * PERIOD_NS


def calm(streams: Streams, ticks: int = 40, pod: str = "", first: int = 0) -> None:
    """The calm phase: ticks that are stamped when they are due."""
    for seq in range(first, first + ticks):
        streams.learn(seq, due(seq), pod)
    streams.end_calm()


def problems(streams: Streams) -> dict[str, str]:
    return {each.stream: each.problem for each in streams.fits}


def test_a_late_stamp_is_due_when_the_schedule_says() -> None:
    streams = Streams(RATE_HZ, fitted=True)
    calm(streams)
    assert streams.used
    _, due_ns = streams.learn(300, due(300) + 127 * MS)
    assert due_ns == due(300)
    # Clients judge by what is in the tick.
    assert streams.stamp_ns(due_ns) == due(300) + 127 * MS
    assert streams.stamp_ns(due(7)) == due(7)
    (found,) = streams.fits
    assert (found.stream, found.ticks, found.rate_hz, found.problem) == ("", 40, 5.0, "")


def test_without_schedules_a_tick_is_due_by_its_stamp() -> None:
    streams = Streams(RATE_HZ, fitted=False)
    calm(streams)
    assert streams.learn(300, due(300) + 127 * MS)[1] == due(300) + 127 * MS
    assert not streams.used
    # The rate is known all the same: what is missed between two pods is counted by it.
    assert [fit.rate_hz for fit in streams.fits] == [RATE_HZ]
    assert streams.by_stamp(np.array([1]), np.array([2])) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**45), st.integers(1, 50), st.sampled_from(["", "a:1"]))
def test_numbers_of_one_stream_go_up_by_one_and_never_meet_those_of_another(
    first: int, more: int, pod: str
) -> None:
    streams = Streams(RATE_HZ, fitted=False)
    own = [streams.learn(first + step, due(step), pod)[0] for step in range(more + 1)]
    other = [streams.learn(first + step, due(step), "b:2")[0] for step in range(more + 1)]
    assert np.diff(own).tolist() == np.diff(other).tolist() == [1] * more
    assert abs(other[0] - own[0]) > 2**39
    assert own[0] > 1


RESTARTS: dict[str, tuple[int, int, bool]] = {
    "the next one": (101, due(101), False),
    "an older one that was late": (60, due(60), False),
    "the same one": (100, due(100), False),
    "a number that went back although time went on": (0, due(103), True),
    "the same number, stamped anew": (100, due(103), False),
    "an older number that is sent again to a client that joins": (98, due(100) + 190 * MS, False),
    "a jump further than any gap": (200_101, due(101), True),
}


@pytest.mark.parametrize(("seq", "stamp_ns", "anew"), RESTARTS.values(), ids=RESTARTS)
def test_a_pod_that_was_restarted_is_another_stream(seq: int, stamp_ns: int, anew: bool) -> None:
    streams = Streams(RATE_HZ, fitted=True)
    calm(streams, pod="a:1", first=61)
    before, _ = streams.learn(100, due(100), "a:1")
    number, due_ns = streams.learn(seq, stamp_ns, "a:1")
    assert (number != before + seq - 100) is anew
    assert due_ns == (stamp_ns if anew else due(seq))
    late = "its first tick came after the calm phase"
    assert problems(streams) == {"a:1": "", **({"a:1 #2": late} if anew else {})}


def test_each_pod_has_a_schedule_of_its_own() -> None:
    streams = Streams(RATE_HZ, fitted=True)
    for seq in range(40):
        streams.learn(seq, due(seq), "a:1")
        streams.learn(7_000 + seq, due(seq) + 70 * MS, "b:2")
    streams.end_calm()
    assert streams.learn(100, due(100) + 50 * MS, "a:1")[1] == due(100)
    assert streams.learn(7_100, due(100) + 90 * MS, "b:2")[1] == due(100) + 70 * MS
    streams.learn(3, due(100), "c:3")
    assert problems(streams) == {"a:1": "", "b:2": "", "c:3": "its first tick came after the calm phase"}


def test_a_tick_cannot_be_early_so_a_feed_that_runs_ahead_has_left_its_schedule() -> None:
    streams = Streams(RATE_HZ, fitted=True)
    calm(streams)
    assert streams.learn(60, due(60) - 90 * MS)[1] == due(60)
    for seq in range(80, 80 + IN_A_ROW):
        for _ in range(3):  # it is sent to three clients
            assert streams.learn(seq, due(seq - 10))[1] == due(seq - 10)
    assert streams.learn(91, due(91) + MS)[1] == due(91) + MS
    assert "ran ahead of the schedule" in problems(streams)[""]


@pytest.mark.parametrize("early", [1, IN_A_ROW - 1])
def test_a_few_early_stamps_are_a_step_of_the_clock(early: int) -> None:
    streams = Streams(RATE_HZ, fitted=True)
    calm(streams)
    for first in (60, 80):
        for seq in range(first, first + early):
            for _ in range(IN_A_ROW):
                assert streams.learn(seq, due(seq) - 120 * MS)[1] == due(seq) - 120 * MS
        assert streams.learn(first + early, due(first + early) + 50 * MS)[1] == due(first + early)
    assert problems(streams) == {"": ""}


def test_a_feed_that_is_back_on_its_schedule_counts_by_it_again() -> None:
    streams = Streams(RATE_HZ, fitted=True)
    calm(streams)
    for seq in range(60, 70):
        streams.learn(seq, due(seq) - 120 * MS)
    assert problems(streams)[""]
    for seq in range(70, 70 + IN_A_ROW):
        streams.learn(seq, due(seq) + 20 * MS)
    assert streams.learn(90, due(90) + 20 * MS)[1] == due(90)
    assert problems(streams) == {"": ""}


def test_a_loop_that_stamps_each_client_on_its_own_keeps_its_schedule() -> None:
    streams = Streams(RATE_HZ, fitted=True)
    calm(streams)
    for seq in range(60, 2_020):
        for client in range(4):
            number, due_ns = streams.learn(seq, due(seq) + client * 150 * MS)
            assert due_ns == due(seq)
    assert number - streams.learn(2_019, due(2_019))[0] == 0
    assert problems(streams) == {"": ""}


def test_few_of_many_streams_are_remembered() -> None:
    streams = Streams(RATE_HZ, fitted=True)
    numbers = set()
    for again in range(3 * MOST_PODS):
        numbers.add(streams.learn(1_000, due(10 * again), "a:1")[0])
        numbers.add(streams.learn(5, due(10 * again + 5), "a:1")[0])
        numbers.add(streams.learn(5, due(10 * again + 5), f"pod {again}")[0])
    streams.end_calm()
    assert len(numbers) == 9 * MOST_PODS
    assert len(streams.fits) < 100
    assert streams.remembered <= MOST_PODS + 100


@pytest.mark.parametrize(
    ("stamps_ns", "problem"),
    [
        pytest.param([due(seq) for seq in range(9)], "too few ticks before the first event", id="few"),
        pytest.param([due(seq - seq % 9) for seq in range(90)], "not come at a steady rate", id="bursts"),
    ],
)
def test_why_there_is_no_schedule_is_said(stamps_ns: list[int], problem: str) -> None:
    streams = Streams(RATE_HZ, fitted=True)
    for seq, stamp_ns in enumerate(stamps_ns):
        assert streams.learn(seq, stamp_ns)[1] == stamp_ns
    streams.end_calm()
    assert problem in problems(streams)[""]
    assert not streams.used


def test_only_the_calm_phase_is_fitted() -> None:
    streams = Streams(RATE_HZ, fitted=True)
    calm(streams)
    for seq in range(40, 400):
        # Each tick slips further, as with a timer that is set anew after each.
        late_ns = (seq - 40) * 10 * MS
        assert streams.learn(seq, due(seq) + late_ns)[1] == due(seq)


# -- as the recorder sees it ------------------------------------------------------------------------


class Feed:
    """A recorder, and clients that receive ticks of pods. late_ms: how late stamps are."""

    def __init__(self, clients: int = 1, *, fitted: bool = True) -> None:
        self.streams = Streams(RATE_HZ, fitted=fitted)
        self.recorder = Recorder(START_NS, self.streams)
        for _ in range(clients):
            self.recorder.add_client()

    def receive(self, client: int, seq: int, stamp_ns: int, after_ms: int = 1, pod: str = "") -> None:
        """What a client does with a tick that it gets so long after its stamp."""
        number, due_ns = self.streams.learn(seq, stamp_ns, pod)
        recorder, now_ns = self.recorder, stamp_ns + after_ms * MS
        if number == recorder.held_seq[client] + 1:
            recorder.bucket_of(client).latency_ns.append(now_ns - due_ns)
            recorder.bucket_of(client).due_ns.append(due_ns)
            recorder.held_seq[client], recorder.held_due_ns[client] = number, due_ns
        else:
            recorder.tick_out_of_order(client, number, due_ns, now_ns)

    def take(self) -> Any:
        return self.recorder.take_interval(0)


def test_both_figures_are_kept_and_lateness_before_the_fit_counts_by_stamp() -> None:
    feed = Feed()
    for seq in range(40):
        feed.receive(0, seq, due(seq), after_ms=2)
    feed.streams.end_calm()
    before = feed.take()
    # The fit needs 20 ticks; the twentieth has it already.
    assert (before.ticks, before.stamped) == (40, 19)
    assert before.fanout == before.fanout_by_stamp == Samples.of([2 * MS] * 40)
    for seq in range(40, 45):
        feed.receive(0, seq, due(seq) + 127 * MS, after_ms=5)
    storm = feed.take()
    assert storm.fanout == Samples.of([132 * MS] * 5)
    assert storm.fanout_by_stamp == Samples.of([5 * MS] * 5)
    assert (storm.stamped, storm.early, storm.missed) == (0, 0, 0)
    assert storm.effective == {8: Samples.of([132 * MS] * 5)}


def test_a_tick_that_was_overtaken_has_both_figures_too() -> None:
    feed = Feed()
    calm(feed.streams)
    feed.receive(0, 50, due(50))
    feed.receive(0, 49, due(49) + 100 * MS, after_ms=300)
    assert feed.take().fanout_by_stamp == Samples.of([MS, 300 * MS])


def test_a_client_that_moves_to_another_pod_missed_by_time_and_not_by_number() -> None:
    feed = Feed()
    feed.receive(0, 100, due(0), pod="a:1")
    feed.receive(0, 101, due(1), pod="a:1")
    # The other pod counts from 7 and is half a period out of step.
    feed.receive(0, 7, due(6) + 100 * MS, after_ms=10, pod="b:2")
    feed.receive(0, 8, due(7) + 100 * MS, after_ms=10, pod="b:2")
    found = feed.take()
    assert (found.ticks, found.missed) == (4, 5)
    received_ns = due(6) + 110 * MS
    gaps = [received_ns - due(seq) for seq in range(2, 7)]
    late = {0: [MS, MS, *gaps[:3]], 1: [*gaps[3:], 10 * MS, 10 * MS]}
    assert found.effective == {second: Samples.of(values) for second, values in late.items()}


def test_a_gap_at_the_same_pod_is_counted_by_number() -> None:
    feed = Feed()
    calm(feed.streams, pod="a:1")
    feed.receive(0, 60, due(60), pod="a:1")
    feed.receive(0, 64, due(64) + 30 * MS, after_ms=10, pod="a:1")
    found = feed.take()
    assert found.missed == 3
    values = [MS, *(due(64) + 40 * MS - due(seq) for seq in range(61, 65))]
    assert found.effective == {12: Samples.of(values)}


def test_a_pod_that_lags_behind_the_former_one_brings_no_news_until_it_is_ahead() -> None:
    feed = Feed()
    feed.receive(0, 100, due(10), pod="a:1")
    for seq, at in ((1, 8), (2, 9), (3, 10), (4, 11)):
        feed.receive(0, seq, due(at), after_ms=700, pod="b:2")
    found = feed.take()
    assert (found.ticks, found.missed) == (5, 0)
    assert found.effective == {2: Samples.of([MS, 700 * MS])}
    assert feed.recorder.held_due_ns[0] == due(11)


def test_a_pod_that_was_restarted_is_no_gap_by_number() -> None:
    feed = Feed()
    for seq in range(3):
        feed.receive(0, 5_000 + seq, due(seq), pod="a:1")
    feed.receive(0, 0, due(12), pod="a:1")
    assert feed.take().missed == 9


def test_what_is_censored_is_counted_once_wherever_the_client_comes_back() -> None:
    feed = Feed(3)
    for client in range(3):
        feed.receive(client, 100, due(0), pod="a:1")
    feed.receive(2, 110, due(10), pod="a:1")
    feed.take()
    now_ns = due(10) + 50 * MS
    feed.recorder.finalise(now_ns)
    censored = feed.take().censored
    ages = [now_ns - due(seq) for seq in range(1, 11) for _ in range(2)]
    assert sum(int(each.arrays()[1].sum()) for each in censored.values()) == len(ages)
    feed.recorder.finalise(now_ns)
    assert feed.take().censored == {}
    # Back at the same pod, and at another one: what was due before is not counted again.
    feed.receive(0, 109, due(9), after_ms=300, pod="a:1")
    feed.receive(0, 113, due(13), pod="a:1")
    feed.receive(1, 4, due(13), pod="b:2")
    feed.receive(2, 113, due(13), pod="a:1")
    assert feed.take().missed == 6


@settings(max_examples=40, deadline=None)
@given(
    away_s=st.floats(0.3, 30),
    out_of_step=st.floats(-0.4, 0.4),
    first=st.integers(0, 10**6),
    restarted=st.booleans(),
)
def test_as_many_are_missed_as_were_due_meanwhile(
    away_s: float, out_of_step: float, first: int, restarted: bool
) -> None:
    feed = Feed()
    feed.receive(0, first + 10**6, due(0), pod="a:1")
    periods = max(2, round(away_s * RATE_HZ))
    stamp_ns = due(periods) + int(out_of_step * PERIOD_NS)
    feed.receive(0, first, stamp_ns, pod="a:1" if restarted else "b:2")
    assert feed.take().missed == periods - 1
