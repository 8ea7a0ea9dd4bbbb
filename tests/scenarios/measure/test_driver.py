"""Parts of a measurement during which something stood still are repeated, not taken for what a pod costs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from scenarios.host.machine import Cores
from scenarios.measure.driver import MeasurePlan, NoisyHostError, _Measuring
from scenarios.measure.estimate import Estimate, Window
from scenarios.measure.seconds import Sample, Seconds
from scenarios.measure.sizes import Sizes
from scenarios.scenario.model import Scenario
from tests.scenarios.measure.test_seconds import BED, LONG_AGO_NS, SAMPLE
from tests.support.intervals import interval

LAST = 60
CORES = Cores((), ())
STOOD_STILL = "retrying: this program stood still: a second lasted 2.40 s by its samples"


class Told(Seconds):
    """A minute that is over; in some of its seconds this program stood still, in others the generator."""

    def __init__(self, late: set[int], skipped: set[int]) -> None:
        super().__init__(BED, CORES, LONG_AGO_NS)
        self.skips = skipped
        self._second = -1
        for second in range(LAST):
            # What passes a second over has that one's CPU as well.
            changes = {"span_s": 2.4, "cpu_s": 0.6} if second in late else {}
            passed = {"span_s": 0.0, "cpu_s": 0.0} if second - 1 in late else {}
            self.samples[second] = replace(SAMPLE, **changes, **passed)

    def now(self) -> int:
        """The second that was waited for last."""
        return self._second

    async def until(self, second: int) -> None:
        """Time passes."""
        self._second = second

    def report(self, from_second: int) -> None:
        """The generator tells of these seconds and all later ones, but for those that it passed over."""
        self.intervals = {
            second: interval(second, outcomes={"joined": 30})
            for second in range(from_second, LAST)
            if second not in self.skips
        }


class Measuring(_Measuring):
    """With clients that join in a second."""

    seconds: Told

    @contextlib.asynccontextmanager
    async def _generator(self, size: Sizes) -> AsyncIterator[Any]:
        self.seconds.report(self.next)
        yield None

    async def _joined(self, generator: Any, size: Sizes) -> Window:
        return await self._spend(1)


def measuring(told: list[str], *, late: set[int], skipped: set[int]) -> Measuring:
    plan = MeasurePlan(scenario=Scenario(), gateway="a")
    return Measuring(plan, BED, Told(late, skipped), Path(), CORES, LONG_AGO_NS, told.append)


QUIET: dict[str, tuple[set[int], set[int], list[str]]] = {
    "nothing stood still": (set(), set(), []),
    "this program": ({2}, set(), [STOOD_STILL]),
    "this program, twice": ({2, 8}, set(), [STOOD_STILL, STOOD_STILL]),
    "this program, before the feed was quiet for a second": ({0}, set(), ["retrying: "]),
    "the generator": (
        set(),
        {3},
        ["retrying: the load generator stood still for 1 of 5 seconds"],
    ),
}


@pytest.mark.parametrize(("late", "skipped", "retries"), QUIET.values(), ids=QUIET)
def test_a_quiet_feed_is_measured_again_where_something_stood_still(
    late: set[int], skipped: set[int], retries: list[str]
) -> None:
    told: list[str] = []
    found = measuring(told, late=late, skipped=skipped)
    found.seconds.report(0)
    assert asyncio.run(found._quiet()) == Estimate(0.25, 0.25, 0.25)
    assert len(told) == 1 + len(retries)
    assert all(said.startswith(retry) for said, retry in zip(told[1:], retries, strict=True))


PILOTS: dict[str, tuple[set[int], set[int], list[str]]] = {
    "nothing stood still": (set(), set(), []),
    "this program, while nobody was there": ({0}, set(), [STOOD_STILL]),
    "this program, while clients joined": ({1}, set(), [STOOD_STILL]),
    "the generator": (set(), {2}, ["retrying: the load generator stood still for 1 of 2 seconds"]),
}


@pytest.mark.parametrize(("late", "skipped", "retries"), PILOTS.values(), ids=PILOTS)
def test_a_pilot_is_repeated_where_something_stood_still(
    late: set[int], skipped: set[int], retries: list[str]
) -> None:
    told: list[str] = []
    found = measuring(told, late=late, skipped=skipped)
    assert asyncio.run(found._pilot()) == asyncio.run(measuring([], late=set(), skipped=set())._pilot())
    assert told[1:] == retries


def test_a_host_on_which_something_always_stands_still_is_too_noisy() -> None:
    found = measuring([], late=set(range(0, LAST, 2)), skipped=set())
    with pytest.raises(NoisyHostError, match=r"^this program stood still: a second lasted 2\.40 s"):
        asyncio.run(found._pilot())


@pytest.mark.parametrize(("late", "known"), [(set(), [0, 1, 2, 3]), ({1}, [0, 3])])
def test_memory_that_was_read_late_belongs_to_no_number_of_clients(late: set[int], known: list[int]) -> None:
    found = measuring([], late=late, skipped=set())
    found.seconds.report(0)
    for second in range(4):
        found.seconds.samples[second] = replace(found.seconds.samples[second], rss_bytes=second)
    assert [rss_bytes for _, rss_bytes in found._memory(0, 4)] == known


@pytest.mark.parametrize(
    ("span_s", "on_time"),
    [(1.0, True), (1.05, True), (0.95, True), (1.06, False), (0.94, False), (0.0, False)],
)
def test_a_sample_is_on_time_within_a_twentieth_of_a_second(span_s: float, on_time: bool) -> None:
    assert Sample(span_s=span_s, cpu_s=0.0, rss_bytes=1, load={}).on_time is on_time
