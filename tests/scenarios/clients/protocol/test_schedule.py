"""When ticks were due, by the schedule of our own pods and by what was seen."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_stub.feed_schedule import FeedSchedule
from scenarios.clients.protocol.schedule import (
    NumberedSchedule,
    ObservedSchedule,
    SharedSchedule,
    is_restart,
)

EPOCH_NS = 77_000_000_000
MS = 1_000_000


def shared(*, changes: list[tuple[int, float]], begun: bool = True) -> SharedSchedule:
    """A feed of 5 Hz since the epoch that changes at those times after it to those rates."""
    feed = FeedSchedule.of(EPOCH_NS, 5.0)
    for after_ns, rate_hz in changes:
        feed = feed.changed(EPOCH_NS + after_ns, rate_hz)
    schedule = SharedSchedule(feed)
    if begun:
        schedule.learn(3, EPOCH_NS + 600 * MS)
    return schedule


changes_of_rate = st.lists(
    st.tuples(st.integers(0, 10**12), st.floats(1.1, 1_000, allow_nan=False)), max_size=6
).map(sorted)


@settings(max_examples=150, deadline=None)
@given(changes_of_rate, st.lists(st.integers(0, 10**7), max_size=20), st.integers(0, 2 * 10**12))
def test_a_shared_feed_is_due_when_the_pods_schedule_says(
    changes: list[tuple[int, float]], seqs: list[int], after_ns: int
) -> None:
    schedule = shared(changes=changes)
    assert schedule.due_ns(np.array(seqs, np.int64)).tolist() == [schedule.feed.due_ns(seq) for seq in seqs]
    latest = schedule.latest_due(EPOCH_NS + after_ns)
    due_ns, next_ns = schedule.due_ns([latest, latest + 1]).tolist()
    assert due_ns <= EPOCH_NS + after_ns < next_ns


def test_a_shared_feed_is_due_by_its_latest_schedule() -> None:
    schedule = shared(changes=[])
    schedule.feed = schedule.feed.changed(EPOCH_NS + 1_000 * MS, 50.0)
    assert schedule.due_ns([4, 5, 6]).tolist() == [EPOCH_NS + ms * MS for ms in (800, 1_000, 1_020)]
    assert schedule.latest_due(EPOCH_NS + 1_040 * MS) == 7


@pytest.mark.parametrize("rate_hz", [5.0, 20.0, 100.0])
@pytest.mark.parametrize("away_s", [0.5, 66.0])
def test_a_client_that_was_away_during_a_burst_sees_a_gap_and_no_restart(
    rate_hz: float, away_s: float
) -> None:
    feed = FeedSchedule.of(EPOCH_NS, rate_hz)
    held = int(10 * rate_hz)
    burst = feed.changed(feed.due_ns(held), 10 * rate_hz)
    received = burst.latest_due(burst.due_ns(held) + int(away_s * 1e9))
    assert received >= held + int(9 * rate_hz * away_s)
    assert not is_restart((held, burst.due_ns(held)), (received, burst.due_ns(received)))


@settings(max_examples=150, deadline=None)
@given(changes_of_rate, st.integers(0, 10**6), st.integers(0, 10**5))
def test_no_two_ticks_of_a_shared_feed_look_like_a_restart(
    changes: list[tuple[int, float]], seq: int, more: int
) -> None:
    feed = shared(changes=changes).feed
    older, newer = (seq, feed.due_ns(seq)), (seq + more, feed.due_ns(seq + more))
    assert not is_restart(older, newer)
    assert not is_restart(newer, older)


@pytest.mark.parametrize(
    "schedule",
    [shared(changes=[], begun=False), ObservedSchedule()],
    ids=["shared", "observed"],
)
def test_before_the_first_tick_none_was_due(schedule: NumberedSchedule) -> None:
    assert schedule.latest_due(EPOCH_NS + 1_000 * MS) == -1


@pytest.mark.parametrize(
    ("held", "received", "restarted"),
    [
        pytest.param((9, 0), (10, MS), False, id="the next"),
        pytest.param((9, 0), (100_009, MS), False, id="after the longest gap"),
        pytest.param((9, 0), (100_010, MS), True, id="after more than the longest gap"),
        pytest.param((9, 0), (8, 1000 * MS), False, id="an older one, due up to a second later"),
        pytest.param((9, 0), (8, 1000 * MS + 1), True, id="a lower one, due more than a second later"),
        pytest.param((9, 0), (9, 5000 * MS), False, id="the same one"),
    ],
)
def test_a_restart_is_told_from_a_gap_and_from_a_lagging_pod(
    held: tuple[int, int], received: tuple[int, int], restarted: bool
) -> None:
    assert is_restart(held, received) is restarted


@st.composite
def seen_ticks(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Numbers and due times of a feed that keeps no pace and of which not every tick was seen."""
    seq, due_ns = draw(st.integers(0, 2**40)), draw(st.integers(0, 2**61))
    ticks = [(seq, due_ns)]
    steps = st.tuples(st.integers(1, 100_000), st.integers(0, 3_600_000_000_000))
    for more, later_ns in draw(st.lists(steps, max_size=40)):
        seq, due_ns = seq + more, due_ns + later_ns
        ticks.append((seq, due_ns))
    return ticks


