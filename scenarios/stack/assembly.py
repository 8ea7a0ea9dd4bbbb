"""Where the parts of a run are, and how they get there: children of this process, or hosts of a site."""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from gateway_stub.protocol import PodStatistics
from reports.rundir.record import ClockOffset
from scenarios.host import machine
from scenarios.host.hosts import FrontHost, PodHosts
from scenarios.host.local import LocalPodHosts
from scenarios.host.machine import MachineError
from scenarios.host.process import Watch
from scenarios.proxies.envoy import executable
from scenarios.proxies.proxy import Front
from scenarios.proxies.registry import FRONTS
from scenarios.proxies.sidecar_stats import SidecarLine
from scenarios.proxies.sidecars import Sidecars
from scenarios.scenario.model import Scenario
from scenarios.stack.channel import Channel
from scenarios.stack.cpu_meters import CpuMeter, LocalCpu
from scenarios.stack.gateway import Gateway
from scenarios.stack.generator import Generator
from scenarios.stack.remote.site import site_from_environment
from scenarios.wire.messages import Interval


class Wanted(Struct, frozen=True, kw_only=True):
    """What a run needs to have started."""

    scenario: Scenario
    directory: Path
    epoch_ns: int
    watch: Watch
    on_pod: Callable[[int, PodStatistics], None]
    on_sidecar: Callable[[int, SidecarLine], None]
    on_interval: Callable[[Interval], None]
    nginx_binary: Path | None = None
    allow_remote: bool = False


class Parts(Struct, frozen=True):
    """What has been started; gateway and nginx, or another front, are None where the target is not ours."""

    gateway: Gateway | None
    nginx: Front | None
    generator: Channel
    cpu: CpuMeter


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

    def check(self, scenario: Scenario, nginx_binary: Path | None) -> None:
        """Raises MachineError where the scenario cannot be carried out here."""

    def fitted(self, scenario: Scenario) -> Scenario:
        """The scenario, with what it leaves to the place decided."""

    async def start(self, stops: AsyncExitStack, wanted: Wanted) -> Parts:
        """Starts everything, and hands to `stops` what ends it. Raises StackError."""


def check(scenarios: Sequence[Scenario], nginx_binary: Path | None = None) -> None:
    """Raises MachineError where one of them cannot be carried out; nothing is started by then."""

    async def each() -> None:
        for scenario, place in zip(scenarios, await _places(scenarios), strict=True):
            place.check(scenario, nginx_binary)

    asyncio.run(each())


async def place_for(scenario: Scenario, nginx_binary: Path | None = None) -> Place:
    """The site that the environment names, or this machine. Raises MachineError where it will not do."""
    (place,) = await _places([scenario])
    place.check(scenario, nginx_binary)
    return place


async def _places(scenarios: Sequence[Scenario]) -> list[Place]:
    """A site has no say where the target is somebody else's: all that is started then is a generator."""
    site = site_from_environment()
    here = [site is None or bool(scenario.target.url) for scenario in scenarios]
    places: list[Place] = [LocalPlace(scenario) for scenario in scenarios]
    if site is None or all(here):
        return places
    # The site's side knows this one.
    from scenarios.stack.remote.deployment import SitePlace  # noqa: PLC0415
    from scenarios.stack.remote.survey import survey  # noqa: PLC0415

    there = SitePlace(site, await survey(site))
    return [place if local else there for place, local in zip(places, here, strict=True)]


class LocalPlace:
    """This machine: everything is a child of this process, and on cores that the scenario gives it."""

    pod_cores: float | None = None
    clocks: tuple[ClockOffset, ...] = ()
    cpu_in_intervals = False

    def __init__(self, scenario: Scenario) -> None:
        self._cores = machine.assign_cores(scenario.gateway.cores)
        self.machine = machine.describe(self._cores)

    def check(self, scenario: Scenario, nginx_binary: Path | None) -> None:
        """Ports and descriptors have to be there, and the programs of the front and of sidecars."""
        machine.check(scenario)
        if scenario.mesh.sidecar == "envoy":
            executable()
        if scenario.target.url:
            return
        front = scenario.edge.front
        if nginx_binary is None:
            FRONTS[front].executable()
        elif not os.access(nginx_binary, os.X_OK):
            raise MachineError(f"--nginx: found {nginx_binary}, allowed: a program that may be executed")
        elif front != "nginx":
            raise MachineError(f"--nginx: found {nginx_binary}, allowed: none, for the front is {front}")

    def fitted(self, scenario: Scenario) -> Scenario:
        """As it is: the generator decides."""
        return scenario

    async def start(self, stops: AsyncExitStack, wanted: Wanted) -> Parts:
        """Starts pods, nginx and generator."""
        scenario = wanted.scenario
        gateway = nginx = None
        if not scenario.target.url:
            host = FRONTS[scenario.edge.front].host(
                port=scenario.edge.port or machine.free_ports(1)[0],
                directory=wanted.directory / "nginx",
                cores=self._cores.stack,
                binary=wanted.nginx_binary,
            )
            hosts = LocalPodHosts(self._cores.stack)
            gateway, nginx = await start_own(stops, wanted, hosts, host, sidecars=self._sidecars(wanted))
        generator = await start_generator(stops, wanted, nginx.url if nginx else "", self._cores.generator)
        return Parts(gateway, nginx, generator, LocalCpu(gateway, nginx, generator, self._cores))

    def _sidecars(self, wanted: Wanted) -> Sidecars | None:
        if wanted.scenario.mesh.sidecar == "none":
            return None
        return Sidecars(
            wanted.scenario,
            epoch_ns=wanted.epoch_ns,
            directory=wanted.directory / "sidecars",
            cores=self._cores.stack,
            watch=wanted.watch,
            on_line=wanted.on_sidecar,
        )


async def start_own(
    stops: AsyncExitStack,
    wanted: Wanted,
    pod_hosts: PodHosts,
    nginx_host: FrontHost,
    pod_cores: float | None = None,
    sidecars: Sidecars | None = None,
) -> tuple[Gateway, Front]:
    """Starts pods and the front on these hosts."""
    # Without a limit: neighbours behind one address would hold up the ramp.
    scenario = replace(wanted.scenario, edge=replace(wanted.scenario.edge, limit="none"))
    gateway = Gateway(
        scenario,
        epoch_ns=wanted.epoch_ns,
        directory=wanted.directory / "pods",
        hosts=pod_hosts,
        watch=wanted.watch,
        on_statistics=wanted.on_pod,
        sidecars=sidecars,
    )
    stops.push_async_callback(gateway.stop)
    await gateway.start()
    nginx = Front(scenario, host=nginx_host, pods=gateway.addresses, watch=wanted.watch, pod_cores=pod_cores)
    stops.push_async_callback(nginx.stop)
    await nginx.start()
    return gateway, nginx


async def start_generator(
    stops: AsyncExitStack, wanted: Wanted, own_url: str, cores: tuple[int, ...]
) -> Generator:
    """Starts Locust as a child of this process. own_url: where nginx of our own is, if that is the target."""
    generator = await Generator.start(
        wanted.scenario,
        own_url=own_url,
        epoch_ns=wanted.epoch_ns,
        log=wanted.directory / "generator.log",
        cores=cores,
        on_interval=wanted.on_interval,
        allow_remote=wanted.allow_remote,
    )
    stops.push_async_callback(generator.stop)
    wanted.watch.over(generator.child)
    stops.callback(wanted.watch.release, generator.child)
    return generator
