"""The modelled stack, as events see it: the real one's methods, on an engine instead of processes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

import numpy as np
from msgspec.structs import replace

from gateway_stub.feed_schedule import FeedSchedule
from gateway_stub.protocol import Admission
from scenarios.events.deploy import Deploy
from scenarios.events.feed import FeedBurst
from scenarios.events.pod import KillPod
from scenarios.events.scale import Scale
from scenarios.events.stack import ProbeSettings
from scenarios.fields import NameOrTable
from scenarios.limits.registry import limit
from scenarios.policies.registry import policy
from scenarios.scenario.model import Scenario
from scenarios.scenario.stability import edge_limits
from scenarios.scenario.timeline import strikes
from scenarios.simulator.drains.by_pods import drain
from scenarios.simulator.drains.by_proxy import cut_later
from scenarios.simulator.engine import Engine
from scenarios.stack.expected import expecting, in_upstream, leaving, staying
from scenarios.stack.probes import Orchestrator, ProbesInForce

SECOND_NS = 1_000_000_000


class SimulatedPod:
    """One pod, as its keeper sees it; its life is that of a real one."""

    def __init__(self, engine: Engine, index: int, start_s: float) -> None:
        self.index = index
        self.withdrawn = False
        self.ejected = False
        self.leaving = 0
        """How many keep it out of the upstream."""
        self.entered = False
        """It has been ready once."""
        self.expected = 0
        """How many are about to start it."""
        self._engine = engine
        self._start_s = start_s
        self._process: object | None = None
        self._ready_s = 0.0
        self._pauses = 0
        self._goes_on = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether there is a process, ready or not, paused or not."""
        return self._process is not None

    @property
    def ready(self) -> bool:
        """Whether it takes clients."""
        return bool(self._engine.pods["alive"][self.index])

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._pauses > 0

    def settle(self) -> None:
        """It is there from the beginning."""
        self._process, self.entered = object(), True

    async def start(self) -> None:
        """Returns once it is ready, or has been ended meanwhile; starts it where that has to be done."""
        if self._process is None and not self.withdrawn:
            self._process = object()
            self._ready_s = asyncio.get_running_loop().time() + self._start_s
        process = self._process
        while process is not None and self._process is process and not self.ready:
            left_s = self._ready_s - asyncio.get_running_loop().time()
            if left_s > 0:
                await asyncio.sleep(left_s)
            elif self.paused:
                self._goes_on.clear()
                await self._goes_on.wait()
            else:
                self._engine.start_pod(self.index)
                self.entered = True

    def end(self) -> int:
        """Ends it at once; returns how many clients it had."""
        if self._process is None:
            return 0
        self._process, self._pauses = None, 0
        self._goes_on.set()
        return self._engine.end_pod(self.index)

    def pause(self) -> object | None:
        """It stands still until as many have resumed it as have paused it; returns its process."""
        if self._process is not None:
            self._pauses += 1
            self._engine.pause_pod(self.index)
        return self._process

    def resume(self, paused: object | None) -> None:
        """The process goes on, if it still is there and nobody else keeps it."""
        if paused is None or self._process is not paused:
            return
        self._pauses -= 1
        if not self._pauses:
            self._engine.resume_pod(self.index)
            self._goes_on.set()

    async def is_ready(self, timeout_s: float) -> bool:
        """Whether it says in time that it is ready: the question waits behind the clients."""
        return await self._answers(self._engine.wait_s(self.index), timeout_s)

    async def is_live(self, timeout_s: float) -> bool:
        """Whether it says in time that it is alive: another port, but the same loop."""
        return await self._answers(self._engine.turn_s(self.index), timeout_s)

    async def _answers(self, after_s: float, timeout_s: float) -> bool:
        in_time = self.ready and not self.paused and after_s <= timeout_s
        await asyncio.sleep(after_s if in_time else timeout_s)
        return in_time and self.ready


