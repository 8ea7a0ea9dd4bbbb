"""The modelled stack, as events see it: the real one's methods, on an engine instead of processes."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from gateway_stub.feed_schedule import FeedSchedule
from gateway_stub.protocol import Admission
from scenarios.events.feed_burst import FeedBurst
from scenarios.events.scale import Scale
from scenarios.limits import limit
from scenarios.model import Scenario
from scenarios.policies import policy
from scenarios.quantities import NameOrTable
from scenarios.simulator.engine import Engine
from scenarios.stability import edge_rules
from scenarios.timeline import strikes

SECOND_NS = 1_000_000_000


class SimulatedPod:
    """One pod, as its keeper sees it."""

    def __init__(self, engine: Engine, index: int) -> None:
        self.index = index
        self.withdrawn = False
        self.ejected = False
        self._engine = engine

    @property
    def running(self) -> bool:
        """Whether there is a process, paused or not."""
        return bool(self._engine.pods.alive[self.index])

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return bool(self._engine.pods.paused[self.index])

    async def is_ready(self, timeout_s: float) -> bool:
        """Whether it says in time that it is ready: the question waits behind the clients."""
        return await self._answers(self._engine.pods.wait_s(self.index), timeout_s)

    async def is_live(self, timeout_s: float) -> bool:
        """Whether it says in time that it is alive: another port, but the same loop."""
        return await self._answers(float(self._engine.pods.turn_s[self.index]), timeout_s)

    async def _answers(self, after_s: float, timeout_s: float) -> bool:
        in_time = self.running and not self.paused and after_s <= timeout_s
        await asyncio.sleep(after_s if in_time else timeout_s)
        return in_time and self.running


class SimulatedGateway:
    """All pods of a modelled run."""

    def __init__(self, engine: Engine, costs_start_s: float) -> None:
        self.pods: list[SimulatedPod] = []
        self._engine = engine
        self._start_s = costs_start_s

    @property
    def running(self) -> list[int]:
        """The pods that are there to stay."""
        return [pod.index for pod in self.pods if pod.running and not pod.withdrawn]

    @property
    def upstream(self) -> list[int]:
        """The pods that the edge is to know: also those that have died."""
        return [pod.index for pod in self.pods if not (pod.withdrawn or pod.ejected)]

    @property
    def addresses(self) -> list[str]:
        """Their names."""
        return [f"pod-{index}" for index in self.upstream]

    def begin(self, count: int) -> None:
        """So many pods are there from the beginning, and have everybody."""
        self.pods = [SimulatedPod(self._engine, index) for index in range(count)]
        self._engine.settle(self.upstream)

    async def add(self, count: int) -> int:
        """Starts so many more pods; returns their number once they are ready."""
        added = [SimulatedPod(self._engine, len(self.pods) + place) for place in range(count)]
        self.pods += added
        await asyncio.sleep(self._start_s)
        for pod in added:
            self._engine.start_pod(pod.index)
        return count

    async def kill(self, index: int) -> int:
        """Ends a pod at once; returns how many clients it had."""
        return self._engine.end_pod(index)

    async def terminate(self, index: int) -> int:
        """Ends a pod in order, which for its clients is the same."""
        return self._engine.end_pod(index)

    async def restart(self, index: int) -> None:
        """Starts a pod that has ended; returns once it is ready."""
        await asyncio.sleep(self._start_s)
        self._engine.start_pod(index)

    async def pause(self, index: int) -> None:
        """Stops a pod in its tracks."""
        self._engine.pause_pod(index)

    async def resume(self, index: int) -> None:
        """Lets a paused pod go on."""
        self._engine.resume_pod(index)

    def withdraw(self, indices: Iterable[int]) -> None:
        """These pods leave for good."""
        for index in indices:
            self.pods[index].withdrawn = True

    async def set_admission(self, admission: Admission) -> None:
        """From now on pods turn away whom this says."""
        self._engine.admission = admission

    async def stall_feed(self, for_s: float) -> None:
        """No tick goes out for so long."""
        self._engine.stalled_until_s = self._engine.now_s + for_s

    async def drop(self, share: float) -> int:
        """Makes all pods cut that share of their clients at once; returns how many those were."""
        return self._engine.drop(share)


class SimulatedNginx:
    """The modelled edge."""

    def __init__(self, engine: Engine, stack: "SimulatedStack") -> None:
        self._engine = engine
        self._stack = stack

    async def reload(self) -> None:
        """Changes nothing but what its kind of front forgets: connections stay."""
        self._stack.reload()

    async def stop(self) -> None:
        """Ends it, and all connections with it."""
        self._engine.end_edge()

    async def start_again(self) -> None:
        """Starts it, with empty buckets."""
        self._engine.edge_is_up = True


class SimulatedGenerator:
    """The modelled clients."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def push_policy(self, spec: NameOrTable, reach_s: float = 0.0) -> None:
        """Gives every client another reconnect policy, the last one after `reach_s`."""
        self._engine.push_policy(policy(spec), reach_s)

    async def close_books(self) -> None:
        """Ends the accounting at this moment."""
        self._engine.close_books()


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
        self._limit: NameOrTable = "none"
        self._routed = scenario.gateway.pods
        """How many pods the edge knows: a limit's rate may follow from it."""
        self.gateway = self.own_gateway = SimulatedGateway(engine, engine.costs.pod_start_s)
        self.nginx = self.own_nginx = SimulatedNginx(engine, self)
        self.generator = SimulatedGenerator(engine)

    async def begin(self) -> None:
        """From now on handshakes cost something, and the scenario's limit is in force."""
        self._engine.charge_handshakes(self.scenario.gateway.handshake_cpu_ms / 1000)
        if self.scenario.edge.limit != "none":
            await self.set_limit(self.scenario.edge.limit)

    async def route(self) -> None:
        """Makes the edge send new connections to the pods that are there now."""
        upstream = self.gateway.upstream
        self._engine.route(upstream)
        self._routed = len(upstream)
        self.reload()

    async def set_limit(self, spec: NameOrTable) -> None:
        """Puts another limit in force: at the edge, and at the pods."""
        self._limit = spec
        self.reload()
        await self.gateway.set_admission(limit(spec).admission)

    def reload(self) -> None:
        """The edge reads its configuration: the present limit, with a rate for the pods that it knows."""
        edge = replace(self.scenario.edge, limit=self._limit)
        gateway = replace(self.scenario.gateway, pods=max(1, self._routed))
        self._engine.set_rules(edge_rules(replace(self.scenario, edge=edge, gateway=gateway)))

    async def burst_feed(self, factor: float, for_s: float) -> None:
        """The feed's rate is `factor` times its own from now on, for so long."""
        rate_hz = self.scenario.feed.rate_hz
        begin_ns = int(self._engine.now_s * SECOND_NS)
        burst = self._feed.changed(begin_ns, rate_hz * factor)
        self._feed = burst.changed(begin_ns + int(for_s * SECOND_NS), rate_hz)
        self._engine.set_feed(due_times(self._feed, len(self._engine.sessions.due_s)))


def due_times(feed: FeedSchedule, ticks: int) -> Any:
    """When each of so many ticks is due, in seconds."""
    return feed.due_ns_of(range(ticks)) / SECOND_NS


def most_pods(scenario: Scenario) -> int:
    """How many pods there ever are: one that has left does not come back."""
    running = ever = scenario.gateway.pods
    scales = [strike.event for strike in strikes(scenario) if isinstance(strike.event, Scale)]
    for scale in scales:
        ever += max(0, scale.pods - running)
        running = scale.pods
    return ever


def most_ticks(scenario: Scenario, seconds: int) -> int:
    """How many ticks can come due in so many seconds, with all bursts."""
    bursts = [strike.event for strike in strikes(scenario) if isinstance(strike.event, FeedBurst)]
    extra_s = sum(burst.factor * burst.for_s for burst in bursts)
    return int(scenario.feed.rate_hz * (seconds + extra_s)) + 10
