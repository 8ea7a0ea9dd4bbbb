"""What each whole second of a measurement had: CPU and memory of the pod, and what its clients saw."""

import asyncio
import os
import time
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from scenarios.host.cpu import CpuSampler
from scenarios.host.machine import Cores
from scenarios.host.process import StackError
from scenarios.measure.bed import Bed
from scenarios.measure.estimate import Window
from scenarios.measure.processes import rss_bytes
from scenarios.wire.interval import Interval

SECOND_NS = 1_000_000_000
INTO_THE_SECOND_NS = 50_000_000
"""Orders go out this long after a second has begun: what they cause is booked in that second."""
_LATE_S = 5.0
_SPAN_OFF_S = 0.05
"""A second may be this much longer or shorter by its samples."""


class Sample(Struct, frozen=True, kw_only=True):
    """The pod at the end of a second."""

    span_s: float
    cpu_s: float
    """Used since the sample before."""
    rss_bytes: int
    load: dict[str, float | None]
    """CPU of other processes, as a row of a run has it."""

    @property
    def on_time(self) -> bool:
        """Whether it has the CPU of its own second, and no other one's."""
        return round(abs(self.span_s - 1), 6) <= _SPAN_OFF_S


class Seconds:
    """Samples by second since the epoch, and the intervals of the generator."""

    def __init__(self, bed: Bed, cores: Cores, epoch_ns: int) -> None:
        self.samples: dict[int, Sample] = {}
        self.intervals: dict[int, Interval] = {}
        self.generator_pid: int | None = None
        self._bed, self._epoch_ns = bed, epoch_ns
        self._sampler = CpuSampler(os.getpid(), cores)

    @property
    def latest(self) -> Interval | None:
        """What the generator has reported last."""
        return self.intervals[max(self.intervals)] if self.intervals else None

    def on_interval(self, interval: Interval) -> None:
        """Takes a second of the generator's."""
        self.intervals[interval.second] = interval

    def now(self) -> int:
        """The second that is going on."""
        return (time.monotonic_ns() - self._epoch_ns) // SECOND_NS

    async def until(self, second: int) -> None:
        """Returns a little after a second has begun."""
        at_ns = self._epoch_ns + second * SECOND_NS + INTO_THE_SECOND_NS
        await asyncio.sleep(max(0.0, (at_ns - time.monotonic_ns()) / 1e9))

    async def keep(self) -> None:
        """Takes a sample at the end of every second; never returns."""
        last_ns, last_s = time.monotonic_ns(), self._bed.cpu_s()
        self._shares(1.0)
        while True:
            second = self.now()
            ends_ns = self._epoch_ns + (second + 1) * SECOND_NS
            await asyncio.sleep((ends_ns - time.monotonic_ns()) / 1e9 + 0.002)
            now_ns, now_s = time.monotonic_ns(), self._bed.cpu_s()
            span_s = (now_ns - last_ns) / SECOND_NS
            self.samples[second] = Sample(
                span_s=span_s,
                cpu_s=now_s - last_s,
                rss_bytes=rss_bytes(self._bed.processes()),
                load=self._shares(span_s),
            )
            # This process was late: the sample has the seconds that were passed over as well.
            for passed in range(second + 1, self.now()):
                self.samples[passed] = replace(self.samples[second], span_s=0.0, cpu_s=0.0)
            last_ns, last_s = now_ns, now_s

    async def window(self, first: int, end: int, *, clients: bool = True) -> Window:
        """The seconds from `first` to before `end`, once everything about them is known.

        clients: whether there is a generator that reports on them. Raises StackError if it does not. One that
        stood still skips seconds: what it saw of them is in the next that it reports.
        """
        wanted = range(first, end)
        deadline = time.monotonic() + _LATE_S
        while not all(
            second in self.samples and (self._reported(second) or not clients) for second in wanted
        ):
            if time.monotonic() > deadline and self.now() > end:
                raise StackError(f"timed out after {_LATE_S:g} s waiting for the generator's report")
            await asyncio.sleep(0.02)
        samples = [self.samples[second] for second in wanted]
        intervals = [self.intervals[second] for second in wanted if second in self.intervals]
        return Window(
            span_s=sum(sample.span_s for sample in samples),
            cpu_s=sum(sample.cpu_s for sample in samples),
            joins=sum(interval.outcomes.get("joined", 0) for interval in intervals),
            ticks=sum(interval.ticks for interval in intervals),
            closes=sum(sum(interval.disconnects.values()) for interval in intervals),
        )

    def _reported(self, second: int) -> bool:
        return self.latest is not None and self.latest.second >= second

    def skipped(self, first: int, end: int) -> int:
        """How many of these seconds a generator that stood still has passed over."""
        return sum(self._reported(second) and second not in self.intervals for second in range(first, end))

    def stood_still(self, first: int, end: int) -> str:
        """Whose standing still has put something of these seconds into others, in a sentence; or empty."""
        samples = [self.samples[second] for second in range(first, end) if second in self.samples]
        if late := [sample.span_s for sample in samples if not sample.on_time]:
            return f"this program stood still: a second lasted {max(late):.2f} s by its samples"
        if skipped := self.skipped(first, end):
            return f"the load generator stood still for {skipped} of {end - first} seconds"
        return ""

    def load(self, first: int, end: int) -> list[dict[str, float | None]]:
        """CPU of other processes in these seconds."""
        return [
            {"t_s": float(second), **self.samples[second].load}
            for second in range(first, end)
            if second in self.samples
        ]

    def _shares(self, span_s: float) -> dict[str, Any]:
        pods = [process.pid for process in self._bed.processes()]
        helpers = [process.pid for process in self._bed.helpers()]
        found = self._sampler.sample(
            span_s, nginx=None, generator=self.generator_pid, pods=pods, sidecars=helpers
        )
        row: dict[str, float | None] = {"foreign_cpu": found.foreign, "steal": found.steal}
        for part, of_cores in (("stack", found.stack), ("generator", found.generator_core)):
            if of_cores is not None:
                row[f"{part}_foreign_cpu"], row[f"{part}_steal"] = of_cores.foreign, of_cores.steal
        return row
