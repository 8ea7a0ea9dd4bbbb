"""Measures one pod: a pilot, a ramp for its memory, cycles for its CPU, and its accept queue at the end."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct
from msgspec.structs import replace

from reports.analysis.disturbance import taken
from scenarios.clients.protocol.target import resolve
from scenarios.fields import NameOrTable
from scenarios.host import machine
from scenarios.host.process import AbortedError, StackError, Watch
from scenarios.measure.accept_queue import Connections, accepts, queue_now
from scenarios.measure.bed import Bed, bed
from scenarios.measure.estimate import Estimate, Window, cpu_costs, cycle_costs, slope, t_interval
from scenarios.measure.processes import rss_bytes
from scenarios.measure.result import AcceptQueue, Measured, Memory
from scenarios.measure.seconds import SECOND_NS, Seconds
from scenarios.measure.sizes import MOST, Sizes, sizes
from scenarios.scenario.model import Abort, Fleet, Gateway, Scenario
from scenarios.scenario.redact import secrets_of
from scenarios.scenario.redact_text import errors_without
from scenarios.stack.generator import Generator

_AWAY: NameOrTable = {"name": "spread", "hold_s": 86_400.0, "window_s": 0.0}
"""Clients that lose their connection stay away until another policy is pushed."""
_CONNECT_TIMEOUT_S = 20.0
_JOIN_TIMEOUT_S = 30.0
_PILOT = Sizes(clients=30, ramp_s=3)
_QUIET_S = 4
_TRIES = 4
"""Of a part that is no cycle, where something stood still during it."""
_MOST_QUEUED = 4_200
"""More than Linux's default limit of a queue."""
_WATCHED_S, _FEWEST_WATCHED, _MOST_WATCHED = 0.6, 24, 200
"""Handshakes that wait while the pod is stopped: about 0.6 s of work, at least 24, and at most 200."""
_ANSWERS_WITHIN_S = 10.0

_Part = tuple[int, Sequence[Window]]
"""The second that it began with, and its windows, which are without gaps."""


class NoisyHostError(Exception):
    """Other processes used the cores during too many cycles, or kept this program from running."""


class MeasurePlan(Struct, frozen=True, kw_only=True):
    """What to measure, and how often. retries: cycles that may be repeated on a noisy host."""

    scenario: Scenario
    gateway: str
    """Name of the gateway in the result."""
    cycles: int = 5
    most_clients: int = MOST
    retries: int = 5


