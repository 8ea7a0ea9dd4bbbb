"""One pod of the gateway, without a proxy in front: what is measured."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
from msgspec import Struct
from msgspec.structs import replace

from scenarios.host.local import LocalPodHosts
from scenarios.host.machine import Cores
from scenarios.host.process import Child, LocalChild, StackError, Watch
from scenarios.measure.processes import CpuClock, tree
from scenarios.programs.kept import KeptProgram
from scenarios.programs.publisher import Publisher
from scenarios.scenario.model import Scenario, Target
from scenarios.stack.gateway import Gateway
from scenarios.stack.own_programs import start_publisher, start_services
from scenarios.stack.parts import Wanted


class Bed(Struct, frozen=True, kw_only=True):
    """A running pod."""

    target: Target
    address: tuple[str, int]
    processes: Callable[[], list[psutil.Process]]
    """Of the pod, as far as they are there now."""
    cpu_s: Callable[[], float]
    """CPU-seconds that the pod has used by now."""
    helpers: Callable[[], list[psutil.Process]]
    """Of services and the publisher, likewise."""
    frozen: Callable[[], contextlib.AbstractAsyncContextManager[None]]
    """Stops all processes of the pod as long as it lasts."""
    stall_feed: Callable[[float], Awaitable[None]] | None
    """Stops the feed for the given number of seconds; None where the feed takes no orders."""


@contextlib.asynccontextmanager
async def bed(
    scenario: Scenario, *, directory: Path, cores: Cores, epoch_ns: int, watch: Watch
) -> AsyncIterator[Bed]:
    """Starts one pod of the gateway, with what it needs; handshakes cost what the scenario says."""
    # The pod is not asked for its metrics: an answer would cost CPU of the pod.
    scenario = replace(scenario, gateway=replace(scenario.gateway, pods=1, metrics=None))
    async with contextlib.AsyncExitStack() as stops:
        wanted = Wanted(
            scenario=scenario,
            directory=directory,
            epoch_ns=epoch_ns,
            watch=watch,
            on_pod=_ignore,
            on_sidecar=_ignore,
            on_interval=_ignore,
            note=_ignore,
        )
        services = await start_services(stops, wanted, cores.stack) if scenario.own_gateway else None
        gateway = Gateway(
            scenario,
            epoch_ns=epoch_ns,
            directory=directory / "pods",
            hosts=LocalPodHosts(cores.stack),
            watch=watch,
            on_second=_ignore,
            note=_ignore,
            values=services.values if services else {},
            cores=cores.stack,
        )
        stops.push_async_callback(gateway.stop)
        await gateway.start()
        await gateway.charge_handshakes(scenario.gateway.handshake_cpu_ms)
        publisher = None
        if services:
            publisher = await start_publisher(stops, wanted, services, gateway, cores.stack)
        pod = gateway.pods[0]
        host, _, port = pod.address.rpartition(":")
        clock = CpuClock()

        def helpers() -> list[psutil.Process]:
            children = [*(services.children if services else ()), publisher and publisher.child]
            return [process for child in children if child for process in child.processes()]

        yield Bed(
            target=replace(scenario.target, url=f"http://{pod.address}{scenario.gateway.path}"),
            address=(host, int(port)),
            processes=lambda: _processes(pod.child),
            cpu_s=lambda: _cpu_s(clock, pod.child),
            helpers=helpers,
            frozen=lambda: gateway.paused(0),
            stall_feed=_stall(scenario, gateway, publisher),
        )


def _stall(
    scenario: Scenario, gateway: Gateway, publisher: Publisher | None
) -> Callable[[float], Awaitable[None]] | None:
    if not scenario.own_gateway:
        return gateway.stall_feed
    if publisher is None:
        return None

    async def stall(for_s: float) -> None:
        async with publisher.stalled():
            await asyncio.sleep(for_s)

    return stall


def _processes(child: Child | None) -> list[psutil.Process]:
    if isinstance(child, KeptProgram):
        return child.processes()
    if child is None:
        raise StackError("the pod has ended")
    assert isinstance(child, LocalChild)  # noqa: S101 - pods of this host are its children
    return tree(child.pid)


def _cpu_s(clock: CpuClock, child: Child | None) -> float:
    if isinstance(child, KeptProgram):
        return clock.program_cpu_s(child)
    return clock.cpu_s(_processes(child))


def _ignore(*_: object, **__: object) -> None:
    pass
