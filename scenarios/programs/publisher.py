"""The publisher of a feed: a program of the user's own that makes the ticks."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from signal import Signals

from scenarios.host.process import Watch
from scenarios.programs.kept import KeptProgram, start_kept
from scenarios.programs.placeholders import invocation
from scenarios.scenario.model import Feed


class Publisher:
    """A publisher that can be stalled and sped up.

    folder: what its working folder is relative to. values: of placeholders, besides those of the feed.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        folder: Path,
        log: Path,
        values: Mapping[str, str | int | float],
        watch: Watch,
        cores: tuple[int, ...] = (),
    ) -> None:
        self.child: KeptProgram | None = None
        self._feed = feed
        self._folder = folder
        self._log = log
        self._values = values
        self._watch = watch
        self._cores = cores
        self._stalls = 0
        self._factors: list[float] = []
        """Of the bursts that last, the newest one last."""
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        """Starts it, at the rate and in the state that it is to have now. Raises StackError."""
        feed = self._feed
        values = {
            **self._values,
            "rate_hz": f"{feed.rate_hz * (self._factors[-1] if self._factors else 1.0):g}",
            "payload_bytes": feed.payload_bytes,
            "event": feed.event,
        }
        self.child = await start_kept(
            "publisher",
            feed,
            invocation(feed, values, environment={}),
            folder=self._folder,
            log=self._log,
            cores=self._cores,
        )
        self._watch.over(self.child)
        if self._stalls:
            self._send(self._feed.stall_signals[0])

    async def stop(self) -> None:
        """Ends it, if it runs."""
        child, self.child = self.child, None
        if child is not None:
            self._watch.release(child)
            await child.stop()

    @asynccontextmanager
    async def stalled(self) -> AsyncIterator[None]:
        """Stalls the publisher by its signals; of several stalls, the last one ends that."""
        begin, end = self._feed.stall_signals
        self._stalls += 1
        if self._stalls == 1:
            self._send(begin)
        try:
            yield
        finally:
            self._stalls -= 1
            if not self._stalls:
                self._send(end)

    @asynccontextmanager
    async def faster(self, factor: float) -> AsyncIterator[None]:
        """The publisher sends more often: by its signals, or started again with another `{rate_hz}`.

        Of several bursts, the newest one that lasts sets the rate.
        """
        self._factors.append(factor)
        await self._change_rate(begins=len(self._factors) == 1)
        try:
            yield
        finally:
            self._factors.remove(factor)
            if self.child is not None:
                await self._change_rate(begins=False)

    async def _change_rate(self, *, begins: bool) -> None:
        """Makes the present rate known. begins: this is the first of bursts that overlap."""
        signals = self._feed.burst_signals
        if signals is None:
            async with self._changing:
                await self.stop()
                await self.start()
        elif begins:
            self._send(signals[0])
        elif not self._factors:
            self._send(signals[1])

    def _send(self, name: str) -> None:
        if self.child is not None:
            self.child.send(Signals[name])
