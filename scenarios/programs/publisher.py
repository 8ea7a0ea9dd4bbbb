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

_HANDLER_POLL_S = 0.02
_NOT_CAUGHT = frozenset({"SIGSTOP", "SIGCONT"})


class Publisher:
    """A publisher that can be stalled and sped up.

    folder: what its working folder is relative to. values: of placeholders, besides those of the feed.

    Events say what is wanted, and `_settle` brings the program there, one change at a time.
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
        self._over = False
        """The run ends: nothing is started any more."""
        self._changing = asyncio.Lock()
        # What is wanted.
        self._stalls = 0
        self._bursts = 0
        """How many there were so far; the newest one replaces all others."""
        self._factor: float | None = None
        """Of the newest burst; None once that is over."""
        # What the program that runs was told.
        self._told_rate_hz = 0.0
        self._told_stall = False
        self._told_burst = False
        self._handlers_due_s = 0.0
        """From this time of the loop on, it is sent signals even if it does not handle them."""

    async def start(self) -> None:
        """Starts it. Raises StackError."""
        async with self._changing:
            await self._start()

    async def stop(self) -> None:
        """Ends it for good, if it runs."""
        self._over = True
        async with self._changing:
            if self._told_stall:
                await self._send(self._feed.stall_signals[1])
            await self._end()

    @asynccontextmanager
    async def stalled(self) -> AsyncIterator[None]:
        """Stalls the publisher by its signals; of several stalls, the last one ends that.

        What is interrupted here is interrupted with the run, so the publisher is left as it is.
        """
        self._stalls += 1
        await self._settle()
        yield
        self._stalls -= 1
        await self._settle()

    @asynccontextmanager
    async def faster(self, factor: float) -> AsyncIterator[None]:
        """The publisher sends more often: by its signals, or started again with another `{rate_hz}`.

        A burst that starts during another one replaces it, whose end then changes nothing. A publisher that
        is stalled is started again, if it still has to be, when the stall is over. What is interrupted here
        is interrupted with the run.
        """
        self._bursts += 1
        number, self._factor = self._bursts, factor
        await self._settle()
        yield
        if number == self._bursts:
            self._factor = None
            await self._settle()

    async def _settle(self) -> None:
        """Brings the program to the state and the rate that are wanted once its turn has come."""
        async with self._changing:
            # There is no program where one could not be started again: the run fails.
            if self._over or self.child is None:
                return
            stalled = self._stalls > 0
            if stalled != self._told_stall:
                await self._send(self._feed.stall_signals[0 if stalled else 1])
                self._told_stall = stalled
            if self._feed.burst_signals is None:
                await self._set_rate()
            else:
                await self._tell_burst(self._feed.burst_signals)

    async def _set_rate(self) -> None:
        """Starts the program again if it has another rate than it should; not while it is stalled."""
        if self._told_stall or self._told_rate_hz == self._rate_hz:
            return
        await self._end()
        if not self._over:
            await self._start()

    async def _tell_burst(self, signals: tuple[str, str]) -> None:
        """Sends the signals of a burst, which say nothing of its factor, in turn."""
        # One that stands still would get both at once, in an order of the system's choice.
        frozen = self._told_stall and self._feed.stall_signals[0] == "SIGSTOP"
        bursts = self._factor is not None
        if bursts != self._told_burst and not frozen:
            await self._send(signals[0 if bursts else 1])
            self._told_burst = bursts

    @property
    def _rate_hz(self) -> float:
        return self._feed.rate_hz * (1.0 if self._factor is None else self._factor)

    async def _start(self) -> None:
        feed = self._feed
        self._told_rate_hz, self._told_stall = self._rate_hz, False
        values = {
            **self._values,
            "rate_hz": f"{self._told_rate_hz:g}",
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
        self._handlers_due_s = asyncio.get_running_loop().time() + feed.start_timeout_s
        self._watch.over(self.child)

    async def _end(self) -> None:
        child, self.child = self.child, None
        if child is not None:
            self._watch.release(child)
            await child.stop()

    async def _send(self, name: str) -> None:
        """Sends a signal once the program handles it: one that was just started would be ended by it."""
        child, number = self.child, Signals[name]
        if child is None:
            return
        now_s = asyncio.get_running_loop().time
        while name not in _NOT_CAUGHT and not child.handles(number):
            if self._over or child.ended():
                return
            if now_s() >= self._handlers_due_s:
                break
            await asyncio.sleep(_HANDLER_POLL_S)
        child.send(number)
