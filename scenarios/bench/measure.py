"""What the load generator itself can do, measured against a source of ticks that is not the bottleneck.

Each part starts Locust anew on a core of its own, with the source on another; CPU time is the generator's
own, by second, so that the figures do not depend on how long anything was waited for.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from math import nan
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
import psutil
from msgspec import Struct
from msgspec.structs import replace

from gateway_stub.protocol import KNOWN_DELAYS, known_delays_ns
from reconnect_storm.start import module_command
from scenarios.bench.result import Accuracy, BenchResult, Connecting, Reception, Stock, Storm
from scenarios.fields import NameOrTable
from scenarios.host import machine
from scenarios.host.process import AbortedError, LocalChild, StackError, start
from scenarios.scenario.model import Fleet, Scenario, Target
from scenarios.stack.generator import Generator
from scenarios.stack.tick_source import TickSources, tick_sources
from scenarios.wire.interval import Interval, Samples
from scenarios.wire.merge import add

MANY_CLIENTS = 10_000
STOCK_LOCUSTFILE = Path(__file__).parents[1] / "clients" / "stock_locustfile.py"

_CONNECT_TIMEOUT_S = 60.0
_SETTLE_S = 2
_ACCURACY_CLIENTS = 1_000
_ACCURACY_RATE_HZ = 10.0
_STOCK_SHARE = 5
_SATURATED = 0.95
_WATCH_S = 0.2
_PERCENTILES = (50, 99, 99.9)
_STORMS: dict[str, NameOrTable] = {
    "retries spread over 5 s": {"name": "spread", "window_s": 5.0},
    "all retries at once": "naive",
}


class BenchPlan(Struct, frozen=True, kw_only=True):
    """What to measure. target: somebody's gateway instead of the built-in source; then reception alone."""

    scenario: Scenario
    clients: int = 1_000
    many_clients: int = MANY_CLIENTS
    rate_hz: float = 10.0
    seconds: int = 10
    processes: int = 1
    allow_remote: bool = False
    patience_s: float = 60.0
    """How long to wait for clients that do not join."""


async def bench(plan: BenchPlan, on_progress: Callable[[str], None]) -> BenchResult:
    """Measures. Raises StackError when a part fails."""
    cores = machine.assign_cores(1)
    with TemporaryDirectory(prefix="reconnect-storm-bench-") as folder:
        rig = _Rig(plan, cores, Path(folder), on_progress)
        if plan.scenario.target.url:
            parts: dict[str, Any] = {"reception": await rig.reception()}
        else:
            parts = {
                "reception": await rig.reception(),
                "stock": await rig.stock(),
                "connecting": await rig.connecting(),
                "accuracy": await rig.accuracy(),
            }
    return BenchResult(machine=machine.describe(cores), versions=machine.versions(), **parts)


