"""A pod of the built-in stub: it takes orders, and tells about itself once a second."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec
import psutil
from msgspec.structs import replace

from gateway_stub.protocol import (
    CONTROLS_PATH,
    DRAIN_PATH,
    DROP_PATH,
    LIVENESS_PATH,
    READINESS_PATH,
    TOKEN_HEADER,
    Controls,
    PodStatistics,
    Settings,
)
from scenarios.host.hosts import CpuReading, PodHost
from scenarios.host.process import Child, LocalChild, StackError, Watch
from scenarios.programs.readiness import answers
from scenarios.stack.pod import Pod
from scenarios.wire.pod_second import PodSecond, of_stub

_END_S = 1.0
"""For the end of a pod that does not answer any more."""


class StubPod(Pod):
    """A pod with a control port and statistics of its own.

    settings: without addresses and ports, which are its host's.
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
        on_second: Callable[[int, PodSecond], None],
    ) -> None:
        super().__init__(index, host=host, log=log, watch=watch, on_second=on_second)
        self.name = settings.name
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
        self._descriptors = descriptors
        self._http = http
        self._read_cpu: CpuReading | None = None
        """The host's reading at this process's last line."""

    async def launch(self, controls: Controls) -> Child:
        """Starts the process with these controls in force, and returns before it is ready."""
        settings = replace(self._settings, controls=controls.shifted(self.host.clock_ahead_ns))
        self._read_cpu = None
        return await self.host.start(settings, log=self._log, descriptors=self._descriptors)

    async def is_live(self, timeout_s: float) -> bool:
        """Whether it says in time that it is alive, on a port of its own where no client waits."""
        return await answers(self._http, self._control + LIVENESS_PATH, timeout_s)

    async def is_ready(self, timeout_s: float) -> bool:
        """Whether it says in time that it is ready, on the clients' port: the question waits behind them."""
        return await answers(self._http, f"http://{self.address}{READINESS_PATH}", timeout_s)

    async def drop(self, share: float, seed: int) -> int:
        """Makes it cut that share of its clients; returns how many those were."""
        answer = await self._post(f"{DROP_PATH}?share={share}&seed={seed}", b"")
        return int(answer["dropped"]) if answer else 0

    async def drain(self, window_s: float, close_code: int | None, seed: int) -> int:
        """Makes it begin to close its clients' sessions, evenly over the window; returns how many."""
        code = "" if close_code is None else f"&close_code={close_code}"
        answer = await self._post(f"{DRAIN_PATH}?window_s={window_s}&seed={seed}{code}", b"")
        return int(answer["draining"]) if answer else 0

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
            if child is not None:
                # Its end is known a moment later than that of its connections, and says more.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(child.wait(), _END_S)
            if child is None or not self.has(child) or self._pauses_ever != pauses:
                return None
            raise child.ended() or StackError(f"{self.name} did not answer {url}: {error!r}") from None

    async def report(self, child: Child) -> None:
        """Hands on the lines that the process writes."""
        decode = msgspec.json.Decoder(PodStatistics).decode
        async for line in child.lines():
            try:
                statistics = decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue  # the half line of a pod that was killed, or no line of ours
            self.tell(of_stub(self._in_our_terms(statistics), _rss_bytes(child)))

    def _in_our_terms(self, line: PodStatistics) -> PodStatistics:
        """The line in the runner's time, with the CPU time of the whole host where that is read."""
        line = replace(line, t_ns=line.t_ns - self.host.clock_ahead_ns)
        last, now = self._read_cpu, self.host.reading
        self._read_cpu = now
        return line if last is None or now is None else by_reading(line, last, now)


def _rss_bytes(child: Child) -> int | None:
    """Resident memory of a process of this machine."""
    if not isinstance(child, LocalChild):
        return None
    try:
        return int(psutil.Process(child.pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return None


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