class SimulatedGateway:
    """All pods of a modelled run."""

    def __init__(self, engine: Engine, costs_start_s: float) -> None:
        self.pods: list[SimulatedPod] = []
        self.replacing = asyncio.Lock()
        self._engine = engine
        self._start_s = costs_start_s

    @property
    def running(self) -> list[int]:
        """The pods that are there to stay."""
        return staying(self.pods)

    @property
    def upstream(self) -> list[int]:
        """The pods that the edge is to know."""
        return [pod.index for pod in in_upstream(self.pods)]

    @property
    def addresses(self) -> list[str]:
        """Their names."""
        return [f"pod-{index}" for index in self.upstream]

    def begin(self, count: int) -> None:
        """So many pods are there from the beginning, and have everybody."""
        self.pods = [SimulatedPod(self._engine, index, self._start_s) for index in range(count)]
        for pod in self.pods:
            pod.settle()
        self._engine.settle(self.upstream)

    async def add(self, count: int) -> int:
        """Starts so many more pods; returns their number once they are ready, or ended meanwhile."""
        first = len(self.pods)
        added = [SimulatedPod(self._engine, first + place, self._start_s) for place in range(count)]
        self.pods += added
        await asyncio.gather(*(pod.start() for pod in added))
        return count

    def coming_back(self, index: int) -> AbstractContextManager[None]:
        """As long as this lasts, the pod counts as one that is there to stay, dead or not."""
        return expecting(self.pods[index : index + 1])

    def leaving(self, indices: Iterable[int]) -> AbstractContextManager[None]:
        """As long as this lasts, the edge is to send nobody to these pods; `route` tells it."""
        return leaving([self.pods[index] for index in indices])

    async def kill(self, index: int) -> int:
        """Ends a pod at once; returns how many clients it had."""
        return self.pods[index].end() if index < len(self.pods) else 0

    async def terminate(self, index: int, drain_s: float = 0.0) -> int:
        """Ends a pod in order: at once, or when it has closed its sessions."""
        drained = await self.drain([index], drain_s) if drain_s else 0
        return max(drained, self.pods[index].end())

    async def drain(self, indices: Iterable[int], window_s: float, close_code: int | None = None) -> int:
        """Makes pods close their clients' sessions evenly over the window; returns how many, at its end."""
        return await drain(self._engine, indices, window_s, close_code)

    async def restart(self, index: int) -> bool:
        """Starts a pod that has ended; returns once it is ready, and whether it is there."""
        if index >= len(self.pods):
            return False
        await self.pods[index].start()
        return self.pods[index].running

    @asynccontextmanager
    async def paused(self, index: int) -> AsyncIterator[None]:
        """Stops a pod in its tracks, and lets it go on in the end."""
        if index >= len(self.pods):
            yield
            return
        pod = self.pods[index]
        process = pod.pause()
        try:
            yield
        finally:
            pod.resume(process)

    def withdraw(self, indices: Iterable[int]) -> None:
        """These pods leave for good."""
        for index in indices:
            self.pods[index].withdrawn = True

    async def set_admission(self, admission: Admission) -> None:
        """From now on pods turn away whom this says."""
        self._engine.admission = admission


class SimulatedNginx:
    """The modelled edge."""

    def __init__(self, engine: Engine, stack: "SimulatedStack") -> None:
        self._engine = engine
        self._stack = stack

    async def reload(self) -> None:
        """Changes nothing but what its kind of proxy forgets: connections stay."""
        self._stack.reload()

    async def stop(self) -> None:
        """Ends it, and all connections with it, unless it is down."""
        if self._engine.edge_is_up:
            self._engine.end_edge()

    async def start_again(self) -> None:
        """Starts it, with empty buckets, unless it is up."""
        self._engine.edge_is_up = True

    async def rotate_certificate(self) -> None:
        """Gives it another certificate, by a reload."""
        self._engine.edge.rotate_certificate()
        self._stack.reload()


