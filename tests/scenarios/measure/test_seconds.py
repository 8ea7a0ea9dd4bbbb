"""What is known of the seconds of a measurement, also if the load generator stood still in one of them."""

import asyncio
import contextlib
from typing import Any

import pytest
from msgspec.structs import replace

from scenarios.host.machine import Cores
from scenarios.host.process import StackError
from scenarios.measure.bed import Bed
from scenarios.measure.estimate import Window
from scenarios.measure.seconds import Sample, Seconds
from scenarios.scenario.model import Target
from tests.support.intervals import interval

LONG_AGO_NS = -3_600_000_000_000
"""The epoch: all seconds of the test are over."""


async def nothing(_for_s: float) -> None:
    """No feed."""


BED = Bed(
    target=Target(),
    address=("127.0.0.1", 9),
    processes=list,
    cpu_s=lambda: 0.0,
    helpers=list,
    frozen=contextlib.nullcontext,
    stall_feed=nothing,
)
SAMPLE = Sample(span_s=1.0, cpu_s=0.25, rss_bytes=1, load={})
JOINED: dict[str, Any] = {"outcomes": {"joined": 4, "timeout": 1}, "disconnects": {"dropped": 2}, "ticks": 7}


def seconds(*reported: int) -> Seconds:
    """Three seconds, some of which the generator has reported."""
    found = Seconds(BED, Cores((), ()), LONG_AGO_NS)
    found.samples.update(dict.fromkeys(range(3), SAMPLE))
    for second in reported:
        found.on_interval(interval(second, **JOINED))
    return found


@pytest.mark.parametrize(("reported", "skipped"), [((0, 1, 2), 0), ((0, 2), 1), ((2,), 2), ((0, 1, 3), 1)])
def test_a_second_that_the_generator_passed_over_is_known_by_the_next(
    reported: tuple[int, ...], skipped: int
) -> None:
    found = seconds(*reported)
    whole = len([second for second in reported if second < 3])
    window = asyncio.run(found.window(0, 3))
    assert window == Window(span_s=3.0, cpu_s=0.75, joins=4 * whole, ticks=7 * whole, closes=2 * whole)
    assert found.skipped(0, 3) == skipped


STANDSTILLS: dict[str, tuple[tuple[float, ...], tuple[int, ...], str]] = {
    "nobody": ((1.0, 1.03, 0.98), (0, 1, 2), ""),
    "this program, over the end of a second": (
        (1.0, 1.4, 0.6),
        (0, 1, 2),
        "this program stood still: a second lasted 1.40 s by its samples",
    ),
    "this program, for seconds": (
        (2.4, 0.0, 0.6),
        (0, 1, 2),
        "this program stood still: a second lasted 2.40 s by its samples",
    ),
    "this program, before these seconds": (
        (0.8, 1.0, 1.0),
        (0, 1, 2),
        "this program stood still: a second lasted 0.80 s by its samples",
    ),
    "the generator": ((1.0, 1.0, 1.0), (0, 2), "the load generator stood still for 1 of 3 seconds"),
    "both": (
        (1.0, 2.0, 0.0),
        (0, 2),
        "this program stood still: a second lasted 2.00 s by its samples",
    ),
}


@pytest.mark.parametrize(("spans_s", "reported", "said"), STANDSTILLS.values(), ids=STANDSTILLS)
def test_whoever_stood_still_is_named(
    spans_s: tuple[float, ...], reported: tuple[int, ...], said: str
) -> None:
    found = seconds(*reported)
    found.samples = {second: replace(SAMPLE, span_s=span_s) for second, span_s in enumerate(spans_s)}
    assert found.stood_still(0, 3) == said


def test_a_generator_that_no_longer_reports_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenarios.measure.seconds._LATE_S", 0.01)
    found = seconds(0, 1)
    assert found.skipped(0, 3) == 0
    with pytest.raises(StackError, match="waiting for the generator's report"):
        asyncio.run(found.window(0, 3))


def test_without_clients_no_report_is_waited_for() -> None:
    assert asyncio.run(seconds().window(0, 3, clients=False)).joins == 0
