"""Scenario → run directory, predicted: the same timeline and the same books, on a model in virtual time."""

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from gateway_stub.feed_schedule import FeedSchedule
from gateway_stub.protocol import PodStatistics
from reports.record import RunInfo, RunWriter
from scenarios.clients.messages import Interval, Samples
from scenarios.collector import SECOND_NS, Collector
from scenarios.model import Scenario
from scenarios.phases import phases_of
from scenarios.policies import policy
from scenarios.secrets import command_without_secrets, without_secrets
from scenarios.simulator.costs import Costs
from scenarios.simulator.engine import Engine
from scenarios.simulator.stack import SimulatedStack, due_times, most_pods
from scenarios.simulator.virtual_time import run_in_virtual_time
from scenarios.stability import stability
from scenarios.stack import machine
from scenarios.stack.cpu import CpuShares
from scenarios.timeline import Timeline

ZERO_S = 3
"""Where the steady state begins, in seconds of the model."""

_SERVED = 0.90
_WELL_SERVED = 0.99
_INTO_THE_SECOND_S = 0.05


class Prediction(Struct, frozen=True, kw_only=True):
    """One run to predict."""

    scenario: Scenario
    directory: Path
    arm: str
    round: int = 1
    control: bool = False
    costs: Costs = Costs()
    slot_s: float | None = None
    """None chooses by the number of clients."""


def simulate(plan: Prediction, on_second: Callable[[int, int], None] = lambda _done, _all: None) -> RunInfo:
    """Predicts a run and writes its directory; `on_second(done, all)` is called after every second."""
    return run_in_virtual_time(_Conductor(plan, on_second).conduct())


def slot_s_of(clients: int) -> float:
    """Short enough for the storm of so many, long enough for its arrays to be worth their while."""
    return 0.01 if clients <= 2_000 else 0.02 if clients <= 200_000 else 0.05