class SimulatedGenerator:
    """The modelled clients."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def push_policy(self, spec: NameOrTable, reach_s: float = 0.0, group: str = "") -> None:
        """Gives every client, or those of a group, another reconnect policy, the last one after `reach_s`."""
        self._engine.push_policy(policy(spec), reach_s, group)

    async def finalise(self) -> None:
        """Ends the accounting at this moment."""
        self._engine.finalise()


class SimulatedStack:
    """Gateway, nginx and generator of one modelled run; has what events ask of a `Stack`."""

    def __init__(
        self,
        scenario: Scenario,
        engine: Engine,
        feed: FeedSchedule,
        note: Callable[..., Any],
    ) -> None:
        self.scenario = scenario
        self.note = note
        self._engine = engine
        self._feed = feed
        self._probes = ProbesInForce()
        self._limit: NameOrTable = "none"
        self._routed = scenario.gateway.pods
        """How many pods the edge knows: a limit's rate may follow from it."""
        self.gateway = self.own_gateway = SimulatedGateway(engine, engine.costs.pod_start_s)
        self.nginx = self.own_nginx = SimulatedNginx(engine, self)
        self.generator = SimulatedGenerator(engine)

    async def begin(self) -> None:
        """From now on handshakes cost something, and the scenario's limit is in force."""
        self._engine.charge_handshakes(self.scenario.gateway.handshake_cpu_ms / 1000)
        spec = self._limit = self.scenario.edge.limit
        if spec != "none":
            self._configure()
            await self.gateway.set_admission(limit(spec).admission)

    async def route(self) -> None:
        """Makes the edge send new connections to the pods that are there now; the last ones never go."""
        if upstream := self.gateway.upstream:
            self._engine.route(upstream)
            self._routed = len(upstream)
            self.reload()

    async def watch_probes(self, probes: ProbeSettings) -> None:
        """Asks the pods how they are, and acts on it, until others do or it is cancelled."""
        await self._probes.run(Orchestrator(probes, self.gateway, route=self.route, note=self.note))

    async def set_limit(self, spec: NameOrTable) -> None:
        """Puts another limit in force: at the edge, and at the pods."""
        self._limit = spec
        self.reload()
        await self.gateway.set_admission(limit(spec).admission)

    def reload(self) -> None:
        """The edge reads its configuration; what its old workers have may be cut after a time."""
        self._configure()
        if timeout_s := self.scenario.edge.cuts_after_reload_s:
            cut_later(self._engine, timeout_s)

    def _configure(self) -> None:
        """The present limit is in force, with a rate for the pods that the edge knows."""
        edge = replace(self.scenario.edge, limit=self._limit)
        gateway = replace(self.scenario.gateway, pods=max(1, self._routed))
        self._engine.set_limits(edge_limits(replace(self.scenario, edge=edge, gateway=gateway)))

    async def drop(self, share: float) -> dict[str, Any]:
        """Makes all pods cut that share of their clients at once; returns how many those were."""
        return {"dropped": self._engine.drop(share)}

    async def stall_feed(self, for_s: float) -> None:
        """No tick goes out for so long."""
        self._engine.stall_feed(for_s)
        await asyncio.sleep(for_s)

    async def burst_feed(self, factor: float, for_s: float) -> None:
        """The feed's rate is `factor` times its own from now on, for so long."""
        rate_hz = self.scenario.feed.rate_hz
        begin_ns = int(self._engine.now_s * SECOND_NS)
        burst = self._feed.changed(begin_ns, rate_hz * factor)
        self._feed = burst.changed(begin_ns + int(for_s * SECOND_NS), rate_hz)
        self._engine.set_feed(due_times(self._feed, self._engine.ticks))
        await asyncio.sleep(for_s)


def due_times(feed: FeedSchedule, ticks: int) -> Any:
    """When each of so many ticks is due, in nanoseconds."""
    return np.asarray(feed.due_ns_of(range(ticks)), np.int64)


def most_pods(scenario: Scenario) -> int:
    """How many pods there ever are, at the most: each has an index of its own.

    A kill may find a pod dead, and a dead pod may be brought back.
    """
    fewest = held = ever = scenario.gateway.pods
    for strike in strikes(scenario):
        match strike.event:
            case Scale(pods=pods):
                ever += max(0, pods - fewest)
                held += pods - fewest
                fewest = pods
            case KillPod(restart=False):
                fewest = max(0, fewest - 1)
            case Deploy():
                ever += held
    return ever


def most_ticks(scenario: Scenario, seconds: int) -> int:
    """How many ticks can come due in so many seconds, with all bursts."""
    bursts = [strike.event for strike in strikes(scenario) if isinstance(strike.event, FeedBurst)]
    extra_s = sum(burst.factor * burst.for_s for burst in bursts)
    return int(scenario.feed.rate_hz * (seconds + extra_s)) + 10
