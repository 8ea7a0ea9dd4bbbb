"""What a run has to have started, and what has been started: pods, proxy, generator, CPU meter."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from reports.rundir.proxy_log import TlsCosts
from reports.rundir.schema import ClockOffset
from scenarios.host.hosts import PodHosts, ProxyHost
from scenarios.host.process import Watch
from scenarios.programs.publisher import Publisher
from scenarios.proxies.proxy import Proxy
from scenarios.proxies.sidecar_stats import SidecarLine
from scenarios.proxies.sidecars import Sidecars
from scenarios.scenario.model import Scenario
from scenarios.stack.channel import Channel
from scenarios.stack.cpu_meters import CpuMeter
from scenarios.stack.gateway import NO_VALUES, Gateway
from scenarios.stack.generator import Generator
from scenarios.wire.interval import Interval
from scenarios.wire.pod_second import PodSecond


class Wanted(Struct, frozen=True, kw_only=True):
    """What a run needs to have started."""

    scenario: Scenario
    directory: Path
    epoch_ns: int
    watch: Watch
    on_pod: Callable[[int, PodSecond], None]
    on_sidecar: Callable[[int, SidecarLine], None]
    on_interval: Callable[[Interval], None]
    note: Callable[..., Any]
    """Writes an event of the run."""
    nginx_binary: Path | None = None
    allow_remote: bool = False


class Parts(Struct, frozen=True):
    """What has been started; gateway and nginx, or another proxy, are None where the target is not ours."""

    gateway: Gateway | None
    nginx: Proxy | None
    generator: Channel
    cpu: CpuMeter
    publisher: Publisher | None = None
    """The user's own, if the scenario has one."""
    tls_costs: TlsCosts | None = None
    """What a TLS handshake costs the proxy; None without TLS there."""


class Place(Protocol):
    """Where the parts of a run are to be."""

    machine: dict[str, Any]
    """As far as it may explain a result; the same for all runs that may be compared."""
    pod_cores: float | None
    """What a CPU quota leaves to each pod; see `stability.stability`."""
    clocks: tuple[ClockOffset, ...]
    """Of hosts that do not share our clock."""
    cpu_in_intervals: bool
    """Whether the generator's CPU is what it reports itself."""
    proxy_wall_ahead_s: float
    """The wall clock by which the proxy writes its logs minus the runner's."""

    def check(self, scenario: Scenario, nginx_binary: Path | None) -> None:
        """Raises MachineError where the scenario cannot be carried out here."""

    def fitted(self, scenario: Scenario) -> Scenario:
        """The scenario, with what it leaves to the place decided."""

    async def start(self, stops: AsyncExitStack, wanted: Wanted) -> Parts:
        """Starts everything, and hands to `stops` what ends it. Raises StackError."""


async def start_own(
    stops: AsyncExitStack,
    wanted: Wanted,
    pod_hosts: PodHosts,
    nginx_host: ProxyHost,
    pod_cores: float | None = None,
    sidecars: Sidecars | None = None,
    values: Mapping[str, str | int | float] = NO_VALUES,
    cores: tuple[int, ...] = (),
) -> tuple[Gateway, Proxy]:
    """Starts pods and the proxy on these hosts. values, cores: for pods of a user's own."""
    edge = wanted.scenario.edge
    # Without a limit: clients behind a shared IP would delay the ramp.
    scenario = replace(wanted.scenario, edge=replace(edge, limit="none"))
    gateway = Gateway(
        scenario,
        epoch_ns=wanted.epoch_ns,
        directory=wanted.directory / "pods",
        hosts=pod_hosts,
        watch=wanted.watch,
        on_second=wanted.on_pod,
        note=wanted.note,
        sidecars=sidecars,
        values=values,
        cores=cores,
    )
    stops.push_async_callback(gateway.stop)
    await gateway.start()
    nginx = Proxy(
        wanted.scenario if edge.limits_the_ramp else scenario,
        host=nginx_host,
        pods=gateway.addresses,
        watch=wanted.watch,
        pod_cores=pod_cores,
    )
    stops.push_async_callback(nginx.stop)
    await nginx.start()
    return gateway, nginx


async def start_generator(
    stops: AsyncExitStack,
    wanted: Wanted,
    own_url: str,
    cores: tuple[int, ...],
    *,
    ca_file: str = "",
    other_clocks: bool = False,
) -> Generator:
    """Starts Locust as a child of this process.

    own_url: where nginx of our own is, if that is the target. ca_file: what clients trust there.
    other_clocks: some of our pods have another clock than this process.
    """
    generator = await Generator.start(
        wanted.scenario,
        own_url=own_url,
        own_ca_file=ca_file,
        epoch_ns=wanted.epoch_ns,
        log=wanted.directory / "generator.log",
        cores=cores,
        on_interval=wanted.on_interval,
        allow_remote=wanted.allow_remote,
        other_clocks=other_clocks,
    )
    stops.push_async_callback(generator.stop)
    wanted.watch.over(generator.child)
    stops.callback(wanted.watch.release, generator.child)
    return generator
