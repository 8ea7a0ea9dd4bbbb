"""The broadcaster's schedule, on a clock that only sleeping and sending move."""

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_stub.broadcaster import Broadcaster
from gateway_stub.feed_schedule import FeedSchedule

MS = 1_000_000
PERIOD_NS = 200 * MS
EPOCH_NS = 5_000 * MS
STEADY = FeedSchedule.of(EPOCH_NS, 5)


class Clock:
    """Time that passes when somebody sleeps or works."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        """Takes the place of asyncio.sleep."""
        self.now_ns += round(seconds * 1e9)


class Finished(Exception):  # noqa: N818
    """Ends an endless broadcaster."""


def run(
    clock: Clock,
    ticks: int,
    work_ns: Callable[[int], int] = lambda _: 0,
    *,
    rate_hz: float = 5,
    changes: Mapping[int, Callable[[Broadcaster], None]] = MappingProxyType({}),
) -> list[dict[str, object]]:
    """The first payloads of a broadcaster whose n-th sending takes so long.

    changes: what is done to the broadcaster by a moment's first sleep that ends then or later.
    """
    due = dict(changes)
    sent: list[dict[str, object]] = []

    async def send(payload: dict[str, object]) -> None:
        sent.append(payload)
        clock.now_ns += work_ns(len(sent) - 1)
        if len(sent) == ticks:
            raise Finished

    feed = Broadcaster(send, schedule=FeedSchedule.of(EPOCH_NS, rate_hz), payload_bytes=3, clock=clock)

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        for at_ns in [at_ns for at_ns in due if at_ns <= clock.now_ns]:
            due.pop(at_ns)(feed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway_stub.broadcaster.asyncio.sleep", sleep)
        with pytest.raises(Finished):
            asyncio.run(feed.run())
    return sent


def test_ticks_go_out_when_they_are_due_and_carry_their_padding() -> None:
    sent = run(Clock(EPOCH_NS), ticks=3)
    due = [EPOCH_NS + k * PERIOD_NS for k in range(3)]
    assert sent == [{"seq": k, "due_ns": due[k], "sent_ns": due[k], "pad": "xxx"} for k in range(3)]


def test_the_schedule_does_not_slip_under_steady_work() -> None:
    sent = run(Clock(EPOCH_NS), ticks=50, work_ns=lambda _: 150 * MS)
    assert [tick["sent_ns"] for tick in sent] == [EPOCH_NS + k * PERIOD_NS for k in range(50)]


def test_a_backlog_goes_out_in_order_with_the_times_it_was_due() -> None:
    sent = run(Clock(EPOCH_NS), ticks=8, work_ns=lambda n: 1_000 * MS if n == 1 else 10 * MS)
    assert [tick["seq"] for tick in sent] == list(range(8))
    assert [tick["due_ns"] for tick in sent] == [EPOCH_NS + k * PERIOD_NS for k in range(8)]
    after_block_ms = [1_200, 1_210, 1_220, 1_230, 1_240]
    assert [tick["sent_ns"] for tick in sent[2:7]] == [EPOCH_NS + ms * MS for ms in after_block_ms]
    assert sent[7]["sent_ns"] == sent[7]["due_ns"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 700 * MS), min_size=1, max_size=20), st.sampled_from([1.5, 5.0, 7.0, 300.0]))
def test_whatever_the_work_no_tick_is_lost_early_or_out_of_order(work_ns: list[int], rate_hz: float) -> None:
    sent = run(Clock(EPOCH_NS), ticks=len(work_ns), work_ns=work_ns.__getitem__, rate_hz=rate_hz)
    free_ns = EPOCH_NS
    for k, tick in enumerate(sent):
        due_ns = EPOCH_NS + k * round(1e9 / rate_hz)
        assert (tick["seq"], tick["due_ns"]) == (k, due_ns)
        assert tick["sent_ns"] == max(due_ns, free_ns)
        free_ns = max(due_ns, free_ns) + work_ns[k]


@pytest.mark.parametrize(
    ("started_ns", "first"),
    [
        (EPOCH_NS - 1, 0),
        (EPOCH_NS, 0),
        (EPOCH_NS + 1, 1),
        (EPOCH_NS + PERIOD_NS, 1),
        (EPOCH_NS + 7 * PERIOD_NS + 1, 8),
    ],
    ids=["before the epoch", "at the epoch", "just after it", "on the next tick", "much later"],
)
def test_a_pod_that_starts_later_joins_the_common_schedule(started_ns: int, first: int) -> None:
    sent = run(Clock(started_ns), ticks=1)
    assert (sent[0]["seq"], sent[0]["due_ns"]) == (first, EPOCH_NS + first * PERIOD_NS)


def test_a_sleep_that_ends_early_does_not_send_early() -> None:
    class Hasty(Clock):
        async def sleep(self, seconds: float) -> None:
            asked_ns = round(seconds * 1e9)
            self.now_ns += asked_ns - asked_ns // 2

    sent = run(Hasty(EPOCH_NS), ticks=3, work_ns=lambda _: MS)
    assert [tick["sent_ns"] for tick in sent] == [EPOCH_NS + k * PERIOD_NS for k in range(3)]


def sent_ms(sent: list[dict[str, object]]) -> list[int]:
    """When ticks went out, in milliseconds after the epoch."""
    return [(int(str(tick["sent_ns"])) - EPOCH_NS) // MS for tick in sent]


def follow(schedule: FeedSchedule) -> Callable[[Broadcaster], None]:
    """Gives a broadcaster another schedule."""

    def change(feed: Broadcaster) -> None:
        feed.schedule = schedule

    return change


def stall(until_ms: int) -> Callable[[Broadcaster], None]:
    """Keeps a broadcaster's ticks back, in milliseconds after the epoch."""

    def change(feed: Broadcaster) -> None:
        feed.stalled_until_ns = EPOCH_NS + until_ms * MS

    return change


