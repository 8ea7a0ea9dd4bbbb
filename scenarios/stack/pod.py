"""One gateway pod as its keeper sees it: a process that may be started, killed, paused and asked."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec
from msgspec.structs import replace

from gateway_stub.protocol import (
    CONTROLS_PATH,
    DROP_PATH,
    LIVENESS_PATH,
    READINESS_PATH,
    TOKEN_HEADER,
    Controls,
    PodStatistics,
    Settings,
)
from scenarios.host.hosts import CpuReading, PodHost
from scenarios.host.process import Child, StackError, Watch

READY_TIMEOUT_S = 60.0
"""From the start of a pod until it says that it is ready; many that start at once share a core."""

_READY_POLL_S = 0.05
_NO_KEEPING = {"Connection": "close"}
"""A probe is a new connection each time, as an orchestrator's is."""


class Pod:
    """A pod keeps its host, its ports and its name over restarts.

    It has one process at a time: starts, ends, pauses and resumptions take turns. A start that finds a
    process does nothing, and neither does an end, or a pause, that finds none. Who waits for a process that
    is ended meanwhile waits no longer.

    settings: without addresses and ports, which are its host's. on_statistics: called with the pod's index
    and its latest line, about once a second, in the runner's time.
    """

    def __init__(
        self,
        index: int,
        settings: Settings,
        *,
        host: PodHost,
        log: Path,
        descriptors: int,
        http: aiohttp.ClientSession,
        watch: Watch,
        on_statistics: Callable[[int, PodStatistics], None],
    ) -> None:
        self.index = index
        self.host = host
        self.address = f"{host.address}:{host.port}"
        self.withdrawn = False
        """It has left for good: nginx does not know it any more."""
        self.ejected = False
        """nginx does not ask it while it is not ready."""
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
        """By its latest line."""
        self.started_ns = 0
        self.child: Child | None = None
        self._settings = replace(
            settings,
            host=host.listen,
            port=host.port,
            control_host=host.listen,
            control_port=host.control_port,
            # The pod reads its own host's clock.
            epoch_ns=settings.epoch_ns + host.clock_ahead_ns,
        )
        self._control = f"http://{host.address}:{host.control_port}"
        self._log = log
        self._descriptors = descriptors
        self._http = http
        self._watch = watch
        self._on_statistics = on_statistics
        self._reader: asyncio.Task[None] | None = None
        self._read_cpu: CpuReading | None = None
        """The host's reading at this process's last line."""
        self._changing = asyncio.Lock()
        """Held by who starts, ends, pauses or resumes the process."""
        self._pauses = 0
        """How many keep the process paused."""
        self._pauses_ever = 0
        self._ending = False
        """Somebody has told the process to end."""

    @property
    def name(self) -> str:
        """`pod-0` and so on."""
        return self._settings.name

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
            settings = replace(self._settings, controls=controls.shifted(self.host.clock_ahead_ns))
            self._read_cpu = None
            self.child = child = await self.host.start(settings, log=self._log, descriptors=self._descriptors)
            self.in_force = controls
            self._watch.over(child)
            self._reader = asyncio.create_task(self._read(child))

    async def await_ready(self) -> Child | None:
        """Returns the process once it says that it is ready; None where there is none, or it was ended.

        Raises StackError where that takes too long; the time during which it is paused does not count.
        """
        child = self.child
        if self.ready:
            return child
        left_s = READY_TIMEOUT_S
        while child is not None and self.has(child):
            began_s = time.monotonic()
            if await self.is_ready(5.0):
                return child if self.has(child) else None
            if self.has(child) and (error := child.ended()):
                raise error
            await asyncio.sleep(_READY_POLL_S)
            left_s -= 0.0 if self.paused else time.monotonic() - began_s
            if left_s <= 0:
                raise StackError(f"{self.name} was not ready within {READY_TIMEOUT_S:g} s; see {self._log}")
        return None

    async def end(self, *, at_once: bool) -> int:
        """Ends the process, by SIGKILL or in order; returns how many clients it had."""
        async with self._changing:
            child = self.child
            if child is None:
                return 0
            self._ending, self.ready = True, False
            clients, self.clients = self.clients, 0
            self._watch.release(child)
            await (child.kill() if at_once else child.stop())
            if self._reader is not None:
                # What it has said before it ended is in the pipe still.
                await asyncio.gather(self._reader, return_exceptions=True)
            # Who is cancelled before this leaves the process to whoever ends everything.
            self.child, self.in_force, self.clients = None, None, 0
            self._ending, self._pauses = False, 0
            return clients

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

    async def is_live(self, timeout_s: float) -> bool:
        """Whether it says in time that it is alive, on a port of its own where no client waits."""
        return await self._answers(self._control + LIVENESS_PATH, timeout_s)

    async def is_ready(self, timeout_s: float) -> bool:
        """Whether it says in time that it is ready, on the clients' port: the question waits behind them."""
        return await self._answers(f"http://{self.address}{READINESS_PATH}", timeout_s)

    async def _answers(self, url: str, timeout_s: float) -> bool:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._http.get(url, timeout=timeout, headers=_NO_KEEPING) as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError, ValueError):
            return False

    async def drop(self, share: float, seed: int) -> int:
        """Makes it cut that share of its clients; returns how many those were."""
        answer = await self._post(f"{DROP_PATH}?share={share}&seed={seed}", b"")
        return int(answer["dropped"]) if answer else 0

    async def control(self, controls: Controls) -> bool:
        """Puts controls in force; returns whether the process has them now."""
        child = self.child
        shifted = controls.shifted(self.host.clock_ahead_ns)
        told = await self._post(CONTROLS_PATH, msgspec.json.encode(shifted)) is not None
        if told and self.child is child:
            self.in_force = controls
        return told

    async def _post(self, path: str, body: bytes) -> dict[str, int] | None:
        """Its answer; None where it cannot, since it was ended or paused meanwhile. Raises StackError."""
        url = self._control + path
        headers = {TOKEN_HEADER: self._settings.token}
        child, pauses = self.child, self._pauses_ever
        try:
            async with self._http.post(url, data=body, headers=headers) as response:
                response.raise_for_status()
                answer: dict[str, int] = await response.json()
                return answer
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if child is None or not self.has(child) or self._pauses_ever != pauses:
                return None
            raise child.ended() or StackError(f"{self.name} did not answer {url}: {error!r}") from None

    async def _read(self, child: Child) -> None:
        decode = msgspec.json.Decoder(PodStatistics).decode
        async for line in child.lines():
            try:
                statistics = decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue  # the half line of a pod that was killed, or no line of ours
            self.clients = statistics.clients
            self._on_statistics(self.index, self._in_our_terms(statistics))

    def _in_our_terms(self, line: PodStatistics) -> PodStatistics:
        """The line in the runner's time, with the CPU time of the whole host where that is read."""
        line = replace(line, t_ns=line.t_ns - self.host.clock_ahead_ns)
        last, now = self._read_cpu, self.host.reading
        self._read_cpu = now
        return line if last is None or now is None else by_reading(line, last, now)


def by_reading(line: PodStatistics, last: CpuReading, now: CpuReading) -> PodStatistics:
    """The line with the CPU time of its host between two readings, which were taken about when it began and
    when it ended; as it is where there was no reading in between.
    """
    between_ns = now.t_ns - last.t_ns
    if between_ns <= 0:
        return line
    scale = line.span_ns / between_ns
    return replace(
        line,
        cpu_ns=round((now.cpu_ns - last.cpu_ns) * scale),
        throttled_ns=round((now.throttled_ns - last.throttled_ns) * scale),
    )
