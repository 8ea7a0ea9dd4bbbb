"""A pod as its keeper sees it: on a host with a clock, and a CPU account, of its own."""

import pytest

from gateway_stub.feed_schedule import FeedSchedule
from gateway_stub.protocol import Controls, PodStatistics
from scenarios.stack.hosts import CpuReading
from scenarios.stack.pod import by_reading

LINE = PodStatistics(
    t_ns=9_000,
    span_ns=1_000,
    cpu_ns=77,
    occupied_ns=0,
    lag_ms=0,
    clients=0,
    handshakes=0,
    joined=0,
    gone_early=0,
    short_sessions=0,
    ticks_sent=0,
    tick_late_ms=0,
)


def reading(t_ns: int, cpu_ns: int, throttled_ns: int = 0) -> CpuReading:
    return CpuReading(t_ns=t_ns, cpu_ns=cpu_ns, throttled_ns=throttled_ns)


READINGS: dict[str, tuple[CpuReading, CpuReading, tuple[int, int]]] = {
    "of the same second": (reading(0, 0), reading(1_000, 600, 300), (600, 300)),
    "of a longer time": (reading(500, 100), reading(2_500, 1_300, 100), (600, 50)),
    "none in between": (reading(500, 100), reading(500, 100), (77, 0)),
}


@pytest.mark.parametrize(("last", "now", "expected"), READINGS.values(), ids=READINGS)
def test_a_line_has_the_cpu_of_its_host_between_two_readings(
    last: CpuReading, now: CpuReading, expected: tuple[int, int]
) -> None:
    line = by_reading(LINE, last, now)
    assert (line.cpu_ns, line.throttled_ns) == expected


def test_controls_are_translated_to_a_clock_that_is_ahead() -> None:
    feed = FeedSchedule.of(1_000, 5)
    controls = Controls(handshake_cpu_ms=3, feed=feed, feed_stalled_until_ns=500)
    shifted = controls.shifted(10_000)
    assert shifted.feed is not None
    assert shifted.feed.due_ns(0) == 11_000
    assert shifted.feed_stalled_until_ns == 10_500
    assert shifted.handshake_cpu_ms == 3


def test_no_feed_and_no_stall_stay_none() -> None:
    assert Controls().shifted(10_000) == Controls()