def test_a_burst_begins_and_ends_at_the_agreed_moments() -> None:
    burst = STEADY.changed(EPOCH_NS + 400 * MS, 20).changed(EPOCH_NS + 600 * MS, 5)
    sent = run(Clock(EPOCH_NS), ticks=9, changes={EPOCH_NS + 300 * MS: follow(burst)})
    assert [tick["seq"] for tick in sent] == list(range(9))
    assert sent_ms(sent) == [0, 200, 400, 450, 500, 550, 600, 800, 1_000]
    assert all(tick["sent_ns"] == tick["due_ns"] for tick in sent)


def test_a_faster_rate_does_not_wait_for_the_slow_ones_next_tick() -> None:
    faster = FeedSchedule.of(EPOCH_NS, 10)
    sent = run(Clock(EPOCH_NS), ticks=3, rate_hz=0.1, changes={EPOCH_NS + 60 * MS: follow(faster)})
    assert sent_ms(sent) == [0, 100, 200]


def test_a_change_that_comes_late_makes_a_backlog_and_no_gap() -> None:
    faster = STEADY.changed(EPOCH_NS + 200 * MS, 100)
    sent = run(Clock(EPOCH_NS), ticks=8, changes={EPOCH_NS + 230 * MS: follow(faster)})
    assert [tick["seq"] for tick in sent] == list(range(8))
    assert [tick["due_ns"] for tick in sent] == [faster.due_ns(seq) for seq in range(8)]
    assert sent_ms(sent)[2:] == [250, 250, 250, 250, 250, 260]


def test_after_a_stall_all_that_came_due_goes_out_in_order_with_its_own_due_time() -> None:
    sent = run(Clock(EPOCH_NS), ticks=7, changes={EPOCH_NS + 220 * MS: stall(900)})
    assert [(tick["seq"], tick["due_ns"]) for tick in sent] == [(k, STEADY.due_ns(k)) for k in range(7)]
    assert sent_ms(sent) == [0, 200, 900, 900, 900, 1_000, 1_200]


def test_a_stall_holds_back_the_tick_that_is_waited_for_already() -> None:
    sent = run(Clock(EPOCH_NS + 1), ticks=1, changes={EPOCH_NS + 199 * MS: stall(300)})
    assert sent_ms(sent) == [300]


def test_a_stall_may_be_called_off() -> None:
    changes = {EPOCH_NS + 10 * MS: stall(60_000), EPOCH_NS + 500 * MS: stall(0)}
    assert sent_ms(run(Clock(EPOCH_NS), ticks=4, changes=changes)) == [0, 500, 500, 600]


def test_a_pod_that_starts_during_a_stall_owes_nothing_from_before_its_start() -> None:
    sent = run(Clock(EPOCH_NS + 450 * MS), ticks=3, changes={EPOCH_NS + 450 * MS: stall(900)})
    assert [tick["seq"] for tick in sent] == [3, 4, 5]
    assert sent_ms(sent) == [900, 900, 1_000]


async def unsent(_payload: dict[str, object]) -> None:
    """Stands in where nothing is to be sent."""
    raise AssertionError


def test_payload_stamps_the_next_tick_and_moves_on() -> None:
    clock = Clock(EPOCH_NS)
    feed = Broadcaster(unsent, schedule=STEADY, payload_bytes=0, clock=clock)
    clock.now_ns += 30 * MS
    assert feed.payload() == {"seq": 0, "due_ns": EPOCH_NS, "sent_ns": EPOCH_NS + 30 * MS, "pad": ""}
    clock.now_ns += PERIOD_NS
    assert feed.payload()["seq"] == 1


def test_the_worst_lateness_is_kept_until_it_is_taken() -> None:
    clock = Clock(EPOCH_NS)
    feed = Broadcaster(unsent, schedule=STEADY, payload_bytes=0, clock=clock)
    for seq, late_ms in enumerate((10, 90, 40)):
        clock.now_ns = EPOCH_NS + seq * PERIOD_NS + late_ms * MS
        feed.payload()
    assert feed.take_worst_late_ns() == 90 * MS
    assert feed.take_worst_late_ns() == 0
