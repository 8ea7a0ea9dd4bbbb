"""Carries out one scenario for real and leaves a run directory.

    start pods, nginx, generator ─► ramp ─► before ─► trigger ─► during ─► after ─► [rescue or tail]

All parts are children of this process, or of host agents elsewhere. Whatever ends a run, be it the plan,
Ctrl-C or a part that died, they are stopped, and what was measured by then is kept.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from reports.rundir.columns import OUTCOMES
from reports.rundir.schema import STOPPED_BY_USER, RunInfo
from reports.rundir.writer import RunWriter
from scenarios.clients.clock import Clock
from scenarios.host import machine
from scenarios.host.process import AbortedError, StackError, Watch, first_of
from scenarios.proxies.access_log import refusals_per_second
from scenarios.proxies.nginx import full_workers
from scenarios.proxies.registry import kind_of
from scenarios.proxies.sidecar_stats import refused_per_second
from scenarios.runner.collector import SECOND_NS, Collector
from scenarios.runner.course import Course
from scenarios.runner.deployment import place_for
from scenarios.runner.operator import Operator
from scenarios.runner.plan import Plan
from scenarios.runner.progress import Progress, effective_p99_so_far, served_share
from scenarios.runner.proxy_facts import limit_rules, proxy_log, said_of_limits, versions_of_proxies
from scenarios.scenario.phases import SETTLE_S, cut_short, expected_s, may_end_early
from scenarios.scenario.redact import command_without_secrets, secrets_of, without_secrets
from scenarios.scenario.redact_text import hide, hide_in_error, hide_in_logs
from scenarios.scenario.stability import stability
from scenarios.stack.parts import Place, Wanted
from scenarios.stack.stack import Stack

_RAMP_TIMEOUT_S = 60.0

_TURNED_AWAY_S = 12
_FEWEST_TURNED_AWAY = 10
_TURNED_AWAY = ("rejected", "refused", "broken")
_ASKED_OF_CLIENTS = "see gateway.path, target.namespace, target.auth and target.headers"


# The generator closes a second a few milliseconds late; what strikes then would be booked a second early.
_INTO_THE_SECOND_NS = 50_000_000


async def run(
    plan: Plan, on_progress: Callable[[Progress], None], operator: Operator | None = None
) -> RunInfo:
    """Carries out the plan. Raises StackError when a part fails, MachineError before anything is started.

    A run during which a part of the stack failed, or this program did, is kept as `failed`, with the reason;
    one that the user or an abort condition has ended is `interrupted`. An abort condition raises
    AbortedError, unless there is an operator: then it is one of the ends of the run.
    """
    place = await place_for(plan.scenario, plan.nginx_binary, allow_exec=plan.allow_exec)
    plan = replace(plan, scenario=place.fitted(plan.scenario))
    info = RunInfo(
        scenario=without_secrets(plan.scenario),
        arm=plan.arm,
        round=plan.round,
        control=plan.control,
        seed=plan.scenario.fleet.seed,
        started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=machine.versions() | versions_of_proxies(plan.scenario),
        machine=place.machine,
        # What a gateway other than the stub can carry is not in the scenario.
        stability=(
            {}
            if plan.scenario.target.url or plan.scenario.own_gateway
            else msgspec.to_builtins(stability(plan.scenario, pod_cores=place.pod_cores))
        ),
        limit_rules=limit_rules(plan.scenario),
        clocks=place.clocks,
        command=command_without_secrets(sys.argv[1:]),
    )
    secrets = secrets_of(plan.scenario)
    writer = RunWriter(plan.directory, info)
    conductor = _Conductor(plan, place, writer, on_progress, operator)
    try:
        await conductor.conduct()
        info.status = "complete"
    except asyncio.CancelledError:
        info.status, info.problem = "interrupted", STOPPED_BY_USER
        raise
    except BaseException as error:
        hide_in_error(error, secrets)
        told = first_of(error)
        _failed(info, told, secrets)
        if isinstance(told, StackError):
            raise type(told)(info.problem) from error
        if told is error:
            raise
        raise told from None
    finally:
        try:
            conductor.write_everything()
        except Exception as error:
            hide_in_error(error, secrets)
            if info.status == "complete":
                _failed(info, error, secrets)
            raise
        finally:
            if operator:
                info.rehearsal = operator.rehearsal
            # Each is done whatever the others come to, on a full disk as well; the last one first.
            with contextlib.ExitStack() as ends:
                ends.callback(hide_in_logs, plan.directory, secrets)
                ends.callback(writer.close)
                ends.callback(writer.save)
    return info


def _failed(info: RunInfo, error: BaseException, secrets: frozenset[str]) -> None:
    broken_off = not isinstance(error, Exception) or isinstance(error, AbortedError)
    info.status = "interrupted" if broken_off else "failed"
    told = str(error) if isinstance(error, StackError) else f"{type(error).__name__}: {error}"
    info.problem = hide(told.removesuffix(": "), secrets)


class _Conductor:
    """Keeps the state of one run while it goes on. Seconds count from the epoch, a whole second."""

    def __init__(
        self,
        plan: Plan,
        place: Place,
        writer: RunWriter,
        on_progress: Callable[[Progress], None],
        operator: Operator | None,
    ) -> None:
        self.plan = plan
        self.scenario = plan.scenario
        self.place = place
        self.writer = writer
        self.on_progress = on_progress
        self.operator = operator
        self.epoch_ns = (time.monotonic_ns() // SECOND_NS) * SECOND_NS
        self.epoch_wall_s = time.time() - (time.monotonic_ns() - self.epoch_ns) / 1e9
        self.proxy_epoch_wall_s = self.epoch_wall_s + place.proxy_wall_ahead_s
        self.collector = Collector(writer, self.epoch_ns, cpu_in_intervals=place.cpu_in_intervals)
        self.stack: Stack | None = None
        self.course: Course | None = None
        self.steady = False

    # -- the course of a run ------------------------------------------------------------------------

    async def conduct(self) -> None:
        """Starts everything, plays the timeline, and stops everything."""
        self._report("start", expected_s(self.scenario))
        async with contextlib.AsyncExitStack() as stops:
            self.watch = Watch()
            stops.push_async_callback(self.watch.stop)
            self.stack = stack = await self._start(stops)
            aborted = asyncio.create_task(stack.generator.wait_aborted())
            watchers = [
                aborted,
                asyncio.create_task(self.watch.failed()),
                asyncio.create_task(self._keep_time()),
            ]
            playing = asyncio.create_task(self._play())
            try:
                done, _ = await asyncio.wait({playing, *watchers}, return_when=asyncio.FIRST_COMPLETED)
                if self.operator and self.steady and aborted in done:
                    self.operator.end(stack.generator.aborted.result())
                    return
                # Why a part was told to end says more than that it has ended.
                for task in sorted(done, key=lambda task: task is not aborted):
                    task.result()
            finally:
                for task in (playing, *watchers):
                    task.cancel()
                await asyncio.gather(playing, *watchers, return_exceptions=True)

    async def _start(self, stops: contextlib.AsyncExitStack) -> Stack:
        wanted = Wanted(
            scenario=self.scenario,
            directory=self.plan.directory.resolve(),
            epoch_ns=self.epoch_ns,
            watch=self.watch,
            on_pod=self.collector.on_pod,
            on_sidecar=self.collector.on_sidecar,
            on_interval=self.collector.on_interval,
            note=self._note,
            nginx_binary=self.plan.nginx_binary,
            allow_remote=self.plan.allow_remote,
        )
        parts = await self.place.start(stops, wanted)
        self.cpu = parts.cpu
        self.writer.info.tls_costs = parts.tls_costs
        proxied = (parts.gateway, parts.nginx, parts.generator)
        return Stack(self.scenario, *proxied, self._note, parts.publisher, wanted.directory)

    async def _play(self) -> None:
        stack = self._running()
        await self._ramp()
        if stack.gateway:
            await stack.begin()
        self.collector.zero = self._now_second() + SETTLE_S
        steady = datetime.fromtimestamp(self.epoch_wall_s + self.collector.zero, UTC)
        self.writer.info.steady_utc = steady.isoformat(timespec="milliseconds")
        if stack.gateway:
            stack.gateway.note_addresses()
        self.course = course = Course(
            self.scenario,
            stack,
            self.collector,
            self.operator,
            until=self._until,
            now_s=self._now_s,
            note=self._note,
        )
        course.set_phases()
        await self._until(0)
        self._check_feed()
        self.steady = True
        self._note_at(0, "steady", clients=self.scenario.fleet.clients)
        await course.play()
        await stack.generator.finalise()

    async def _ramp(self) -> None:
        fleet = self.scenario.fleet
        deadline = time.monotonic() + _RAMP_TIMEOUT_S + fleet.clients / fleet.ramp_per_s
        most = 0
        while True:
            latest = self.collector.latest
            started = 0 if latest is None else latest.clients + latest.unserved
            if latest is not None and started == fleet.clients and latest.connected == latest.clients:
                return
            if latest is not None and latest.missing:
                # Those who join meanwhile wait for the next run.
                raise StackError(
                    f"{latest.missing} of {fleet.clients} clients were lost during the ramp, with their"
                    " generator process"
                )
            if self.scenario.ramps_gently and latest is not None and latest.connected > most:
                # A gentle ramp takes as long as the gateway needs.
                most = latest.connected
                deadline = max(deadline, time.monotonic() + _RAMP_TIMEOUT_S)
            if time.monotonic() > deadline or self._is_turned_away(most):
                raise StackError(self._ramp_failed(latest.connected if latest else 0))
            await asyncio.sleep(0.1)

    def _is_turned_away(self, joined: int) -> bool:
        """Whether a gateway or an nginx of the user's own has turned away all clients so far: no other will
        join."""
        if not self.scenario.ramps_gently or joined or self._now_second() < _TURNED_AWAY_S:
            return False
        rows = [self.collector.row(second) for second in range(self._now_second())]
        failed = sum(row.get(name, 0) for row in rows for name in _TURNED_AWAY)
        others = sum(row.get(name, 0) for row in rows for name in OUTCOMES if name not in _TURNED_AWAY)
        return failed >= _FEWEST_TURNED_AWAY and not others

    def _ramp_failed(self, connected: int) -> str:
        """What to say of a fleet that did not come up, with how its attempts ended."""
        rows = [self.collector.row(second) for second in range(self._now_second())]
        ended = {name: sum(row.get(name, 0) for row in rows) for name in OUTCOMES if name != "joined"}
        worst = sorted(ended, key=lambda name: -ended[name])[:2]
        how = [f"{ended[name]} {name} ({OUTCOMES[name]})" for name in worst if ended[name]]
        latest = self.collector.latest
        clients = self.scenario.fleet.clients - (latest.unserved if latest else 0)
        said = f"timed out during the ramp: {connected} of {clients} clients joined;"
        if not how:
            return f"{said} the gateway cannot carry the load"
        hint = (
            f"; {_ASKED_OF_CLIENTS}" if self.scenario.own_gateway and set(worst) & set(_TURNED_AWAY) else ""
        )
        if limits := said_of_limits(self.plan.directory / "nginx"):
            hint = f"; {clients - connected} clients never joined; by nginx's error log, {limits}"
        if full := full_workers(self.plan.directory / "nginx"):
            hint = f"; nginx: {full}: expected edge.nginx.reuseport, or a larger worker_connections"
        return f"{said} failed attempts: {', '.join(how)}{hint}"

    def _check_feed(self) -> None:
        """Raises StackError where a gateway of the user's own sends none of the ticks that are expected."""
        if not self.scenario.own_gateway:
            return
        ticks = sum(self.collector.row(second).get("ticks", 0) for second in range(self.collector.zero))
        if not ticks:
            raise StackError(
                f"no tick arrived from the gateway, with all {self.scenario.fleet.clients} clients joined:"
                f" expected events named {self.scenario.feed.event!r} (feed.event) in the namespace"
                f" {self.scenario.target.namespace!r} (target.namespace); see also target.emit"
            )

    # -- time ---------------------------------------------------------------------------------------

    async def _until(self, t_s: float) -> None:
        at_ns = self.epoch_ns + int((self.collector.zero + t_s) * SECOND_NS) + _INTO_THE_SECOND_NS
        await asyncio.sleep(max(0.0, (at_ns - time.monotonic_ns()) / 1e9))

    def _now_second(self) -> int:
        return (time.monotonic_ns() - self.epoch_ns) // SECOND_NS

    def _now_s(self) -> float:
        if not self.collector.zero:
            return -float(SETTLE_S)  # nobody knows yet when the steady state begins
        return (time.monotonic_ns() - self.epoch_ns) / SECOND_NS - self.collector.zero

    async def _keep_time(self) -> None:
        """Once a second: samples CPU, writes the rows that are complete, reports progress."""
        last_ns, clock = time.monotonic_ns(), Clock()
        self.cpu.sample(1.0)
        while True:
            second = self._now_second()
            await asyncio.sleep(
                (self.epoch_ns + (second + 1) * SECOND_NS - time.monotonic_ns()) / 1e9 + 0.002
            )
            now_ns = time.monotonic_ns()
            self.collector.on_cpu(second, self.cpu.sample((now_ns - last_ns) / 1e9))
            last_ns = now_ns
            clock.set()
            self.collector.on_clock_step(second, "runner", clock.take_step())
            if self.steady:
                # Two seconds late, so that everybody's report of a second is in.
                self.collector.write_until(second - 1)
            self._report_second(second)

    # -- accounting ---------------------------------------------------------------------------------

    def _note(self, name: str, **details: Any) -> None:
        """Writes an event of this moment."""
        self._note_at(self._now_s(), name, **details)

    def _note_at(self, t_s: float, name: str, **details: Any) -> None:
        self.writer.event(t_s, name, **details)
        if self.operator:
            self.operator.on_event(t_s, name, details)

    def write_everything(self) -> None:
        """Writes what is known by now, whole or not."""
        info = self.writer.info
        end = self._now_second()
        if info.phases:
            info.phases = cut_short(info.phases, int(self._now_s()))
            end = self.collector.zero + info.phases[-1].to_s
        refusals = by_sidecars = None
        if not self.scenario.target.url:
            proxy, logs = kind_of(self.scenario), self.plan.directory / "nginx"
            log = proxy.read_access_log(logs / "access.log")
            if proxy.tells_refusals(logs / "access.log"):
                refusals = refusals_per_second(log, self.proxy_epoch_wall_s)
                info.nginx_limited = sum(count for second, count in refusals.items() if second < end)
            info.proxy_log = proxy_log(logs, log, info, self.proxy_epoch_wall_s + self.collector.zero)
        if self.scenario.mesh.sidecar != "none":
            by_sidecars = refused_per_second(self.plan.directory / "sidecars", self.epoch_wall_s)
        self.collector.finish(end, refusals, by_sidecars)

    def _report_second(self, second: int) -> None:
        t_s = second - self.collector.zero
        phase = "ramp"
        left = max(SETTLE_S + self.scenario.phases.duration_s, expected_s(self.scenario) - second)
        if self.steady and self.course:
            phase = next((p.name for p in self.writer.info.phases if p.from_s <= t_s < p.to_s), "stop")
            left = max(0.0, self.course.latest_end_s - t_s)
        self._report(phase, left, second - 1)
        if self.operator and self.course and self.steady and t_s > 0:
            row = {**self.collector.row(second - 1), "t_s": t_s - 1}
            self.operator.on_second(t_s - 1, row, self.course)

    def _report(self, phase: str, seconds_left: float, second: int | None = None) -> None:
        row = self.collector.row(second) if second is not None else {}
        known = self.collector.effective_p99(second) if second is not None else None
        early = self.course.may_end_early if self.course else may_end_early(self.scenario)
        self.on_progress(
            Progress(
                phase=phase,
                seconds_left=seconds_left,
                at_most=early and seconds_left > 0,
                clients=self.scenario.fleet.clients,
                connected=row.get("connected", 0),
                served=served_share(row),
                attempts_per_s=row.get("attempts", 0),
                refusals_per_s=row.get("limited", 0),
                effective_p99=effective_p99_so_far(row, known, 1000 / self.scenario.feed.rate_hz),
                fanout_p99_ms=row.get("fanout_p99_ms"),
                pod_cpu=row.get("pod_cpu"),
                pod_loop=row.get("pod_loop"),
            )
        )

    def _running(self) -> Stack:
        assert self.stack is not None  # noqa: S101
        return self.stack
