"""The gateway: all pods of a run, and what is in force at them."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
from msgspec.structs import replace

from gateway_stub.feed_schedule import FeedSchedule
from gateway_stub.protocol import Admission, Controls, Settings
from scenarios.host.hosts import PodHost, PodHosts
from scenarios.host.machine import needed_descriptors
from scenarios.host.process import Child, LocalChild, StackError, Watch
from scenarios.limits.registry import limit
from scenarios.programs.kept import KeptProgram
from scenarios.programs.tree import Connections, listens_elsewhere
from scenarios.proxies.sidecars import Sidecars
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact import secrets_of
from scenarios.scenario.redact_text import hide, shown_text
from scenarios.stack.expected import expecting, in_upstream, leaving, staying
from scenarios.stack.own_pod import OwnPod
from scenarios.stack.pod import Pod
from scenarios.stack.stub_pod import StubPod
from scenarios.wire.pod_second import PodSecond

_CONTROL_TIMEOUT_S = 60.0
"""A pod under a storm answers when its loop comes to it."""
_LEAVE_POLL_S = 0.05
_MOST_LETTERS = 300
"""Of a line that a pod said last."""


async def _nowhere() -> None:
    """There is no proxy yet."""


NO_VALUES: Mapping[str, str | int | float] = MappingProxyType({})


class Gateway:
    """Pods by index; an index is never used for another pod.

    Whatever is done to pods may overlap, in any order. A pod takes orders while it is ready and not paused;
    one that becomes ready, or goes on, is brought up to date. Nothing happens to a pod that is not there yet.

    on_second: called with a pod's index and what is known of its latest second. sidecars: what stands
    beside the pods; they begin and end with them. note: writes an event of the run. values: of placeholders
    in the command of a user's own gateway. cores: for its pods.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        epoch_ns: int,
        directory: Path,
        hosts: PodHosts,
        watch: Watch,
        on_second: Callable[[int, PodSecond], None],
        note: Callable[..., Any],
        sidecars: Sidecars | None = None,
        values: Mapping[str, str | int | float] = NO_VALUES,
        cores: tuple[int, ...] = (),
    ) -> None:
        self.pods: list[Pod] = []
        self.controls = Controls(
            feed=FeedSchedule.of(epoch_ns, scenario.feed.rate_hz),
            # A window would count the ramp; see `Stack.begin`.
            admission=replace(limit(scenario.edge.limit).admission, window_connections=0),
        )
        self._scenario = scenario
        self._epoch_ns = epoch_ns
        self._directory = directory
        self._hosts = hosts
        self._watch = watch
        self._on_second = on_second
        self._note = note
        self._sidecars = sidecars
        self._values = values
        self._cores = cores
        self._token = secrets.token_urlsafe(24)
        self._drops = 0
        self._connections = Connections()
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_CONTROL_TIMEOUT_S))
        self.route: Callable[[], Awaitable[None]] = _nowhere
        """Makes the proxy send new connections to the pods that are there now; set once there is a proxy."""
        self.replacing = asyncio.Lock()
        """See `Pods.replacing`."""
        self._tolerant = False
        """Pods of a user's own may end by themselves."""

    async def start(self) -> None:
        """Starts all pods; returns once each says that it is ready. Handshakes are free until charged.

        Whoever calls it has to stop the gateway, also where this fails.
        """
        self._directory.mkdir()
        await self.add(self._scenario.gateway.pods)

    @property
    def running(self) -> list[int]:
        """The pods that are there to stay."""
        return staying(self.pods)

    @property
    def addresses(self) -> list[str]:
        """Where the pods in the upstream are.

        Where there are sidecars, nginx knows of these alone.
        """
        sidecars = self._sidecars
        return [sidecars.address(pod.index) if sidecars else pod.address for pod in in_upstream(self.pods)]

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
        """Starts so many more pods; returns their number once all are ready, or have been ended meanwhile."""
        hosts = await self._free_hosts(count)
        added = [self._new_pod(index, host) for index, host in enumerate(hosts, len(self.pods))]
        # Who counts pods from now on counts these.
        self.pods += added
        with expecting(added):
            if self._sidecars:
                await self._sidecars.add(added)
            await asyncio.gather(*map(self._start, added))
        return count

    def coming_back(self, index: int) -> AbstractContextManager[None]:
        """As long as this lasts, the pod counts as one that is there to stay, dead or not."""
        return expecting(self.pods[index : index + 1])

    def leaving(self, indices: Iterable[int]) -> AbstractContextManager[None]:
        """As long as this lasts, nginx is to send nobody to these pods; `Stack.route` tells it."""
        return leaving([self.pods[index] for index in indices])

    async def kill(self, index: int) -> int:
        """Ends a pod with SIGKILL; returns how many clients it had."""
        return await self.pods[index].end(at_once=True) if index < len(self.pods) else 0

    async def terminate(self, index: int, drain_s: float = 0.0) -> int:
        """Ends a pod with SIGTERM; returns how many clients it had.

        drain_s: time for its clients. A pod of the stub first closes their sessions evenly over it; a gateway
        of the user's own does at SIGTERM what it does, and is killed after it.
        """
        pod, own = self.pods[index], self._scenario.own_gateway
        drained = await self.drain([index], drain_s) if drain_s and not own else 0
        grace_s = drain_s if drain_s and own else None
        clients = max(drained, await pod.end(at_once=False, grace_s=grace_s))
        if pod.withdrawn and not pod.left:
            pod.left = True
            if self._sidecars:
                await self._sidecars.remove(index)
            self._hosts.give_back(pod.host)
        return clients

    async def restart(self, index: int) -> bool:
        """Starts a pod that has ended, on its old ports; returns once it is ready.

        One that somebody else has started is only waited for, and one that has left for good stays away.
        Returns whether it is there.
        """
        if index >= len(self.pods):
            return False
        pod = self.pods[index]
        await self._start(pod)
        return pod.running

    @asynccontextmanager
    async def paused(self, index: int) -> AsyncIterator[None]:
        """Stops a pod in its tracks, and lets it go on in the end, with what has been put in force meanwhile.

        Where it is killed, its next process is not paused; where it is paused by several, the last one lets
        it go on.
        """
        if index >= len(self.pods):
            yield
            return
        pod = self.pods[index]
        child = await pod.pause()
        try:
            yield
        finally:
            await pod.resume(child)
            if pod.takes_orders:
                await self._bring_up_to_date(pod)

    def withdraw(self, indices: Iterable[int]) -> None:
        """These pods leave for good."""
        for index in indices:
            self.pods[index].withdrawn = True

    async def stop(self) -> None:
        """Ends all pods."""
        try:
            await asyncio.gather(*(pod.release() for pod in self.pods if isinstance(pod, OwnPod)))
            await asyncio.gather(*(pod.end(at_once=False) for pod in self.pods))
            if self._sidecars:
                await self._sidecars.stop()
        finally:
            await self._http.close()

    async def _free_hosts(self, count: int) -> list[PodHost]:
        while True:
            try:
                return self._hosts.free(count)
            except StackError:
                if all(pod.left for pod in self.pods if pod.withdrawn):
                    raise
            # Who leaves gives back a place.
            await asyncio.sleep(_LEAVE_POLL_S)

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
        # A shorter stall does not end a longer one.
        until_ns = max(until_ns, self.controls.feed_stalled_until_ns)
        await self._control(replace(self.controls, feed_stalled_until_ns=until_ns))

    async def drop(self, share: float) -> int:
        """Makes all pods cut that share of their clients at once; returns how many those were.

        A pod that starts has none, and one that is paused cuts none.
        """
        seed = self._next_seed()
        pods = [pod for pod in self.pods if pod.takes_orders]
        return sum(await asyncio.gather(*(pod.drop(share, seed + pod.index * 100) for pod in pods)))

    async def drain(self, indices: Iterable[int], window_s: float, close_code: int | None = None) -> int:
        """Makes pods close their clients' sessions evenly over the window; returns how many, at its end."""
        seed = self._next_seed()
        pods = [pod for pod in (self.pods[index] for index in indices) if pod.takes_orders]
        counts = await asyncio.gather(
            *(pod.drain(window_s, close_code, seed + pod.index * 100) for pod in pods)
        )
        await asyncio.sleep(window_s)
        return sum(counts)

    def _next_seed(self) -> int:
        self._drops += 1
        return self._scenario.fleet.seed * 1_000 + self._drops

    async def _control(self, controls: Controls) -> None:
        self.controls = controls
        pods = [pod for pod in self.pods if pod.takes_orders]
        await asyncio.gather(*map(self._bring_up_to_date, pods))

    async def _bring_up_to_date(self, pod: Pod) -> None:
        """Tells a pod what is in force, until it knows the latest, is paused, or is ended."""
        child = pod.child
        async with pod.telling:
            while child is not None and pod.has(child) and not pod.paused:
                controls = self.controls
                if controls == pod.in_force:
                    return
                await pod.control(controls)

    async def _start(self, pod: Pod) -> None:
        with expecting([pod]):
            await pod.start(self.controls)
            child = await pod.await_ready()
            if child is None:
                return
            await self._bring_up_to_date(pod)
            if pod.has(child):
                pod.ready = pod.entered = True

    # -- pods ---------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The fleet is up: from now on a crash of a pod is an outcome of the run, if the scenario says so."""
        self._tolerant = self._scenario.gateway.on_crash != "fail"
        for pod in self.pods:
            if isinstance(pod, OwnPod):
                pod.tolerant = self._tolerant

    def note_addresses(self) -> None:
        """Writes an event for each pod of the user's own that listens on other addresses than loopback."""
        for pod in self.pods:
            if isinstance(pod, OwnPod) and listens_elsewhere(pod.host.port):
                self._note("pod_listens_elsewhere", pod=pod.index, port=pod.host.port)

    async def _crashed(self, index: int, child: KeptProgram) -> None:
        """Writes how a pod has ended by itself, and starts it again if the scenario says so."""
        gateway = self._scenario.gateway
        said = said_last(child.last_lines(), secrets_of(self._scenario))
        self._note("pod_crashed", pod=index, ended=child.how_it_ended, last_lines=said)
        if gateway.on_crash == "leave":
            self.withdraw([index])
            await self.route()
            await self.terminate(index)
            return
        with self.coming_back(index):
            await asyncio.sleep(gateway.crash_restart_s)
            if await self.restart(index):
                self._note("pod_restarted", pod=index, after="crash")

    def _new_pod(self, index: int, host: PodHost) -> Pod:
        log = self._directory / f"pod-{index}.log"
        descriptors = needed_descriptors(self._scenario.fleet.clients)
        if self._scenario.own_gateway:
            own = OwnPod(
                index,
                self._scenario,
                host=host,
                log=log,
                descriptors=descriptors,
                cores=self._cores,
                epoch_ns=self._epoch_ns,
                values=self._values,
                http=self._http,
                connections=self._connections,
                watch=self._watch,
                on_second=self._on_second,
                on_crash=self._crashed,
                note=self._note,
            )
            own.tolerant = self._tolerant
            return own
        return StubPod(
            index,
            self._settings(f"pod-{index}"),
            host=host,
            log=log,
            descriptors=descriptors,
            http=self._http,
            watch=self._watch,
            on_second=self._on_second,
        )

    def _settings(self, name: str) -> Settings:
        gateway, feed = self._scenario.gateway, self._scenario.feed
        return Settings(
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
            token_lifetime_s=gateway.token_lifetime_s,
            epoch_ns=self._epoch_ns,
        )


def said_last(lines: Sequence[str], secrets: Iterable[str]) -> list[str]:
    """The beginning of each line of a log, without secrets and what would steer a terminal."""
    # A secret that is cut would not be found.
    shown = (shown_text(hide(line, secrets))[:_MOST_LETTERS] for line in lines)
    return ["".join(letter if letter.isprintable() else "?" for letter in line) for line in shown]
