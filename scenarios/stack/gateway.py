"""The gateway pods: starts them, reads their statistics, and talks to their control endpoints."""

import asyncio
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

import aiohttp
import msgspec

from gateway_stub.protocol import (
    COST_PATH,
    DROP_ALL_PATH,
    READINESS_PATH,
    SETTINGS_VARIABLE,
    TOKEN_HEADER,
    PodStatistics,
    Settings,
)
from scenarios.model import Scenario
from scenarios.stack.machine import free_ports, needed_descriptors
from scenarios.stack.processes import Child, StackError, start

_READY_TIMEOUT_S = 30.0
_CONTROL_TIMEOUT_S = 10.0


class Gateway:
    """All pods of a run.

    on_statistics: called with a pod's index and its latest line, about once a second.
    """

    def __init__(self, on_statistics: Callable[[int, PodStatistics], None]) -> None:
        self.children: list[Child] = []
        self.addresses: list[str] = []
        self._token = secrets.token_urlsafe(24)
        self._controls: list[str] = []
        self._on_statistics = on_statistics
        self._readers: list[asyncio.Task[None]] = []
        self._http = aiohttp.ClientSession(
            headers={TOKEN_HEADER: self._token}, timeout=aiohttp.ClientTimeout(total=_CONTROL_TIMEOUT_S)
        )

    @classmethod
    async def start(
        cls,
        scenario: Scenario,
        *,
        epoch_ns: int,
        directory: Path,
        cores: tuple[int, ...],
        on_statistics: Callable[[int, PodStatistics], None],
    ) -> Self:
        """Starts all pods; returns once each says that it is ready. Handshakes are free until charged."""
        gateway = cls(on_statistics)
        directory.mkdir()
        ports = free_ports(2 * scenario.gateway.pods)
        try:
            for index in range(scenario.gateway.pods):
                public, control = ports[2 * index : 2 * index + 2]
                await gateway._start_pod(scenario, index, public, control, epoch_ns, directory, cores)
            async with asyncio.timeout(_READY_TIMEOUT_S):
                await asyncio.gather(*map(gateway._await_ready, range(scenario.gateway.pods)))
        except TimeoutError:
            await gateway.stop()
            raise StackError(
                f"not all pods were ready within {_READY_TIMEOUT_S:g} s; see {directory}"
            ) from None
        except BaseException:
            await gateway.stop()
            raise
        return gateway

    async def drop_all(self) -> int:
        """Makes all pods cut all their clients at once; returns how many those were."""
        answers = await asyncio.gather(*(self._control(url + DROP_ALL_PATH) for url in self._controls))
        return sum(int(answer["dropped"]) for answer in answers)

    async def charge_handshakes(self, cpu_ms: float) -> None:
        """From now on a handshake costs this much."""
        await asyncio.gather(*(self._control(f"{url}{COST_PATH}?cpu_ms={cpu_ms}") for url in self._controls))

    async def stop(self) -> None:
        """Ends all pods."""
        await asyncio.gather(*(child.stop() for child in self.children))
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        await self._http.close()

    async def _start_pod(
        self,
        scenario: Scenario,
        index: int,
        port: int,
        control_port: int,
        epoch_ns: int,
        directory: Path,
        cores: tuple[int, ...],
    ) -> None:
        name = f"pod-{index}"
        settings = Settings(
            name=name,
            port=port,
            control_port=control_port,
            token=self._token,
            cpu=scenario.gateway.cpu,
            snapshot_bytes=scenario.gateway.snapshot_bytes,
            rate_hz=scenario.feed.rate_hz,
            payload_bytes=scenario.feed.payload_bytes,
            event=scenario.feed.event,
            backlog=scenario.gateway.backlog,
            epoch_ns=epoch_ns,
        )
        child = await start(
            name,
            [sys.executable, "-m", "gateway_stub"],
            log=directory / f"{name}.log",
            cores=cores,
            descriptors=needed_descriptors(scenario.fleet.clients),
            environment={SETTINGS_VARIABLE: msgspec.json.encode(settings).decode()},
            pipe_output=True,
        )
        self.children.append(child)
        self.addresses.append(f"127.0.0.1:{port}")
        self._controls.append(f"http://127.0.0.1:{control_port}")
        self._readers.append(asyncio.create_task(self._read(index, child)))

    async def _read(self, index: int, child: Child) -> None:
        assert child.process.stdout is not None  # noqa: S101
        decode = msgspec.json.Decoder(PodStatistics).decode
        async for line in child.process.stdout:
            try:
                self._on_statistics(index, decode(line))
            except msgspec.MsgspecError:
                continue  # the half line of a pod that was killed

    async def _await_ready(self, index: int) -> None:
        url = f"http://{self.addresses[index]}{READINESS_PATH}"
        while True:
            if error := self.children[index].ended():
                raise error
            try:
                async with self._http.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)

    async def _control(self, url: str) -> dict[str, int]:
        try:
            async with self._http.post(url) as response:
                response.raise_for_status()
                answer: dict[str, int] = await response.json()
                return answer
        except (aiohttp.ClientError, TimeoutError) as error:
            raise StackError(f"a pod did not answer {url}: {error!r}") from None