async def measure(plan: MeasurePlan, on_progress: Callable[[str], None]) -> Measured:
    """Starts one pod, and measures it. Raises StackError, NoisyHostError."""
    cores = machine.assign_cores(plan.scenario.gateway.cores)
    epoch_ns = (time.monotonic_ns() // SECOND_NS) * SECOND_NS
    scenario = replace(plan.scenario, fleet=replace(plan.scenario.fleet, clients=plan.most_clients))
    async with contextlib.AsyncExitStack() as stops:
        stops.enter_context(errors_without(secrets_of(plan.scenario)))
        folder = Path(stops.enter_context(TemporaryDirectory(prefix="reconnect-storm-measure-")))
        watch = Watch()
        stops.push_async_callback(watch.stop)
        on_progress("starting the gateway")
        pod = await stops.enter_async_context(
            bed(scenario, directory=folder, cores=cores, epoch_ns=epoch_ns, watch=watch)
        )
        seconds = Seconds(pod, cores, epoch_ns)
        measuring = asyncio.create_task(
            _Measuring(plan, pod, seconds, folder, cores, epoch_ns, on_progress).all()
        )
        watchers = [asyncio.create_task(watch.failed()), asyncio.create_task(seconds.keep())]
        try:
            done, _ = await asyncio.wait({measuring, *watchers}, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda task: task is measuring):
                task.result()
            return measuring.result()
        finally:
            for task in (measuring, *watchers):
                task.cancel()
            await asyncio.gather(measuring, *watchers, return_exceptions=True)


class _Measuring:
    """One measurement. `next` is the second that the next window begins with."""

    def __init__(
        self,
        plan: MeasurePlan,
        pod: Bed,
        seconds: Seconds,
        folder: Path,
        cores: machine.Cores,
        epoch_ns: int,
        on_progress: Callable[[str], None],
    ) -> None:
        self.plan, self.pod, self.seconds = plan, pod, seconds
        self.folder, self.cores, self.epoch_ns = folder, cores, epoch_ns
        self.on_progress = on_progress
        self.next = 0

    async def all(self) -> Measured:
        """Everything, in order."""
        at_rest_bytes = rss_bytes(self.pod.processes())
        size = await self._pilot()
        per_client_bytes, with_clients, cycles, discarded = await self._cycles(size)
        cpu = cpu_costs(cycles)
        if cpu.handshake_s is None or cpu.handshake_s.value <= 0:
            raise StackError(f"the CPU of {size.clients} handshakes was not told apart from 0")
        return Measured(
            gateway=self.plan.gateway,
            clients=size.clients,
            cycles=len(cycles),
            discarded=discarded,
            feed_hz=_feed_hz(cycles, size.clients),
            cpu=cpu,
            idle_with_clients=with_clients,
            memory=Memory(at_rest_bytes=at_rest_bytes, per_client_bytes=per_client_bytes),
            accept_queue=await self._accept_queue(cpu.handshake_s.value),
            machine=machine.describe(self.cores),
            versions=machine.versions(),
        )

    # -- parts --------------------------------------------------------------------------------------

    async def _pilot(self) -> Sizes:
        """Sizes for the cycles, from a few clients; they warm the gateway up as well."""
        self.on_progress(f"pilot: {_PILOT.clients} clients")
        (idle,) = await self._undisturbed(self._idle)
        ramp, steady = await self._undisturbed(self._few_clients)
        handshake_s = (ramp.cpu_s - idle.cpu_s / idle.span_s * ramp.span_s) / max(1, ramp.joins)
        client_s = (steady.cpu_s / steady.span_s - idle.cpu_s / idle.span_s) / _PILOT.clients
        return sizes(handshake_s, client_s, self.plan.most_clients)

    async def _idle(self) -> _Part:
        await self._begin()
        return self.next, [await self._spend(1, clients=False)]

    async def _few_clients(self) -> _Part:
        async with self._generator(_PILOT) as generator:
            return self.next, [await self._joined(generator, _PILOT), await self._spend(1)]

    async def _undisturbed(self, part: Callable[[], Awaitable[_Part]]) -> Sequence[Window]:
        """The windows of a part, which is repeated where this program or the generator stood still."""
        noise = ""
        for _ in range(_TRIES):
            if noise:
                self.on_progress(f"retrying: {noise}")
            first, windows = await part()
            if not (noise := self.seconds.stood_still(first, self.next)):
                return windows
        raise NoisyHostError(f"{noise}, in each of {_TRIES} tries")

    async def _cycles(
        self, size: Sizes
    ) -> tuple[Estimate | None, Estimate | None, list[Sequence[Window]], int]:
        """(memory per client, idle CPU with clients, the cycles, how many were discarded)."""
        plan, discarded = self.plan, 0
        good: list[Sequence[Window]] = []
        self.on_progress(f"memory: {size.clients} clients in {size.ramp_s} s")
        async with self._generator(size) as generator:
            first = self.next
            await self._joined(generator, size)
            await self._spend(1)
            per_client_bytes = slope(self._memory(first, self.next))
            with_clients = await self._quiet()
            await generator.push_policy(_AWAY)
            await generator.cut()
            await self._spend(2)
            while len(good) < plan.cycles:
                first = self.next
                windows = await self._cycle(generator, size)
                noise = self._noise(first, self.next)
                if not noise:
                    good.append(windows)
                    self.on_progress(f"cycle {len(good)} of {plan.cycles}{_first_look(windows)}")
                elif discarded == plan.retries:
                    raise NoisyHostError(f"{noise}, in more than {plan.retries} cycles")
                else:
                    discarded += 1
                    self.on_progress(f"retrying: {noise}")
        return per_client_bytes, with_clients, good, discarded

    async def _cycle(self, generator: Generator, size: Sizes) -> Sequence[Window]:
        windows = [await self._spend(1)]
        ramp: NameOrTable = {"name": "spread", "window_s": float(size.ramp_s)}
        await generator.push_policy(ramp)
        windows.append(await self._joined(generator, size))
        await generator.push_policy(_AWAY)
        windows.append(await self._spend(2))
        await generator.cut(0.5)
        windows += [await self._spend(1), await self._spend(1)]
        await generator.cut()
        windows.append(await self._spend(1))
        return windows

    async def _quiet(self) -> Estimate | None:
        """CPU-seconds per second with clients and without ticks, second by second."""
        if self.pod.stall_feed is None:
            return None
        self.on_progress("idle CPU with clients: the feed is stalled")
        quiet = await self._undisturbed(self._stalled)
        if any(window.ticks for window in quiet):
            return None
        return t_interval([window.cpu_s / window.span_s for window in quiet])

    async def _stalled(self) -> _Part:
        assert self.pod.stall_feed is not None  # noqa: S101
        stalling = asyncio.ensure_future(self.pod.stall_feed(_QUIET_S + 1.0))
        try:
            await self._spend(1)
            first = self.next
            quiet = [await self._spend(1) for _ in range(_QUIET_S - 1)]
            await stalling
        finally:
            stalling.cancel()
        # The feed catches up.
        await self._spend(2)
        return first, quiet

    async def _accept_queue(self, handshake_s: float) -> AcceptQueue:
        self.on_progress("accept queue: the pod is stopped for a moment")
        pod = self.pod
        most = min(_MOST_QUEUED, machine.descriptor_limit() - machine.SPARE_DESCRIPTORS)
        with machine.descriptors_raised(), Connections(pod.address) as connections:
            async with pod.frozen():
                opened = await asyncio.to_thread(connections.open, most)
                queued = queue_now(pod.address[1])
        # A queue of the length n takes n + 1; a pod that is not stopped, or not here, queues nothing.
        backlog = opened - 1 if queued is not None and opened > 1 and queued >= opened - 1 else None
        if backlog is None:
            return AcceptQueue(backlog=None, accepts=None)
        wanted = int(_WATCHED_S / handshake_s)
        watched = min(backlog, max(_FEWEST_WATCHED, min(_MOST_WATCHED, wanted)))
        request = resolve(pod.target).upgrade.request
        await asyncio.sleep(1.0)
        with machine.descriptors_raised(), Connections(pod.address) as connections:
            async with pod.frozen():
                opened = await asyncio.to_thread(connections.open, watched, request)
                watching = asyncio.create_task(
                    asyncio.to_thread(connections.watch, lambda: queue_now(pod.address[1]), _ANSWERS_WITHIN_S)
                )
                await asyncio.sleep(0.1)
            looks = await watching
        return AcceptQueue(backlog=backlog, accepts=accepts(looks, opened))

    # -- plumbing -----------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _generator(self, size: Sizes) -> AsyncIterator[Generator]:
        fleet = Fleet(
            clients=size.clients,
            ramp_per_s=size.clients / size.ramp_s,
            transport=self.plan.scenario.fleet.transport,
            connect_timeout_s=_CONNECT_TIMEOUT_S,
            rtt_ms=0.0,
            stale_after_s=0.0,
            policy="socketio-js",
        )
        self.seconds.intervals.clear()
        generator = await Generator.start(
            replace(
                self.plan.scenario,
                fleet=fleet,
                target=self.pod.target,
                gateway=Gateway(),
                service=(),
                event=(),
                abort=Abort(),
            ),
            epoch_ns=self.epoch_ns,
            log=self.folder / "generator.log",
            cores=self.cores.generator,
            on_interval=self.seconds.on_interval,
        )
        self.seconds.generator_pid = generator.child.pid
        try:
            await self._until(generator, lambda: self.seconds.latest is not None, "a report")
            self.next = min(self.seconds.intervals)
            yield generator
        finally:
            await generator.stop()
            self.seconds.generator_pid = None

    async def _joined(self, generator: Generator, size: Sizes) -> Window:
        """The window in which all clients join."""
        first = self.next
        seconds = self.seconds
        await seconds.until(first + size.ramp_s)
        await self._until(
            generator,
            lambda: seconds.latest is not None and seconds.latest.connected >= size.clients,
            "joins",
        )
        self.next = max(seconds.intervals) + 1
        await seconds.until(self.next)
        return await seconds.window(first, self.next)

    async def _until(self, generator: Generator, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _JOIN_TIMEOUT_S
        while not condition():
            if generator.aborted.done():
                raise AbortedError(f"aborted: {generator.aborted.result()}")
            if error := generator.child.ended():
                raise error
            if time.monotonic() > deadline:
                raise StackError(f"timed out after {_JOIN_TIMEOUT_S:g} s waiting for {what}: {self._state()}")
            await asyncio.sleep(0.05)

    def _state(self) -> str:
        latest = self.seconds.latest
        if latest is None:
            return "the generator has reported nothing"
        failed: dict[str, int] = {}
        for interval in self.seconds.intervals.values():
            for name, count in interval.outcomes.items():
                if name != "joined":
                    failed[name] = failed.get(name, 0) + count
        attempts = ", ".join(f"{count} {name}" for name, count in failed.items())
        return (
            f"{latest.connected} of {latest.clients} clients joined"
            + (f"; failed attempts: {attempts}" if attempts else "")
            + ("; see target.auth and target.namespace" if "rejected" in failed else "")
        )

    async def _begin(self) -> None:
        self.next = self.seconds.now() + 1
        await self.seconds.until(self.next)

    async def _spend(self, whole_seconds: int, *, clients: bool = True) -> Window:
        """The window of the next seconds; returns a little after it has ended."""
        first, self.next = self.next, self.next + whole_seconds
        await self.seconds.until(self.next)
        return await self.seconds.window(first, self.next, clients=clients)

    def _memory(self, first: int, end: int) -> list[tuple[float, float]]:
        """(clients, resident bytes) at the end of each second, where both were read then."""
        intervals, samples = self.seconds.intervals, self.seconds.samples
        return [
            (float(intervals[second].connected), float(samples[second].rss_bytes))
            for second in range(first, end)
            if second in intervals and second in samples and samples[second].on_time
        ]

    def _noise(self, first: int, end: int) -> str:
        if stood_still := self.seconds.stood_still(first, end):
            return stood_still
        found = taken(self.seconds.load(first, end), machine.describe(self.cores))
        return next((each.sentence for each in found if each.too_much), "")


def _first_look(windows: Sequence[Window]) -> str:
    found = cycle_costs(windows)
    parts = [
        f"{what} {found[column] * factor:.3g} {unit}"
        for what, column, factor, unit in (
            ("handshake", "joins", 1e3, "ms"),
            ("tick", "ticks", 1e6, "µs"),
            ("close", "closes", 1e3, "ms"),
        )
        if column in found
    ]
    return f": {', '.join(parts)}" if parts else ""


def _feed_hz(cycles: Sequence[Sequence[Window]], clients: int) -> float:
    """Ticks per second and client, from the windows in which all clients were there."""
    steady = [cycle[2] for cycle in cycles]
    return sum(window.ticks for window in steady) / sum(window.span_s for window in steady) / clients
