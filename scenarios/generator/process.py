"""One generator process: its clients, its recorder, and the seconds that it hands out.

Where pods and generator do not share a clock, everything in here goes by this process's own; what it hands
out counts from the epoch, or has been put on the gateway's clock.
"""

import contextlib
import gc
import os
import random
from collections.abc import Callable
from time import monotonic_ns, process_time_ns
from urllib.parse import urlsplit

import gevent
import psutil
from msgspec.structs import replace

from gateway_stub.feed_schedule import FeedSchedule
from reports.rundir.schema import ClockOffset
from scenarios.clients.addresses import PER_PROCESS, Seating, proxy_header, source_address
from scenarios.clients.client import Client
from scenarios.clients.clock import Clock
from scenarios.clients.polling_client import PollingClient
from scenarios.clients.population import AttemptsCap, Population, cap_of
from scenarios.clients.protocol.identity import Form
from scenarios.clients.protocol.packets import Subscription
from scenarios.clients.protocol.schedule import ObservedSchedule, SharedSchedule
from scenarios.clients.protocol.streams import Streams
from scenarios.clients.protocol.target import Endpoint, source_of
from scenarios.clients.protocol.ticks import TickReader
from scenarios.clients.ramp import Ramp
from scenarios.clients.recorder import LAG_PROBE_NS, SECOND_NS, SLOT_NS, Recorder
from scenarios.clients.timers import LoopTimers
from scenarios.fields import NameOrTable
from scenarios.generator.clock_sync import LocalEpoch, ask, local_epoch
from scenarios.generator.credentials import IssuerProcess
from scenarios.policies.following import Policy
from scenarios.policies.registry import divided, policy
from scenarios.scenario.model import Scenario
from scenarios.wire.interval import ClockStep, Interval
from scenarios.wire.merge import over_both
from scenarios.wire.orders import Cut, EndCalm, Finalise, GeneratorSettings, Message, PushPolicy, SetFeed

_GARBAGE_THRESHOLD = 500_000
_CLOCK_PORT = 1_023


