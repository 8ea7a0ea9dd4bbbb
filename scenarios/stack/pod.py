"""One gateway pod: a process that may be started, killed, paused and asked, whatever gateway it is."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from gateway_stub.protocol import Controls
from scenarios.host.hosts import PodHost
from scenarios.host.process import Child, StackError, Watch
from scenarios.wire.pod_second import PodSecond

_READY_POLL_S = 0.05


class Pod(ABC):
    """A pod keeps its host, its ports and its name over restarts.

    It has one process at a time: starts, ends, pauses and resumptions take turns. A start that finds a
    process does nothing, and neither does an end, or a pause, that finds none. Who waits for a process that
    is ended meanwhile waits no longer.

    on_second: called with the pod's index and what is known of its latest second, in the runner's time.
    """

    ready_timeout_s = 60.0
    """From the start of a pod until it says that it is ready; many that start at once share a core."""

    def __init__(
        self,
        index: int,
        *,
        host: PodHost,
        log: Path,
        watch: Watch,
        on_second: Callable[[int, PodSecond], None],
    ) -> None:
        self.index = index
        self.name = f"pod-{index}"
        self.host = host
        self.address = f"{host.address}:{host.port}"
        self.withdrawn = False
        """It has left for good: nginx does not know it any more."""
        self.ejected = False
        """nginx does not ask it while it is not ready."""
        self.leaving = 0
        """How many keep it out of the upstream, as they drain or restart it."""
        self.left = False
        """It was withdrawn, and its place is free again."""
        self.entered = False
        """It has been ready once: from then on nginx knows it, until it leaves."""
        self.ready = False
        """The process has said that it is ready, and has not been told to end."""
        self.expected = 0
        """How many are about to start it."""
        self.in_force: Controls | None = None
        """What the process was last told."""
        self.telling = asyncio.Lock()
        """Held by who tells it what is in force, so that the newest comes last."""
        self.clients = 0
        """By its latest second."""
        self.child: Child | None = None
        self._log = log
        self._watch = watch
        self._on_second = on_second
        self._reader: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        """Held by who starts, ends, pauses or resumes the process."""
        self._pauses = 0
        """How many keep the process paused."""
        self._pauses_ever = 0
        self._ending = False
        """Somebody has told the process to end."""

    # -- what a kind of pod does in its own way -----------------------------------------------------

    @abstractmethod
    async def launch(self, controls: Controls) -> Child:
        """Starts the process with these controls in force, and returns before it is ready."""

    @abstractmethod
    async def report(self, child: Child) -> None:
        """Tells what is known of every second of the process, until that ends; see `tell`."""

    @abstractmethod
    async def is_live(self, timeout_s: float) -> bool:
        """Whether it says in time that it is alive."""

    @abstractmethod
    async def is_ready(self, timeout_s: float) -> bool:
        """Whether it says in time that it is ready, on the clients' port: the question waits behind them."""

    @abstractmethod
    async def drop(self, share: float, seed: int) -> int:
        """Makes it cut that share of its clients; returns how many those were."""

    @abstractmethod
    async def drain(self, window_s: float, close_code: int | None, seed: int) -> int:
        """Makes it begin to close its clients' sessions, evenly over the window; returns how many."""

    @abstractmethod
    async def control(self, controls: Controls) -> bool:
        """Puts controls in force; returns whether the process has them now."""

    def guard(self, child: Child) -> None:
        """Makes the end of the process known, if nobody has told it to end."""
        self._watch.over(child)

    def check_start(self, child: Child) -> None:
        """Raises StackError where the process has ended, or gone astray, before it was ready."""
        if error := child.ended():
            raise error

    def not_ready(self) -> str:
        """What to say of a process that was not ready in time."""
        return f"{self.name} was not ready within {self.ready_timeout_s:g} s; see {self._log}"

    # -- its life -----------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether there is a process, ready or not, paused or not."""
        return self.child is not None

    @property
    def paused(self) -> bool:
        """Whether the process stands still."""
        return self._pauses > 0

    @property
    def takes_orders(self) -> bool:
        """Whether it can be told something now. The others are told when they are ready, or go on."""
        return self.ready and not self.paused

    def has(self, child: Child) -> bool:
        """Whether this still is its process, and nobody has told it to end."""
        return self.child is child and not self._ending

    async def start(self, controls: Controls) -> None:
        """Starts the process with these controls in force; see `await_ready`.

        Does nothing where there is one, or where the pod has left for good.
        """
        async with self._changing:
            if self.child is not None or self.withdrawn:
                return
            self.child = child = await self.launch(controls)
            self.in_force = controls
            self.guard(child)
            self._reader = asyncio.create_task(self.report(child))

    async def await_ready(self) -> Child | None:
        """Returns the process once it says that it is ready; None where there is none, or it was ended.

        Raises StackError where that takes too long; the time during which it is paused does not count.
        """
        child = self.child
        if self.ready:
            return child
        left_s = self.ready_timeout_s
        while child is not None and self.has(child):
            began_s = time.monotonic()
            if await self.is_ready(5.0):
                return child if self.has(child) else None
            if self.has(child):
                self.check_start(child)
            await asyncio.sleep(_READY_POLL_S)
            left_s -= 0.0 if self.paused else time.monotonic() - began_s
            if left_s <= 0:
                raise StackError(self.not_ready())
        return None

    async def end(self, *, at_once: bool, grace_s: float | None = None) -> int:
        """Ends the process, by SIGKILL or in order; returns how many clients it had.

        grace_s: between the order and SIGKILL, instead of the program's own.
        """
        async with self._changing:
            child = self.child
            if child is None:
                return 0
            self._ending, self.ready = True, False
            clients, self.clients = self.clients, 0
            self._watch.release(child)
            await (child.kill() if at_once else child.stop(grace_s))
            if self._reader is not None:
                # What it has said before it ended is in the pipe still.
                await asyncio.gather(self._reader, return_exceptions=True)
            # Who is cancelled before this leaves the process to whoever ends everything.
            self.forget()
            return clients

    def forget(self) -> None:
        """The process has ended: a start makes another one."""
        self.child, self.in_force, self.clients = None, None, 0
        self.ready = self._ending = False
        self._pauses = 0

    async def pause(self) -> Child | None:
        """The process stands still until as many have resumed it as have paused it; returns the process."""
        async with self._changing:
            child = self.child
            if child is not None:
                self._pauses += 1
                self._pauses_ever += 1
                await child.pause()
            return child

    async def resume(self, paused: Child | None) -> None:
        """The process that `pause` has returned goes on, if it still is there and nobody else keeps it."""
        async with self._changing:
            if paused is None or self.child is not paused:
                return
            if self._pauses == 1:
                await paused.resume()
            self._pauses -= 1

    def tell(self, second: PodSecond) -> None:
        """Hands on what is known of a second."""
        self.clients = second.clients
        self._on_second(self.index, second)
