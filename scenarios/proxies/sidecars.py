"""All sidecars of a run: one beside each pod, on the pods' cores.

A sidecar begins before its pod and ends when the pod leaves for good. A pod that is killed, restarted or
paused leaves its sidecar as it is: there it is another container, and the connections through it end because
the pod's do.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import aiohttp
import msgspec

from reports.rundir.files import replacing
from scenarios.host.machine import free_ports
from scenarios.host.process import LocalChild, StackError, Watch
from scenarios.proxies.envoy import check_syntax, executable
from scenarios.proxies.sidecar import Ports, Sidecar, switch_of
from scenarios.proxies.sidecar_stats import SidecarLine
from scenarios.scenario.mesh import sidecar_rule
from scenarios.scenario.model import Scenario

_SECOND_NS = 1_000_000_000
_INTO_THE_SECOND_NS = 5_000_000


class Served(Protocol):
    """A pod, as far as a sidecar knows it."""

    index: int
    address: str


class Sidecars:
    """Sidecars by the index of their pod.

    on_line: called with that index and what the sidecar did, about once a second.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        epoch_ns: int,
        directory: Path,
        cores: Sequence[int],
        watch: Watch,
        on_line: Callable[[int, SidecarLine], None],
    ) -> None:
        self._scenario = scenario
        self._epoch_ns = epoch_ns
        self._directory = directory
        self._cores = cores
        self._watch = watch
        self._on_line = on_line
        self._binary = executable()
        self._by_pod: dict[int, Sidecar] = {}
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5.0))
        self._reading: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        """Held by who adds or removes some: none is removed before it is there."""

    @property
    def children(self) -> list[LocalChild]:
        """All processes there are now."""
        return [sidecar.child for sidecar in self._by_pod.values() if sidecar.child is not None]

    def address(self, pod: int) -> str:
        """Where the proxy sends what is for this pod."""
        return self._by_pod[pod].address

    async def add(self, pods: Sequence[Served]) -> None:
        """Starts one beside each of these pods; returns once all take connections. Raises StackError.

        Whoever calls it has to stop the sidecars, also where this fails.
        """
        async with self._changing:
            await self._add(pods)

    async def _add(self, pods: Sequence[Served]) -> None:
        first = self._reading is None
        if first:
            self._directory.mkdir()
            self._switch(on=False)
        ports = free_ports(2 * len(pods))
        added = [
            Sidecar(
                self._scenario,
                pod=pod.index,
                pod_address=pod.address,
                ports=Ports(*each),
                directory=self._directory,
                http=self._http,
            )
            for pod, each in zip(pods, zip(ports[::2], ports[1::2], strict=True), strict=True)
        ]
        for sidecar in added:
            sidecar.write()
        if first:
            # The others differ from it in ports and names alone.
            await self._check(added[0])
            self._reading = asyncio.create_task(self._read())
        for sidecar in added:
            self._by_pod[sidecar.pod] = sidecar
            await sidecar.start(self._binary, self._cores, self._watch)
        await asyncio.gather(*(sidecar.await_ready() for sidecar in added))

    async def remove(self, pod: int) -> None:
        """Ends the one beside this pod, which has left for good."""
        async with self._changing:
            sidecar = self._by_pod.get(pod)
            if sidecar is not None:
                await sidecar.stop(self._watch)
                del self._by_pod[pod]

    async def enforce_limit(self) -> None:
        """Puts the scenario's limit in force at all of them, also at those to come."""
        if sidecar_rule(self._scenario.mesh):
            self._switch(on=True)
            await asyncio.gather(*(sidecar.await_limit() for sidecar in self._by_pod.values()))

    async def stop(self) -> None:
        """Ends all of them."""
        try:
            if self._reading is not None:
                self._reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._reading
        finally:
            await asyncio.gather(*(sidecar.stop(self._watch) for sidecar in self._by_pod.values()))
            await self._http.close()

    def _switch(self, *, on: bool) -> None:
        layer = {
            "@type": "type.googleapis.com/envoy.service.runtime.v3.Runtime",
            "name": "limit",
            "layer": {"limit": {"enabled": 100 if on else 0}},
        }
        # Envoy looks again when a file is moved to this place.
        with replacing(switch_of(self._directory)) as stream:
            stream.write(msgspec.json.encode({"resources": [layer]}).decode())

    async def _check(self, sidecar: Sidecar) -> None:
        complaint = await asyncio.to_thread(check_syntax, sidecar.configuration, self._binary)
        if complaint:
            raise StackError(f"Envoy does not accept {sidecar.configuration}: {complaint}")

    async def _read(self) -> None:
        """Once a second, just after it has ended, asks all of them."""
        while True:
            now_ns = time.monotonic_ns() - self._epoch_ns
            next_ns = (now_ns // _SECOND_NS + 1) * _SECOND_NS + _INTO_THE_SECOND_NS
            await asyncio.sleep((next_ns - now_ns) / _SECOND_NS)
            sidecars = list(self._by_pod.values())
            for sidecar, line in zip(
                sidecars, await asyncio.gather(*(each.read() for each in sidecars)), strict=True
            ):
                if line is not None:
                    self._on_line(sidecar.pod, line)