class _Rig:
    """Starts sources and generators for the parts of a bench."""

    def __init__(
        self, plan: BenchPlan, cores: machine.Cores, folder: Path, on_progress: Callable[[str], None]
    ) -> None:
        self.plan = plan
        self.cores = cores
        self.folder = folder
        self.on_progress = on_progress

    # -- the parts ----------------------------------------------------------------------------------

    async def reception(self) -> Reception:
        """Steady ticks to the fleet."""
        plan = self.plan
        self.on_progress(f"ticks to {plan.clients} clients, {plan.seconds} s")
        if plan.scenario.target.url:
            starting = self._generator(plan.scenario, plan.clients)
            seconds = await self._steady(starting, plan.clients, plan.seconds)
        else:
            async with self._sources(plan.rate_hz) as sources:
                starting = self._generator(_patient(sources), plan.clients)
                seconds = await self._steady(starting, plan.clients, plan.seconds)
        return Reception(
            clients=plan.clients,
            ticks_per_s=_ticks_per_s(seconds),
            ticks_per_cpu_s=median(1e9 * interval.ticks / interval.cpu_ns for interval in seconds),
            cpu=_cpu(seconds),
            reference=next((interval.reference for interval in seconds if interval.reference), None),
            p50_ms=_percentile_ms((interval.fanout for interval in seconds), 50),
            p99_ms=_percentile_ms((interval.fanout for interval in seconds), 99),
        )

    async def connecting(self) -> Connecting:
        """Many clients that join at once, then two storms."""
        plan, clients = self.plan, self.plan.many_clients
        self.on_progress(f"{clients} clients join at once")
        async with (
            self._sources(1.0, processes=plan.processes) as sources,
            self._generator(_patient(sources), clients, plan.processes) as running,
        ):
            joining = await running.joined(clients)
            (steady,) = await running.next_seconds(1)
            storms = [
                await self._storm(running, sources, clients, name, policy) for name, policy in _STORMS.items()
            ]
        began_ns = min(interval.first_attempt_ns for interval in joining if interval.first_attempt_ns)
        joined_ns = max(interval.last_join_ns for interval in joining if interval.last_join_ns)
        return Connecting(
            clients=clients,
            processes=plan.processes,
            join_s=(joined_ns - began_ns) / 1e9,
            connects_per_cpu_s=_per_cpu_s(clients, joining),
            kb_per_client=(steady.rss_bytes - steady.empty_rss_bytes) / clients / 1000,
            storms=tuple(storms),
        )

    async def accuracy(self) -> Accuracy:
        """Percentiles against delays that the source knows."""
        plan = self.plan
        self.on_progress(f"known delays, {plan.seconds} s")
        # Every delay at least once.
        at_least_s = -(-KNOWN_DELAYS // int(_ACCURACY_CLIENTS * _ACCURACY_RATE_HZ))
        async with self._sources(_ACCURACY_RATE_HZ, delays=True) as sources:
            starting = self._generator(_patient(sources), _ACCURACY_CLIENTS)
            seconds = await self._steady(starting, _ACCURACY_CLIENTS, max(plan.seconds, at_least_s))
        known = np.array(known_delays_ns())
        return Accuracy(
            ticks_per_s=_ticks_per_s(seconds),
            cpu=_cpu(seconds),
            known_ms={f"p{p:g}": float(np.percentile(known, p)) / 1e6 for p in _PERCENTILES},
            reported_ms={
                f"p{p:g}": _percentile_ms((interval.fanout for interval in seconds), p) for p in _PERCENTILES
            },
        )

    async def stock(self) -> Stock:
        """Locust's own user, with as many clients as it can follow."""
        plan, clients = self.plan, max(1, self.plan.clients // _STOCK_SHARE)
        self.on_progress(f"Locust's SocketIOUser, {clients} clients, {plan.seconds} s")
        async with self._sources(plan.rate_hz) as sources:
            child = await start(
                "stock",
                [
                    *module_command("locust", "-f", str(STOCK_LOCUSTFILE), "--headless"),
                    *("--host", sources.url, "--users", str(clients), "--spawn-rate", str(clients)),
                    *("--only-summary", "--skip-log-setup"),
                ],
                log=self.folder / "stock.log",
                cores=self.cores.generator,
                descriptors=4 * clients + 256,
                pipe_output=True,
            )
            try:
                async with asyncio.timeout(plan.patience_s + plan.seconds):
                    joining, steady = await _stock_lines(child, clients, plan.seconds)
            except TimeoutError:
                raise StackError(f"only some of Locust's own {clients} users joined in time") from None
            finally:
                await child.stop()
        return Stock(
            clients=clients,
            ticks_per_cpu_s=_stock_rate(steady, "ticks"),
            connects_per_cpu_s=_stock_rate(joining, "joined"),
        )

    async def _storm(
        self, running: "_Running", sources: TickSources, clients: int, name: str, policy: NameOrTable
    ) -> Storm:
        self.on_progress(f"{clients} clients are dropped at once: {name}")
        await running.generator.push_policy(policy)
        await running.next_seconds(1)
        first = len(running.intervals)
        async with _busiest(self.cores.generator if self.plan.processes == 1 else ()) as busy:
            sources.drop_all()
            await running.until("retries", lambda: _back(running.intervals[first:], clients))
        seconds = running.intervals[first:]
        return Storm(
            policy=name,
            retries=sum(interval.attempts for interval in seconds),
            late_p99_ms=_percentile_ms((interval.retry_late for interval in seconds), 99),
            core_peak=busy.peak,
            saturated=busy.peak >= _SATURATED,
        )

    # -- sources and generators ---------------------------------------------------------------------

    def _sources(self, rate_hz: float, **options: Any) -> contextlib.AbstractAsyncContextManager[TickSources]:
        most = max(self.plan.clients, self.plan.many_clients, _ACCURACY_CLIENTS)
        return tick_sources(rate_hz, folder=self.folder, cores=self.cores.stack, clients=most, **options)

    @contextlib.asynccontextmanager
    async def _generator(
        self, scenario: Scenario, clients: int, processes: int = 1
    ) -> AsyncIterator["_Running"]:
        intervals: list[Interval] = []
        fleet = replace(scenario.fleet, clients=clients, ramp_per_s=float(min(clients, 100_000)))
        generator = await Generator.start(
            replace(scenario, fleet=fleet),
            epoch_ns=time.monotonic_ns(),
            log=self.folder / "generator.log",
            cores=self.cores.generator if processes == 1 else self.cores.stack + self.cores.generator,
            descriptors=clients + machine.SPARE_DESCRIPTORS,
            on_interval=intervals.append,
            allow_remote=self.plan.allow_remote,
            processes=processes,
        )
        try:
            yield _Running(generator, intervals, self.plan.patience_s)
        finally:
            await generator.stop()

    async def _steady(
        self, starting: contextlib.AbstractAsyncContextManager["_Running"], clients: int, seconds: int
    ) -> list[Interval]:
        async with starting as running:
            await running.joined(clients)
            await running.next_seconds(_SETTLE_S)
            return await running.next_seconds(seconds)


class _Running(Struct):
    """A running generator, and the seconds that it has reported."""

    generator: Generator
    intervals: list[Interval]
    patience_s: float

    async def joined(self, clients: int) -> list[Interval]:
        """Waits until all have joined; returns the seconds in which they did."""
        await self.until("joins", lambda: bool(self.intervals) and self.intervals[-1].connected == clients)
        return [interval for interval in self.intervals if interval.attempts or interval.outcomes]

    async def next_seconds(self, seconds: int) -> list[Interval]:
        """The next whole seconds."""
        first = len(self.intervals)
        await self.until("seconds", lambda: len(self.intervals) >= first + seconds, seconds)
        return self.intervals[first : first + seconds]

    async def until(self, what: str, condition: Callable[[], bool], expected_s: float = 0.0) -> None:
        """Waits for a condition. Raises StackError when it does not come true in time."""
        deadline = time.monotonic() + expected_s + self.patience_s
        while not condition():
            if self.generator.aborted.done():
                raise AbortedError(f"aborted: {self.generator.aborted.result()}")
            if error := self.generator.child.ended():
                raise error
            if time.monotonic() > deadline:
                raise StackError(f"waited {self.patience_s:g} s in vain for all {what}: {self._state()}")
            await asyncio.sleep(0.05)

    def _state(self) -> str:
        if not self.intervals:
            return "the generator has reported nothing"
        latest = self.intervals[-1]
        failed = [f"{count} {name}" for name, count in latest.outcomes.items() if name != "joined"]
        attempts = f"; failed attempts in the last second: {', '.join(failed)}" if failed else ""
        return f"{latest.connected} of {latest.clients} clients joined{attempts}"


class _Busiest(Struct):
    """How busy the busiest of some cores was at most."""

    peak: float = 0.0


@contextlib.asynccontextmanager
async def _busiest(cores: tuple[int, ...]) -> AsyncIterator[_Busiest]:
    """Watches these cores, or all where none is named."""
    found = _Busiest()

    async def watch() -> None:
        psutil.cpu_percent(percpu=True)
        while True:
            await asyncio.sleep(_WATCH_S)
            shares = psutil.cpu_percent(percpu=True)
            found.peak = max(found.peak, *(shares[core] / 100 for core in cores or range(len(shares))))

    watching = asyncio.create_task(watch())
    try:
        yield found
    finally:
        watching.cancel()


def _patient(sources: TickSources) -> Scenario:
    """Clients that join these and never give up."""
    fleet = Fleet(rtt_ms=0.0, connect_timeout_s=_CONNECT_TIMEOUT_S, stale_after_s=0.0, policy="naive")
    return Scenario(fleet=fleet, target=Target(url=sources.url))


async def _stock_lines(
    child: LocalChild, clients: int, seconds: int
) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    """(lines until all had joined, lines of the steady time after it)."""
    assert child.process.stdout is not None  # noqa: S101
    lines: list[dict[str, int]] = []
    joined_at = None
    async for raw in child.process.stdout:
        if not raw.startswith(b"{"):
            continue
        lines.append(msgspec.json.decode(raw))
        if joined_at is None and lines[-1]["joined"] >= clients:
            joined_at = len(lines)
        if joined_at is not None and len(lines) >= joined_at + _SETTLE_S + seconds:
            return lines[:joined_at], lines[joined_at + _SETTLE_S - 1 :]
    raise child.ended() or StackError("Locust's own users fell silent")


def _stock_rate(lines: list[dict[str, int]], what: str) -> float:
    """Counts per CPU-second from the first to the last line."""
    first, last = lines[0], lines[-1]
    if len(lines) == 1:
        first = {what: 0, "cpu_ns": 0}
    return (last[what] - first[what]) / max(1, last["cpu_ns"] - first["cpu_ns"]) * 1e9


def _back(seconds: list[Interval], clients: int) -> bool:
    """Whether everybody was dropped and has joined again."""
    return sum(interval.outcomes.get("joined", 0) for interval in seconds) >= clients


def _ticks_per_s(seconds: list[Interval]) -> float:
    return sum(interval.ticks for interval in seconds) / len(seconds)


def _per_cpu_s(count: int, seconds: list[Interval]) -> float:
    return count / (sum(interval.cpu_ns for interval in seconds) / 1e9)


def _cpu(seconds: list[Interval]) -> float:
    return sum(interval.cpu_ns for interval in seconds) / 1e9 / len(seconds)


def _percentile_ms(samples: Iterable[Samples], percentile: float) -> float:
    """Over all of these; not a number without any value."""
    found = add(samples).percentile_ms(percentile)
    return nan if found is None else found
