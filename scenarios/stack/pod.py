"""One gateway pod as its keeper sees it: a process that may be started, killed, paused and asked."""

import asyncio
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
from scenarios.stack.hosts import CpuReading, PodHost
from scenarios.stack.processes import Child, StackError, Watch

READY_TIMEOUT_S = 60.0
"""From the start of a pod until it says that it is ready; many that start at once share a core."""

_READY_POLL_S = 0.05
_NO_KEEPING = {"Connection": "close"}
"""A probe is a new connection each time, as an orchestrator's is."""


class Pod:
    """A pod keeps its host, its ports and its name over restarts.

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
        self.paused = False
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

    @property
    def name(self) -> str:
        """`pod-0` and so on."""
        return self._settings.name

    @property
    def running(self) -> bool:
        """Whether there is a process, paused or not."""
        return self.child is not None

    async def start(self, controls: Controls) -> None:
        """Starts the process with these controls in force; see `await_ready`."""
        settings = replace(self._settings, controls=controls.shifted(self.host.clock_ahead_ns))
        self._read_cpu = None
        self.child = child = await self.host.start(settings, log=self._log, descriptors=self._descriptors)
        self._watch.over(child)
        self._reader = asyncio.create_task(self._read(child))

    async def await_ready(self) -> None:
        """Returns once the pod says that it is ready. Raises StackError where that takes too long."""
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while not await self.is_ready(5.0):
                    if self.child is not None and (error := self.child.ended()):
                        raise error
                    await asyncio.sleep(_READY_POLL_S)
        except TimeoutError:
            raise StackError(
                f"{self.name} was not ready within {READY_TIMEOUT_S:g} s; see {self._log}"
            ) from None

    async def end(self, *, at_once: bool) -> int:
        """Ends the process, by SIGKILL or in order; returns how many clients it had."""
        child, self.child = self.child, None
        clients, self.clients = self.clients, 0
        if child is not None:
            self._watch.release(child)
            await (child.kill() if at_once else child.stop())
        if self._reader is not None:
            # What it has said before it ended is in the pipe still.
            await asyncio.gather(self._reader, return_exceptions=True)
        self.paused = False
        return clients

    async def pause(self) -> None:
        """The process stands still until `resume`."""
        if self.child is not None:
            self.paused = True
            await self.child.pause()

    async def resume(self) -> None:
        """The process goes on, if it still is there."""
        if self.child is not None and self.paused:
            await self.child.resume()
        self.paused = False

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
        return int(answer["dropped"])

    async def control(self, controls: Controls) -> None:
        """Puts controls in force."""
        shifted = controls.shifted(self.host.clock_ahead_ns)
        await self._post(CONTROLS_PATH, msgspec.json.encode(shifted))

    async def _post(self, path: str, body: bytes) -> dict[str, int]:
        url = self._control + path
        headers = {TOKEN_HEADER: self._settings.token}
        try:
            async with self._http.post(url, data=body, headers=headers) as response:
                response.raise_for_status()
                answer: dict[str, int] = await response.json()
                return answer
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise StackError(f"{self.name} did not answer {url}: {error!r}") from None

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
