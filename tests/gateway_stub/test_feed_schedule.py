"""When ticks are due, over any sequence of rate changes."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_stub.feed_schedule import FeedSchedule, Stretch, period_ns

MS = 1_000_000
EPOCH_NS = 5_000 * MS

moments_ns = st.integers(0, 60_000 * MS)
rates_hz = st.floats(0.1, 1_000)


@st.composite
def schedules(draw: st.DrawFn) -> FeedSchedule:
    """A feed whose rate changes up to five times, at moments in any order."""
    schedule = FeedSchedule.of(draw(moments_ns), draw(rates_hz))
    for at_ns, rate_hz in draw(st.lists(st.tuples(moments_ns, rates_hz), max_size=5)):
        schedule = schedule.changed(at_ns, rate_hz)
    return schedule


def numbers_around(schedule: FeedSchedule) -> list[int]:
    """Ticks at and around every change, and some after the last one."""
    return sorted({max(0, s.first_seq + k) for s in schedule.stretches for k in range(-2, 4)})


@given(schedules())
def test_every_tick_is_due_after_the_one_before_it(schedule: FeedSchedule) -> None:
    for seq in numbers_around(schedule):
        assert schedule.due_ns(seq) < schedule.due_ns(seq + 1)


@given(schedules())
def test_many_ticks_at_once_are_due_when_each_of_them_is(schedule: FeedSchedule) -> None:
    seqs = numbers_around(schedule)
    due_ns = schedule.due_ns_of(seqs)
    assert due_ns.dtype == np.int64
    assert due_ns.tolist() == [schedule.due_ns(seq) for seq in seqs]
    assert schedule.due_ns_of(np.array(seqs).reshape(-1, 1)).shape == (len(seqs), 1)


@given(schedules())
def test_the_latest_due_tick_changes_exactly_when_one_is_due(schedule: FeedSchedule) -> None:
    for seq in numbers_around(schedule):
        assert schedule.latest_due(schedule.due_ns(seq)) == seq
        assert schedule.latest_due(schedule.due_ns(seq) - 1) == seq - 1


@given(schedules(), moments_ns)
def test_the_first_tick_from_a_moment_on_is_the_first_that_is_not_due_before(
    schedule: FeedSchedule, now_ns: int
) -> None:
    seq = schedule.first_seq_from(now_ns)
    assert seq >= 0
    assert schedule.due_ns(seq) >= now_ns
    assert seq == 0 or schedule.due_ns(seq - 1) < now_ns


@given(schedules(), moments_ns, rates_hz)
def test_a_change_moves_only_the_ticks_after_the_first_one_from_its_moment_on(
    schedule: FeedSchedule, at_ns: int, rate_hz: float
) -> None:
    changed = schedule.changed(at_ns, rate_hz)
    first = schedule.first_seq_from(at_ns)
    for seq in (0, first // 2, max(0, first - 1), first):
        assert changed.due_ns(seq) == schedule.due_ns(seq)
    assert changed.due_ns(first + 3) == schedule.due_ns(first) + 3 * period_ns(rate_hz)


@given(schedules())
def test_a_schedule_survives_being_sent(schedule: FeedSchedule) -> None:
    assert msgspec.json.decode(msgspec.json.encode(schedule), type=FeedSchedule) == schedule


@given(schedules(), st.integers(-(10**12), 10**12), st.integers(0, 10**4))
def test_on_another_clock_every_tick_is_due_at_the_same_moment(
    schedule: FeedSchedule, ahead_ns: int, seq: int
) -> None:
    shifted = schedule.shifted(ahead_ns)
    assert shifted.due_ns(seq) == schedule.due_ns(seq) + ahead_ns
    assert shifted.shifted(-ahead_ns) == schedule


def test_a_burst_of_two_seconds_has_its_own_rate_and_keeps_counting() -> None:
    burst = FeedSchedule.of(EPOCH_NS, 5).changed(EPOCH_NS + 1_000 * MS, 50).changed(EPOCH_NS + 3_000 * MS, 5)
    due_ms = [(burst.due_ns(seq) - EPOCH_NS) // MS for seq in (0, 4, 5, 6, 104, 105, 106)]
    assert due_ms == [0, 800, 1_000, 1_020, 2_980, 3_000, 3_200]


def test_a_burst_replaces_an_older_one_and_its_end_is_the_end_of_both() -> None:
    def burst(feed: FeedSchedule, from_s: int, to_s: int, rate_hz: float) -> FeedSchedule:
        return feed.changed(EPOCH_NS + from_s * 1_000 * MS, rate_hz).changed(EPOCH_NS + to_s * 1_000 * MS, 5)

    older = burst(FeedSchedule.of(EPOCH_NS, 5), 1, 9, 50)
    newer = burst(older, 3, 4, 10)
    due_ms = [(newer.due_ns(seq) - EPOCH_NS) // MS for seq in (5, 6, 104, 105, 106, 115, 116, 1_000)]
    assert due_ms == [1_000, 1_020, 2_980, 3_000, 3_100, 4_000, 4_200, 4_000 + 885 * 200]


def test_a_change_before_the_feed_has_begun_keeps_its_beginning() -> None:
    schedule = FeedSchedule.of(EPOCH_NS, 5).changed(0, 10)
    assert schedule.stretches == (Stretch(0, EPOCH_NS, 100 * MS),)
    assert schedule.latest_due(EPOCH_NS - 1) == -1


BROKEN = {
    "no stretch": ([], "length >= 1"),
    "no time between ticks": ([(0, 0, 0)], r">= 1 - at `\$.stretches\[0\].period_ns`"),
    "not from tick 0 on": ([(3, 0, 10)], "tick 0"),
    "numbers that go back": ([(0, 0, 10), (5, 50, 10), (5, 50, 20)], "tick 5"),
    "a tick with two due times": ([(0, 0, 10), (5, 51, 10)], "tick 5 is due at 51 ns"),
}


@pytest.mark.parametrize(("stretches", "complaint"), BROKEN.values(), ids=BROKEN)
def test_stretches_that_do_not_join_up_are_refused(
    stretches: list[tuple[int, int, int]], complaint: str
) -> None:
    names = ("first_seq", "from_ns", "period_ns")
    text = msgspec.json.encode({"stretches": [dict(zip(names, s, strict=True)) for s in stretches]})
    with pytest.raises(msgspec.ValidationError, match=complaint):
        msgspec.json.decode(text, type=FeedSchedule)


@given(schedules(), st.integers(-(10**15), 10**15))
def test_on_a_clock_that_is_ahead_every_tick_is_due_as_much_later(schedule: FeedSchedule, ahead: int) -> None:
    for seq in numbers_around(schedule):
        assert schedule.shifted(ahead).due_ns(seq) == schedule.due_ns(seq) + ahead
    assert schedule.shifted(ahead).shifted(-ahead) == schedule