class _Conductor:
    def __init__(self, plan: Prediction, on_second: Callable[[int, int], None]) -> None:
        self.plan = plan
        self.scenario = scenario = plan.scenario
        self._on_second = on_second
        info = RunInfo(
            scenario=without_secrets(scenario),
            arm=plan.arm,
            round=plan.round,
            control=plan.control,
            predicted=True,
            seed=scenario.fleet.seed,
            started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=machine.versions(),
            machine={"model": msgspec.to_builtins(plan.costs)},
            stability=msgspec.to_builtins(stability(scenario, plan.costs.tick_cpu_s)),
            command=command_without_secrets(sys.argv[1:]),
        )
        self.writer = RunWriter(plan.directory, info)
        self.collector = Collector(self.writer, 0)
        self.collector.zero = ZERO_S
        self.seconds = ZERO_S + scenario.phases.duration_s
        self.seconds = max(self.seconds, ZERO_S + scenario.phases.rescue_at_s + scenario.phases.rescue_s)
        feed = FeedSchedule.of(0, scenario.feed.rate_hz)
        bursts = sum(
            event.factor * event.for_s * event.times
            for event in scenario.event
            if event.name == "feed_burst"  # type: ignore[union-attr]
        )
        ticks = int(scenario.feed.rate_hz * (self.seconds + 5 + bursts)) + 10
        self.engine = Engine(
            scenario,
            plan.costs,
            policy=policy(scenario.fleet.policy),
            pods=most_pods(scenario),
            slot_s=plan.slot_s or slot_s_of(scenario.fleet.clients),
            seconds=self.seconds + 10,
            due_s=due_times(feed, ticks),
        )
        self.stack = SimulatedStack(scenario, self.engine, feed, self._note)
        self.end_s = scenario.phases.duration_s
        self._last = {name: counts.copy() for name, counts in self.engine.counted.items()}

    async def conduct(self) -> RunInfo:
        """Plays the run; what was computed is written also where it is interrupted."""
        writer = self.writer
        try:
            await self._play()
            writer.info.status = "complete"
        except (asyncio.CancelledError, KeyboardInterrupt):
            writer.info.status, writer.info.problem = "interrupted", "stopped by the user"
            raise
        except BaseException as error:
            writer.info.status, writer.info.problem = "interrupted", repr(error)
            raise
        finally:
            self._finish()
        return writer.info

    async def _play(self) -> None:
        self.stack.gateway.begin(self.scenario.gateway.pods)
        moving = asyncio.create_task(self._move())
        try:
            await asyncio.sleep(1)
            await self.stack.begin()
            self._set_phases()
            await self._until(0, 0)
            self.writer.event(0, "steady", clients=self.scenario.fleet.clients)
            timeline = Timeline(
                self.scenario, self.stack, until=self._until, now_s=self._now_s, note=self._note  # type: ignore[arg-type]
            )
            striking = asyncio.create_task(timeline.play())
            ending = asyncio.create_task(self._to_the_end())
            try:
                done, _ = await asyncio.wait({striking, ending, moving}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                await ending
            finally:
                for task in (striking, ending):
                    task.cancel()
                await asyncio.gather(striking, ending, return_exceptions=True)
                self.writer.info.trigger_end_s = timeline.trigger_end_s
            self._set_phases(end_s=self.end_s)
            self.engine.close_books()
        finally:
            moving.cancel()
            await asyncio.gather(moving, return_exceptions=True)

    async def _move(self) -> None:
        """The engine goes with the clock, a slot at a time."""
        loop, engine = asyncio.get_running_loop(), self.engine
        while True:
            await asyncio.sleep(max(0.0, engine.now_s + engine.slot_s - loop.time()))
            before = int(engine.now_s + 1e-9)
            engine.step()
            if int(engine.now_s + 1e-9) != before:
                self._report(before)

    async def _to_the_end(self) -> None:
        phases = self.scenario.phases
        if self.scenario.trigger_s is not None and phases.rescue_at_s:
            await self._until(phases.rescue_at_s)
            if self._served_lately(3) < _SERVED:
                self.end_s = phases.rescue_at_s + phases.rescue_s
                await self._rescue()
            else:
                self.end_s = await self._until_well()
        await self._until(self.end_s)

    async def _until_well(self) -> int:
        phases = self.scenario.phases
        for second in range(phases.rescue_at_s, phases.duration_s):
            await self._until(second)
            if self._served_lately(phases.recovery_window_s + 2, worst=True) >= _WELL_SERVED:
                return second
        return phases.duration_s

    async def _rescue(self) -> None:
        phases = self.scenario.phases
        await self.stack.generator.close_books()
        await self.stack.generator.push_policy(phases.rescue_policy)
        self.writer.info.rescued_at_s = phases.rescue_at_s
        self._set_phases()
        self.writer.event(self._now_s(), "rescue", policy=phases.rescue_policy)

    async def _until(self, t_s: float, into_s: float = _INTO_THE_SECOND_S) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, ZERO_S + t_s + into_s - loop.time()))

    def _now_s(self) -> float:
        return self.engine.now_s - ZERO_S

    def _note(self, name: str, **details: Any) -> None:
        self.writer.event(self._now_s(), name, **details)

    def _set_phases(self, end_s: int | None = None) -> None:
        info = self.writer.info
        info.trigger_s, info.phases = phases_of(
            self.scenario, first_s=-ZERO_S, end_s=end_s, rescued=info.rescued_at_s is not None
        )
        self.writer.save()

    def _served_lately(self, seconds: int, *, worst: bool = False) -> float:
        last = int(self.engine.now_s)
        rows = [self.collector.row(second) for second in range(last - seconds, last)]
        shares = [row.get("useful", 0.0) / self.scenario.fleet.clients for row in rows]
        return float(min(shares) if worst else sum(shares) / len(shares))

    def _report(self, second: int) -> None:
        engine = self.engine
        self.collector.on_interval(
            engine.ledger.take_interval(second, connected_by_group=engine.joined_by_group)
        )
        cpu, occupied, lag, late = engine.take_pod_second()
        differences = {name: counts - self._last[name] for name, counts in engine.counted.items()}
        self._last = {name: counts.copy() for name, counts in engine.counted.items()}
        for pod in np.flatnonzero(engine.pods.alive & ~engine.pods.paused).tolist():
            self.collector.on_pod(
                pod,
                PodStatistics(
                    t_ns=(second + 1) * SECOND_NS,
                    span_ns=SECOND_NS,
                    cpu_ns=int(cpu[pod] * 1e9),
                    occupied_ns=min(SECOND_NS, int(occupied[pod] * 1e9)),
                    lag_ms=float(lag[pod] * 1000),
                    clients=int(engine.pods.joined[pod]),
                    tick_late_ms=float(late[pod] * 1000),
                    **{name: int(counts[pod]) for name, counts in differences.items()},
                ),
            )
        self.collector.on_cpu(
            second, CpuShares(nginx=engine.take_nginx_cpu_s(), generator=0.0, foreign=0.0, steal=0.0)
        )
        self.collector.write_until(second)
        self._on_second(second + 1, self.seconds)

    def _finish(self) -> None:
        info, collector = self.writer.info, self.collector
        effective, censored = self.engine.ledger.take_latencies()
        empty = Samples()
        last = collector.latest
        if last is not None:
            collector.on_interval(
                Interval(
                    second=last.second,
                    clients=last.clients,
                    connected=last.connected,
                    useful=None,
                    attempts=0,
                    attempts_per_slot=(0,),
                    outcomes={},
                    disconnects={},
                    neighbours=last.neighbours,
                    ticks=0,
                    missed=0,
                    fanout=empty,
                    effective=effective,
                    censored=censored,
                    attempt_durations={},
                    loop_lag=empty,
                    retry_late=empty,
                )
            )
        end = int(self.engine.now_s)
        if info.phases:
            reached = int(self.engine.now_s) - ZERO_S
            info.phases = tuple(
                msgspec.structs.replace(phase, to_s=min(phase.to_s, reached))
                for phase in info.phases
                if phase.from_s < reached
            )
            end = ZERO_S + info.phases[-1].to_s
        limited = {
            second: int(self.collector.row(second).get("limited", 0) - self.collector.row(second).get("pod_shed", 0))
            for second in range(end)
        }
        info.nginx_limited = sum(limited.values())
        collector.finish(end, limited)
        self.writer.save()
        self.writer.close()
