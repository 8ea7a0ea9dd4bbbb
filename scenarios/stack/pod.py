"""One gateway pod as its keeper sees it: a process that may be started, killed, paused and asked."""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec

from gateway_stub.protocol import (
    CONTROLS_PATH,
    DROP_PATH,
    LIVENESS_PATH,
    READINESS_PATH,
    SETTINGS_VARIABLE,
    TOKEN_HEADER,
    Controls,
    PodStatistics,
    Settings,
)
from scenarios.stack.processes import Child, StackError, Watch, start

READY_TIMEOUT_S = 60.0
"""From the start of a pod until it says that it is ready; many that start at once share a core."""

_READY_POLL_S = 0.05
_NO_KEEPING = {"Connection": "close"}
"""A probe is a new connection each time, as an orchestrator's is."""


class Pod:
    """A pod keeps its place, its ports and its name over restarts.

    on_statistics: called with the pod's index and its latest line, about once a second.
    """

    def __init__(
        self,
        index: int,
        settings: Settings,
        *,
        log: Path,
        cores: tuple[int, ...],
        descriptors: int,
        http: aiohttp.ClientSession,
        watch: Watch,
        on_statistics: Callable[[int, PodStatistics], None],
    ) -> None:
        self.index = index
        self.address = f"{settings.host}:{settings.port}"
        self.withdrawn = False
        """It has left for good: nginx does not know it any more."""
        self.ejected = False
        """nginx does not ask it while it is not ready."""
        self.paused = False
        self.clients = 0
        """By its latest line."""
        self.started_ns = 0
        self.child: Child | None = None
        self._settings = settings
        self._control = f"http://127.0.0.1:{settings.control_port}"
        self._log = log
        self._cores = cores
        self._descriptors = descriptors
        self._http = http
        self._watch = watch
        self._on_statistics = on_statistics
        self._reader: asyncio.Task[None] | None = None

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
        settings = msgspec.structs.replace(self._settings, controls=controls)
        child = await start(
            self.name,
            [sys.executable, "-m", "gateway_stub"],
            log=self._log,
            cores=self._cores,
            descriptors=self._descriptors,
            environment={SETTINGS_VARIABLE: msgspec.json.encode(settings).decode()},
            pipe_output=True,
        )
        self.child = child
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

    def pause(self) -> None:
        """The process stands still until `resume`."""
        if self.child is not None:
            self.paused = True
            self.child.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """The process goes on, if it still is there."""
        if self.child is not None and self.paused:
            self.child.process.send_signal(signal.SIGCONT)
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
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def drop(self, share: float, seed: int) -> int:
        """Makes it cut that share of its clients; returns how many those were."""
        answer = await self._post(f"{DROP_PATH}?share={share}&seed={seed}", b"")
        return int(answer["dropped"])

    async def control(self, controls: Controls) -> None:
        """Puts controls in force."""
        await self._post(CONTROLS_PATH, msgspec.json.encode(controls))

    async def _post(self, path: str, body: bytes) -> dict[str, int]:
        url = self._control + path
        headers = {TOKEN_HEADER: self._settings.token}
        try:
            async with self._http.post(url, data=body, headers=headers) as response:
                response.raise_for_status()
                answer: dict[str, int] = await response.json()
                return answer
        except (aiohttp.ClientError, TimeoutError) as error:
            raise StackError(f"{self.name} did not answer {url}: {error!r}") from None

    async def _read(self, child: Child) -> None:
        assert child.process.stdout is not None  # noqa: S101
        decode = msgspec.json.Decoder(PodStatistics).decode
        async for line in child.process.stdout:
            try:
                statistics = decode(line)
            except msgspec.MsgspecError:
                continue  # the half line of a pod that was killed
            self.clients = statistics.clients
            self._on_statistics(self.index, statistics)
