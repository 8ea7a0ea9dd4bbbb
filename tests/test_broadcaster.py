"""The broadcaster's schedule, on a clock that only sleeping and sending move."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_stub.broadcaster import Broadcaster

MS = 1_000_000
PERIOD_NS = 200 * MS
EPOCH_NS = 5_000 * MS


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
    clock: Clock, ticks: int, work_ns: Callable[[int], int], rate_hz: float = 5
) -> list[dict[str, object]]:
    """The first payloads of a broadcaster whose n-th sending takes so long."""
    sent: list[dict[str, object]] = []

    async def send(payload: dict[str, object]) -> None:
        sent.append(payload)
        clock.now_ns += work_ns(len(sent) - 1)
        if len(sent) == ticks:
            raise Finished

    async def broadcast() -> None:
        await Broadcaster(send, rate_hz=rate_hz, payload_bytes=3, epoch_ns=EPOCH_NS, clock=clock).run()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway_stub.broadcaster.asyncio.sleep", clock.sleep)
        with pytest.raises(Finished):
            asyncio.run(broadcast())
    return sent


def test_ticks_go_out_when_they_are_due_and_carry_their_padding() -> None:
    sent = run(Clock(EPOCH_NS), ticks=3, work_ns=lambda _: 0)
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
    sent = run(Clock(started_ns), ticks=1, work_ns=lambda _: 0)
    assert (sent[0]["seq"], sent[0]["due_ns"]) == (first, EPOCH_NS + first * PERIOD_NS)


def test_a_sleep_that_ends_early_does_not_send_early() -> None:
    class Hasty(Clock):
        async def sleep(self, seconds: float) -> None:
            asked_ns = round(seconds * 1e9)
            self.now_ns += asked_ns - asked_ns // 2

    sent = run(Hasty(EPOCH_NS), ticks=3, work_ns=lambda _: MS)
    assert [tick["sent_ns"] for tick in sent] == [EPOCH_NS + k * PERIOD_NS for k in range(3)]


async def unsent(_payload: dict[str, object]) -> None:
    """Stands in where nothing is to be sent."""
    raise AssertionError


def test_payload_stamps_the_next_tick_and_moves_on() -> None:
    clock = Clock(EPOCH_NS)
    feed = Broadcaster(unsent, rate_hz=5, payload_bytes=0, epoch_ns=EPOCH_NS, clock=clock)
    clock.now_ns += 30 * MS
    assert feed.payload() == {"seq": 0, "due_ns": EPOCH_NS, "sent_ns": EPOCH_NS + 30 * MS, "pad": ""}
    clock.now_ns += PERIOD_NS
    assert feed.payload()["seq"] == 1


def test_the_worst_lateness_is_kept_until_it_is_taken() -> None:
    clock = Clock(EPOCH_NS)
    feed = Broadcaster(unsent, rate_hz=5, payload_bytes=0, epoch_ns=EPOCH_NS, clock=clock)
    for seq, late_ms in enumerate((10, 90, 40)):
        clock.now_ns = EPOCH_NS + seq * PERIOD_NS + late_ms * MS
        feed.payload()
    assert feed.take_worst_late_ns() == 90 * MS
    assert feed.take_worst_late_ns() == 0
