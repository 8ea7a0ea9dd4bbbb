"""The gateway: all pods of a run, and what is in force at them."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import aiohttp
from msgspec.structs import replace

from gateway_stub.feed_schedule import FeedSchedule
from gateway_stub.protocol import Admission, Controls, PodStatistics, Settings
from scenarios.limits import limit
from scenarios.model import Scenario
from scenarios.stack.hosts import PodHost, PodHosts
from scenarios.stack.machine import needed_descriptors
from scenarios.stack.pod import Pod
from scenarios.stack.processes import Child, LocalChild, Watch
from scenarios.stack.sidecars import Sidecars

_CONTROL_TIMEOUT_S = 60.0
"""A pod under a storm answers when its loop comes to it."""


class Gateway:
    """Pods by index; an index is never used for another pod.

    on_statistics: called with a pod's index and its latest line, about once a second. sidecars: what stands
    beside the pods; they begin and end with them.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        epoch_ns: int,
        directory: Path,
        hosts: PodHosts,
        watch: Watch,
        on_statistics: Callable[[int, PodStatistics], None],
        sidecars: Sidecars | None = None,
    ) -> None:
        self.pods: list[Pod] = []
        self.controls = Controls(
            feed=FeedSchedule.of(epoch_ns, scenario.feed.rate_hz),
            admission=limit(scenario.edge.limit).admission,
        )
        self._scenario = scenario
        self._epoch_ns = epoch_ns
        self._directory = directory
        self._hosts = hosts
        self._watch = watch
        self._on_statistics = on_statistics
        self._sidecars = sidecars
        self._token = secrets.token_urlsafe(24)
        self._drops = 0
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_CONTROL_TIMEOUT_S))

    async def start(self) -> None:
        """Starts all pods; returns once each says that it is ready. Handshakes are free until charged.

        Whoever calls it has to stop the gateway, also where this fails.
        """
        self._directory.mkdir()
        await self.add(self._scenario.gateway.pods)

    @property
    def running(self) -> list[int]:
        """The pods that are there to stay: they run, and have not been withdrawn."""
        return [pod.index for pod in self.pods if pod.running and not pod.withdrawn]

    @property
    def addresses(self) -> list[str]:
        """The pods that nginx is to know: also those that have died, but none that has left or is ejected.

        Where there are sidecars, nginx knows of these alone.
        """
        known = [pod for pod in self.pods if not (pod.withdrawn or pod.ejected)]
        sidecars = self._sidecars
        return [sidecars.address(pod.index) if sidecars else pod.address for pod in known]

    @property
    def children(self) -> list[Child]:
        """All processes there are now."""
        return [pod.child for pod in self.pods if pod.child is not None]

    @property
    def sidecar_children(self) -> list[LocalChild]:
        """All processes of sidecars that there are now."""
        return self._sidecars.children if self._sidecars else []

    # -- pods come and go ---------------------------------------------------------------------------

    async def add(self, count: int) -> int:
        """Starts so many more pods; returns their number once all are ready."""
        hosts = self._hosts.free(count)
        added = [self._new_pod(index, host) for index, host in enumerate(hosts, len(self.pods))]
        if self._sidecars:
            await self._sidecars.add(added)
        self.pods += added
        await asyncio.gather(*map(self._start, added))
        return count

    async def kill(self, index: int) -> int:
        """Ends a pod with SIGKILL; returns how many clients it had."""
        return await self.pods[index].end(at_once=True)

    async def terminate(self, index: int) -> int:
        """Ends a pod with SIGTERM; returns how many clients it had."""
        pod = self.pods[index]
        clients = await pod.end(at_once=False)
        if pod.withdrawn:
            if self._sidecars:
                await self._sidecars.remove(index)
            self._hosts.give_back(pod.host)
        return clients

    async def restart(self, index: int) -> None:
        """Starts a pod that has ended, on its old ports; returns once it is ready."""
        await self._start(self.pods[index])

    async def pause(self, index: int) -> None:
        """Stops a pod in its tracks."""
        await self.pods[index].pause()

    async def resume(self, index: int) -> None:
        """Lets a paused pod go on, with what has been put in force meanwhile."""
        pod = self.pods[index]
        await pod.resume()
        if pod.running:
            await pod.control(self.controls)

    def withdraw(self, indices: Iterable[int]) -> None:
        """These pods leave for good."""
        for index in indices:
            self.pods[index].withdrawn = True

    async def stop(self) -> None:
        """Ends all pods."""
        await asyncio.gather(*(pod.end(at_once=False) for pod in self.pods))
        if self._sidecars:
            await self._sidecars.stop()
        await self._http.close()

    # -- what is in force ---------------------------------------------------------------------------

    async def charge_handshakes(self, cpu_ms: float) -> None:
        """From now on a handshake costs this much."""
        await self._control(replace(self.controls, handshake_cpu_ms=cpu_ms))

    async def limit_at_sidecars(self) -> None:
        """From now on the scenario's limit at the sidecars is in force, if it has one."""
        if self._sidecars:
            await self._sidecars.enforce_limit()

    async def set_admission(self, admission: Admission) -> None:
        """From now on pods turn away whom this says."""
        if admission != self.controls.admission:
            await self._control(replace(self.controls, admission=admission))

    async def set_feed(self, schedule: FeedSchedule) -> None:
        """From now on ticks are due by this schedule."""
        await self._control(replace(self.controls, feed=schedule))

    async def stall_feed(self, for_s: float) -> None:
        """No tick goes out for so long."""
        until_ns = time.monotonic_ns() + int(for_s * 1e9)
        await self._control(replace(self.controls, feed_stalled_until_ns=until_ns))

    async def drop(self, share: float) -> int:
        """Makes all pods cut that share of their clients at once; returns how many those were."""
        self._drops += 1
        seed = self._scenario.fleet.seed * 1_000 + self._drops
        pods = [pod for pod in self.pods if pod.running and not pod.paused]
        return sum(await asyncio.gather(*(pod.drop(share, seed + pod.index * 100) for pod in pods)))

    async def _control(self, controls: Controls) -> None:
        self.controls = controls
        await asyncio.gather(*(pod.control(controls) for pod in self.pods if pod.running and not pod.paused))

    async def _start(self, pod: Pod) -> None:
        controls = self.controls
        await pod.start(controls)
        await pod.await_ready()
        if controls != self.controls:
            await pod.control(self.controls)

    def _new_pod(self, index: int, host: PodHost) -> Pod:
        gateway, feed = self._scenario.gateway, self._scenario.feed
        name = f"pod-{index}"
        settings = Settings(
            name=name,
            token=self._token,
            cpu=gateway.cpu,
            snapshot_bytes=gateway.snapshot_bytes,
            rate_hz=feed.rate_hz,
            payload_bytes=feed.payload_bytes,
            event=feed.event,
            backlog=gateway.backlog,
            tick_cpu_us=gateway.tick_cpu_us,
            cancel_gone=gateway.cancel_gone,
            ping_interval_s=gateway.ping_interval_s,
            ping_timeout_s=gateway.ping_timeout_s,
            busy_lag_ms=gateway.busy_lag_ms,
            epoch_ns=self._epoch_ns,
        )
        return Pod(
            index,
            settings,
            host=host,
            log=self._directory / f"{name}.log",
            descriptors=needed_descriptors(self._scenario.fleet.clients),
            http=self._http,
            watch=self._watch,
            on_statistics=self._on_statistics,
        )