def observed(ticks: list[tuple[int, int]]) -> ObservedSchedule:
    schedule = ObservedSchedule()
    for seq, due_ns in ticks:
        schedule.learn(seq, due_ns)
    return schedule


@settings(max_examples=150, deadline=None)
@given(seen_ticks(), st.data())
def test_seen_ticks_are_exact_and_those_between_them_are_on_a_line(
    ticks: list[tuple[int, int]], data: st.DataObject
) -> None:
    schedule = observed(ticks)
    assert schedule.due_ns([seq for seq, _ in ticks]).tolist() == [due_ns for _, due_ns in ticks]
    place = data.draw(st.integers(0, len(ticks) - 1))
    (low, low_ns), (high, high_ns) = ticks[place - 1 if place else 0], ticks[place]
    seq = data.draw(st.integers(low, high))
    line = low_ns + Fraction((seq - low) * (high_ns - low_ns), max(1, high - low))
    # A double keeps the nanosecond over the hours that these ticks span.
    assert abs(int(schedule.due_ns(np.array([seq]))[0]) - line) <= 1


@settings(max_examples=150, deadline=None)
@given(seen_ticks(), st.integers(0, 10**12))
def test_a_tick_that_is_expected_by_now_is_due_by_now(ticks: list[tuple[int, int]], rest_ns: int) -> None:
    schedule = observed(ticks)
    now_ns = ticks[-1][1] + rest_ns
    latest = schedule.latest_due(now_ns)
    assert latest >= ticks[-1][0]
    assert schedule.due_ns(latest) <= now_ns


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 10**10),
    st.lists(st.integers(1, 50), min_size=9, max_size=30),
    st.integers(0, 1_000),
    st.data(),
)
def test_a_regular_feed_is_expected_to_go_on_at_its_pace(
    period_ns: int, steps: list[int], more: int, data: st.DataObject
) -> None:
    seqs = np.cumsum([4, *steps]).tolist()
    schedule = observed([(seq, EPOCH_NS + seq * period_ns) for seq in seqs])
    expected = seqs[-1] + more
    now_ns = EPOCH_NS + expected * period_ns + data.draw(st.integers(0, period_ns - 1))
    assert schedule.latest_due(now_ns) == expected
    assert schedule.due_ns(expected) == EPOCH_NS + expected * period_ns


@pytest.mark.parametrize(
    "due_ms",
    [
        pytest.param([200 * n for n in range(9)], id="too few to tell"),
        pytest.param([3000 * (n // 3) + 20 * (n % 3) for n in range(30)], id="bursts"),
        pytest.param([n * n for n in range(40)], id="ever slower"),
        pytest.param([0] * 20, id="all at once"),
    ],
)
def test_no_tick_is_expected_of_a_feed_without_a_pace(due_ms: list[int]) -> None:
    schedule = observed([(seq, EPOCH_NS + ms * MS) for seq, ms in enumerate(due_ms)])
    newest, newest_ns = len(due_ms) - 1, EPOCH_NS + due_ms[-1] * MS
    assert schedule.latest_due(newest_ns + 10**12) == newest
    assert schedule.due_ns([newest, newest + 7]).tolist() == [newest_ns, newest_ns]


def test_a_late_copy_of_an_older_tick_changes_nothing() -> None:
    schedule = observed([(seq, EPOCH_NS + seq * 200 * MS) for seq in range(20)])
    schedule.learn(15, EPOCH_NS + 19 * 200 * MS + 900 * MS)
    assert schedule.due_ns([15, 19]).tolist() == [EPOCH_NS + 3000 * MS, EPOCH_NS + 3800 * MS]


def test_a_feed_that_numbers_anew_is_learnt_anew() -> None:
    schedule = observed([(seq, EPOCH_NS + seq * 200 * MS) for seq in range(100, 120)])
    anew_ns = EPOCH_NS + 60_000 * MS
    schedule.learn(3, anew_ns)
    assert schedule.latest_due(anew_ns + 10**12) == 3
    schedule.learn(5, anew_ns + 100 * MS)
    assert schedule.due_ns([3, 4, 5]).tolist() == [anew_ns, anew_ns + 50 * MS, anew_ns + 100 * MS]
