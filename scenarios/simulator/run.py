"""Scenario → run directory, predicted: the same timeline and accounting, on a model in virtual time."""

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from gateway_stub.feed_schedule import FeedSchedule
from reports.rundir.memory import MemoryWriter, Tally
from reports.rundir.reader import Run
from reports.rundir.schema import STOPPED_BY_USER, RunInfo
from reports.rundir.writer import RunWriter
from scenarios.host import machine
from scenarios.host.cpu import CpuShares
from scenarios.host.process import first_of
from scenarios.runner.collector import SECOND_NS, Collector
from scenarios.runner.course import Course
from scenarios.runner.pod_columns import PodColumns
from scenarios.runner.proxy_facts import limit_rules
from scenarios.scenario.model import Scenario
from scenarios.scenario.phases import cut_short
from scenarios.scenario.redact import command_without_secrets, without_secrets
from scenarios.scenario.stability import stability
from scenarios.scenario.timeline import strikes
from scenarios.simulator.costs import Costs
from scenarios.simulator.engine import Engine
from scenarios.simulator.stack import SimulatedStack, due_times, most_pods, most_ticks
from scenarios.simulator.virtual_time import run_in_virtual_time
from scenarios.wire.interval import Interval, Samples
from scenarios.wire.merge import add, add_by_key
from scenarios.wire.tick_counts import add_groups, skipped_ticks

ZERO_S = 3
"""Where the steady state begins, in seconds of the model."""

_INTO_THE_SECOND_S = 0.05
_WELL = 0.999
"""Of the clients, and of each cell of them; more than a recovery asks for, so that none is
cut off by a hair."""


OnSecond = Callable[[int, int], None]
"""Called with (done, all) after every second."""


def ignored(_done: int, _all: int) -> None:
    """Tells nobody."""


class Prediction(Struct, frozen=True, kw_only=True):
    """One run to predict."""

    scenario: Scenario
    directory: Path
    arm: str
    round: int = 1
    control: bool = False
    costs: Costs = Costs()
    until_well: bool = False
    """End as soon as a recovery is on record, with everybody served throughout, and nothing is to come."""


def simulate(plan: Prediction, on_second: OnSecond = ignored) -> RunInfo:
    """Predicts a run and writes its directory."""
    writer = RunWriter(plan.directory, _info(plan))
    return _Conductor(plan, on_second, writer).run()


def simulate_in_memory(plan: Prediction, on_second: OnSecond = ignored) -> Run:
    """Predicts a run and writes nothing."""
    writer = MemoryWriter(_info(plan))
    _Conductor(plan, on_second, writer).run()
    return writer.run()


def _info(plan: Prediction) -> RunInfo:
    """What is known of a run before it is played."""
    return RunInfo(
        scenario=without_secrets(plan.scenario),
        arm=plan.arm,
        round=plan.round,
        control=plan.control,
        predicted=True,
        seed=plan.scenario.fleet.seed,
        started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=machine.versions(),
        machine={"model": msgspec.to_builtins(plan.costs)},
        stability=msgspec.to_builtins(stability(plan.scenario, plan.costs.tick_cpu_s)),
        limit_rules=limit_rules(plan.scenario),
        command=command_without_secrets(sys.argv[1:]),
    )


_COUNTED = {
    "handshakes": "handshakes",
    "joined": "joins_done",
    "gone_early": "gone_early",
    "shed": "shed",
    "short_sessions": "short",
    "ticks_sent": "ticks_sent",
}
"""What a pod counts, and where the loop does."""
NANOSECONDS_PER_MS = 1_000_000