class Generator:
    """The clients of one process. on_interval: called with each second soon after it has ended.

    name: what to call this process. index, processes: which of how many generator processes this is; an index
    beyond them is that of one which came later. What the scenario says of all clients together is divided,
    so that it does not matter how many processes there are. Raises ClockError if the clock that the settings
    name does not answer, CredentialsError if what issues credentials cannot be started, and ScenarioError if
    the cap on attempts leaves none for this process.
    """

    def __init__(
        self,
        settings: GeneratorSettings,
        endpoint: Endpoint,
        on_interval: Callable[[Interval], None],
        *,
        name: str = "",
        index: int = 0,
        processes: int = 1,
    ) -> None:
        # Clients live as long as the test and make no cycles: looking through them for garbage would only
        # stop everything for tens of milliseconds, in the middle of a storm. Before anything of this test is
        # there, since what is frozen is never taken for garbage again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE_THRESHOLD)
        scenario = settings.scenario
        fleet, feed, target = scenario.fleet, scenario.feed, scenario.target
        self._name, self._index, self._processes = name, index, processes
        cap = AttemptsCap(cap_of(fleet, index, processes))
        self._on_interval = on_interval
        self.clients: list[Client] = []
        source = source_of(fleet, endpoint)
        epoch = _epoch(settings, endpoint, source)
        # What to add to the gateway's clock to get ours.
        self._ahead_ns = epoch.epoch_ns - settings.epoch_ns
        self._clocks = (
            (ClockOffset(process=name, offset_ns=-self._ahead_ns, error_ns=epoch.error_ns),)
            if settings.clock_url
            else ()
        )
        stub = settings.own_stack and not scenario.gateway.command
        self._schedule = _schedule(scenario, epoch.epoch_ns, stub=stub)
        self.recorder = Recorder(
            epoch.epoch_ns, self._schedule, grouped=bool(fleet.group), recovery=fleet.recovery
        )
        self._clock = Clock()
        self._reader = TickReader(
            feed,
            self._schedule,
            self._clock.wall_offset_ns,
            by_schedule=stub and (bool(settings.clock_url) or settings.other_clocks),
        )
        self._seating = (
            Seating.of(fleet, first=index, step=processes)
            if index < processes
            else Seating.of(fleet, first_address=index * PER_PROCESS)
        )
        loop = gevent.get_hub().loop
        self._timers = LoopTimers(loop)
        subscription = Subscription(
            self._reader,
            event=feed.event,
            namespace=target.namespace,
            auth=target.auth,
            emit=target.emit,
            per_pod=not stub and scenario.numbered_per_pod,
            recovery=fleet.recovery,
        )
        form = Form(endpoint.upgrade.headers, target.auth)
        self._issuer = (
            IssuerProcess(target.credentials, form, scenario.folder, self._on_issuer_end)
            if target.credentials
            else None
        )
        ramp = Ramp.for_timeout(fleet.connect_timeout_s) if settings.gentle_ramp else None
        resume = bool(scenario.edge.tls) if fleet.tls_resume is None else fleet.tls_resume
        self.populations = [
            Population(
                loop=loop,
                timers=self._timers,
                part=part,
                policy=self._policy(part.fleet.policy),
                endpoint=endpoint.for_group(part.group) if part.group else endpoint,
                source=source,
                subscription=subscription,
                recorder=self.recorder,
                clock=self._clock,
                attempts_cap=cap,
                first_index=index * PER_PROCESS,
                # It waits for joins, which clients that are not served never make.
                ramp=ramp if part.is_served else None,
                issuer=self._issuer,
                tls_resume=float(resume),
            )
            for part in fleet.parts
        ]
        # Apart from what clients draw, and different in each process.
        self._victims = random.Random(f"cut {fleet.seed} {index}")  # noqa: S311
        self._process = psutil.Process(os.getpid())
        self._empty_rss_bytes = self._rss_bytes = self._process.memory_info().rss
        self._cpu_ns = process_time_ns()
        self._reported: tuple[Interval, int] | None = None
        """The latest second, and its points of the 100 ms grid."""
        self._last_probe_ns = monotonic_ns()
        self._next_slot_ns = self._next_boundary(SLOT_NS)
        self._probe = loop.timer(LAG_PROBE_NS / 1e9, LAG_PROBE_NS / 1e9)
        self._probe.start(self._on_probe, update=True)

    def add_client(self) -> Client:
        """A new client; it does nothing until it is started."""
        seat = self._seating.next()
        population = self.populations[seat.group]
        index = self.recorder.add_client(seat.clients_per_ip, seat.group, served=population.part.is_served)
        kind = PollingClient if population.fleet.transport == "polling-upgrade" else Client
        client = kind(population, index, seat)
        self.clients.append(client)
        return client

    def obey(self, order: Message) -> None:
        """Carries out an order of the runner's."""
        match order:
            case PushPolicy(spec, reach_s, group):
                pushed = self._policy(spec)
                for population in self.populations:
                    if group and population.part.name != group:
                        continue
                    mine = [client for client in self.clients if client.population is population]
                    population.push(pushed, reach_s, mine)
            case Cut(share):
                joined = [client for client in self.clients if client.joined]
                for client in self._victims.sample(joined, self._part_of(share * len(joined))):
                    client.cut()
            case SetFeed(schedule):
                assert isinstance(self._schedule, SharedSchedule), "somebody else's feed"  # noqa: S101
                self._schedule.feed = schedule.shifted(self._ahead_ns)
            case EndCalm():
                if isinstance(self._schedule, Streams):
                    self._schedule.end_calm()
            case Finalise():
                now = monotonic_ns()
                # An order may be the first thing that a process does after it stood still.
                if now - self._last_probe_ns > LAG_PROBE_NS:
                    self._probe_lag(now)
                # A second that has just ended is not to be counted with the one that is cut short.
                self._turn_over(now)
                self.recorder.finalise(now)
                self._report((now - self.recorder.epoch_ns) // SECOND_NS)

    def _policy(self, spec: NameOrTable) -> Policy:
        return divided(policy(spec), self._index, self._processes)

    def _part_of(self, number: float) -> int:
        """`number` rounded, so that the sum over processes with as many each is rounded right, too."""
        before = number * self._index if self._index < self._processes else 0.0
        return round(before + number) - round(before)

    def stop(self) -> None:
        """Stops recording; the clients have been stopped by then."""
        self._probe.close()
        self._timers.stop()
        if self._issuer is not None:
            self._issuer.stop()

    def _on_issuer_end(self, reason: str) -> None:
        self.recorder.client_error = self.recorder.client_error or reason

    def _next_boundary(self, step_ns: int) -> int:
        since = monotonic_ns() - self.recorder.epoch_ns
        return self.recorder.epoch_ns + (since // step_ns + 1) * step_ns

    def _on_probe(self) -> None:
        now = monotonic_ns()
        self._probe_lag(now)
        self._turn_over(now)

    def _probe_lag(self, now: int) -> None:
        self.recorder.lag_probe(max(0, now - self._last_probe_ns - LAG_PROBE_NS))
        self._last_probe_ns = now

    def _turn_over(self, now: int) -> None:
        """Closes the 100 ms slot that has ended, and the second with it."""
        if now < self._next_slot_ns:
            return
        self.recorder.sample_slot(now)
        self._clock.set()
        self._reader.wall_offset_ns = self._clock.wall_offset_ns
        ended_ns, self._next_slot_ns = self._next_slot_ns, self._next_boundary(SLOT_NS)
        second = (ended_ns - self.recorder.epoch_ns - 1) // SECOND_NS
        if (self._next_slot_ns - self.recorder.epoch_ns - 1) // SECOND_NS != second:
            self._report(second)

    def _report(self, second: int) -> None:
        cpu_ns = process_time_ns()
        # To look takes a descriptor, and clients may have all of them.
        with contextlib.suppress(OSError):
            self._rss_bytes = self._process.memory_info().rss
        points = self.recorder.points
        recorded = self.recorder.take_interval(second)
        if self._reported is not None and self._reported[0].second == second:
            recorded = over_both(*self._reported, recorded, points)
            points += self._reported[1]
        self._reported = recorded, points
        reference = self._reader.reference
        # Sockets are not read in the order in which their bytes came in: a first receipt is not the earliest.
        known = reference != "first receipt"
        interval = replace(
            recorded,
            early=recorded.early if known else 0,
            earliest_ns=recorded.earliest_ns if known else 0,
            first_attempt_ns=self._for_all(recorded.first_attempt_ns),
            last_join_ns=self._for_all(recorded.last_join_ns),
            clocks=self._clocks,
            clock_steps=(ClockStep(self._name, step_ns),) if (step_ns := self._clock.take_step()) else (),
            reference=reference,
            fits=self._reader.fits,
            cpu_ns=cpu_ns - self._cpu_ns,
            busiest_cpu_ns=cpu_ns - self._cpu_ns,
            rss_bytes=self._rss_bytes,
            empty_rss_bytes=self._empty_rss_bytes,
        )
        self._cpu_ns = cpu_ns
        self._on_interval(interval)

    def _for_all(self, local_ns: int | None) -> int | None:
        """A time of ours on the gateway's clock."""
        return None if local_ns is None else local_ns - self._ahead_ns


def _schedule(
    scenario: Scenario, epoch_ns: int, *, stub: bool
) -> SharedSchedule | ObservedSchedule | Streams:
    """When ticks are due. Only the stub's pods promise to keep a schedule, which counts from the epoch."""
    feed = scenario.feed
    if stub:
        return SharedSchedule(FeedSchedule.of(epoch_ns, feed.rate_hz))
    if feed.due == "schedule" or scenario.numbered_per_pod:
        return Streams(feed.rate_hz, fitted=feed.due == "schedule")
    return ObservedSchedule()


def _epoch(settings: GeneratorSettings, endpoint: Endpoint, source: str) -> LocalEpoch:
    """When the epoch was on this process's clock. Raises ClockError."""
    if not settings.clock_url:
        return LocalEpoch(settings.epoch_ns, 0)
    preamble = b""
    same_door = urlsplit(settings.clock_url).netloc == urlsplit(settings.scenario.target.url).netloc
    if source == "proxy-protocol" and same_door:
        preamble = proxy_header(source_address(0), endpoint.address, _CLOCK_PORT)
    return local_epoch(ask(settings.clock_url, preamble=preamble))