class _Conductor:
    def __init__(self, plan: Prediction, on_second: OnSecond, writer: RunWriter) -> None:
        self.plan = plan
        self.scenario = scenario = plan.scenario
        self._on_second = on_second
        self.writer = writer
        self.collector = Collector(self.writer, 0, histogram=Tally)
        self.collector.zero = ZERO_S
        self.seconds = ZERO_S + scenario.phases.duration_s
        self.seconds = max(self.seconds, ZERO_S + scenario.phases.rescue_at_s + scenario.phases.rescue_s)
        feed = FeedSchedule.of(0, scenario.feed.rate_hz)
        self.engine = Engine(
            scenario,
            plan.costs,
            pods=most_pods(scenario),
            seconds=self.seconds + 10,
            due=due_times(feed, most_ticks(scenario, self.seconds)),
        )
        self.stack = SimulatedStack(scenario, self.engine, feed, self._note)
        self._last = self.engine.pods.copy()

    def run(self) -> RunInfo:
        """Plays the run in virtual time."""
        return run_in_virtual_time(self.conduct(), self.engine.run_until)

    async def conduct(self) -> RunInfo:
        """Plays the run; what was computed is written also where it is interrupted."""
        writer = self.writer
        try:
            await self._play()
            writer.info.status = "complete"
        except (asyncio.CancelledError, KeyboardInterrupt):
            writer.info.status, writer.info.problem = "interrupted", STOPPED_BY_USER
            raise
        except BaseException as error:
            told = first_of(error)
            writer.info.status, writer.info.problem = "failed", f"{type(told).__name__}: {told}"
            if told is error:
                raise
            raise told from None
        finally:
            self._finish()
        return writer.info

    async def _play(self) -> None:
        self.stack.gateway.begin(self.scenario.gateway.pods)
        moving = asyncio.create_task(self._move())
        playing = asyncio.create_task(self._play_script())
        try:
            done, _ = await asyncio.wait({playing, moving}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (playing, moving):
                task.cancel()
            await asyncio.gather(playing, moving, return_exceptions=True)

    async def _play_script(self) -> None:
        await asyncio.sleep(1)
        await self.stack.begin()
        course = Course(
            self.scenario,
            self.stack,  # type: ignore[arg-type] # has what events and the course ask of a stack
            self.collector,
            None,
            until=self._until,
            now_s=self._now_s,
            note=self._note,
        )
        course.set_phases()
        await self._until(0)
        self.writer.event(0, "steady", clients=self.scenario.fleet.clients)
        await self._follow(course)
        await self.stack.generator.finalise()

    async def _follow(self, course: Course) -> None:
        """Plays the course to its end or, if that is asked for, until everybody is well."""
        playing = asyncio.create_task(course.play())
        ends = {playing}
        if self.plan.until_well:
            ends.add(asyncio.create_task(self._until_well(course)))
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in ends:
                task.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
        if playing not in done:
            course.set_phases(end_s=max(1, int(self._now_s())))

    async def _until_well(self, course: Course) -> None:
        """Returns once nothing is to come, and a recovery is on record with everybody served throughout."""
        phases = self.scenario.phases
        last_s = max((strike.at_s + strike.event.lasts_s for strike in strikes(self.scenario)), default=0.0)
        last_s += self.scenario.edge.cuts_after_reload_s
        window_s = phases.recovery_window_s + 2
        table = self.engine.table
        served = np.bincount(table.cell[table.is_served])
        clients = int(served.sum())
        # Those behind the most crowded addresses may be few, and have to be back, too.
        fewest = int(served[served > 0].min())
        well = max(clients - (1 - _WELL) * fewest, _WELL * clients)
        for second in range(int(last_s) + 1 + window_s, phases.duration_s + 1):
            await self._until(second)
            # The second that has just ended may still be on its way.
            rows = [self.collector.row(ZERO_S + second - 1 - back) for back in range(1, window_s + 1)]
            if min(row.get("useful", 0.0) for row in rows) >= well and course.recovered(second):
                return
        await asyncio.Event().wait()

    async def _move(self) -> None:
        """Reports every second when it is over."""
        loop = asyncio.get_running_loop()
        for second in count():
            await asyncio.sleep(second + 1 - loop.time())
            self._report(second)

    async def _until(self, t_s: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, ZERO_S + t_s + _INTO_THE_SECOND_S - loop.time()))

    def _now_s(self) -> float:
        return self.engine.now_s - ZERO_S

    def _note(self, name: str, **details: Any) -> None:
        self.writer.event(self._now_s(), name, **details)

    def _report(self, second: int) -> None:
        engine, collector = self.engine, self.collector
        interval = engine.take_interval(second)
        tls = engine.edge.take_handshakes()
        collector.on_interval(replace(interval, tls=tls, **self._due_ticks()))
        collector.on_pods(second, self._pod_columns())
        shares = CpuShares(nginx=engine.take_nginx_cpu_s(), generator=None, foreign=None, steal=0.0)
        collector.on_cpu(second, shares)
        self._on_second(second + 1, self.seconds)

    def _pod_columns(self) -> PodColumns:
        """What each pod that runs did in a second that is over."""
        taken = self.engine.take_pods()
        running = np.flatnonzero(taken["alive"] & ~taken["paused"])
        now, before, self._last = taken[running], self._last[running], taken
        return PodColumns(
            pods=running,
            clients=now["joined"].copy(),
            cpu=now["cpu"] / SECOND_NS,
            loop=np.minimum(now["busy"], SECOND_NS) / SECOND_NS,
            lag_ms=now["lag"] / NANOSECONDS_PER_MS,
            tick_late_ms=now["late"] / NANOSECONDS_PER_MS,
            **{name: now[field] - before[field] for name, field in _COUNTED.items()},
        )

    def _due_ticks(self) -> dict[str, Any]:
        """What an interval says of ticks, most of it by the second in which they were due."""
        recorder = self.engine.recorder
        times, ticks = recorder.take_times(), recorder.take_ticks()
        sizes = add_groups({cell.size: counts} for cell, counts in ticks)
        found: dict[str, Any] = {
            "effective": add_by_key(each.effective for each in times.values()),
            "censored": add_by_key(each.censored for each in times.values()),
            "staleness": add(each.staleness for each in times.values()),
            "group_ticks": sizes,
            "skipped": skipped_ticks(sizes),
        }
        if self.scenario.fleet.group:
            found["fleet_group_times"] = times
            found["fleet_group_ticks"] = add_groups({cell.part: counts} for cell, counts in ticks)
        return found

    def _finish(self) -> None:
        info, collector = self.writer.info, self.collector
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
                    shared_ips={},
                    ticks=0,
                    missed=0,
                    fanout=empty,
                    **self._due_ticks(),
                    attempt_durations={},
                    loop_lag=empty,
                    retry_late=empty,
                )
            )
        end = int(self.engine.now_s)
        if info.phases:
            info.phases = cut_short(info.phases, int(self.engine.now_s) - ZERO_S)
            end = ZERO_S + info.phases[-1].to_s
        limited = {second: self.engine.edge.refused[second] for second in range(end)}
        info.nginx_limited = sum(limited.values())
        collector.finish(end, limited)
        self.writer.save()
        self.writer.close()
