"""One pod of the gateway, without a proxy in front: what is measured."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
from msgspec import Struct
from msgspec.structs import replace

from scenarios.host.local import LocalPodHosts
from scenarios.host.machine import Cores
from scenarios.host.process import Child, LocalChild, StackError, Watch
from scenarios.measure.processes import tree
from scenarios.scenario.model import Scenario, Target
from scenarios.stack.gateway import Gateway


class Bed(Struct, frozen=True, kw_only=True):
    """A running pod."""

    target: Target
    address: tuple[str, int]
    processes: Callable[[], list[psutil.Process]]
    """Of the pod, as far as they are there now."""
    frozen: Callable[[], contextlib.AbstractAsyncContextManager[None]]
    """Stops all processes of the pod as long as it lasts."""
    stall_feed: Callable[[float], Awaitable[None]] | None
    """No tick goes out for so many seconds; None where the feed takes no orders."""


@contextlib.asynccontextmanager
async def bed(
    scenario: Scenario, *, directory: Path, cores: Cores, epoch_ns: int, watch: Watch
) -> AsyncIterator[Bed]:
    """Starts one pod of the scenario's gateway, whose handshakes cost what the scenario says."""
    gateway = Gateway(
        replace(scenario, gateway=replace(scenario.gateway, pods=1)),
        epoch_ns=epoch_ns,
        directory=directory / "pods",
        hosts=LocalPodHosts(cores.stack),
        watch=watch,
        on_statistics=lambda _index, _line: None,
    )
    try:
        await gateway.start()
        await gateway.charge_handshakes(scenario.gateway.handshake_cpu_ms)
        pod = gateway.pods[0]
        host, _, port = pod.address.rpartition(":")
        yield Bed(
            target=replace(scenario.target, url=f"http://{pod.address}{scenario.gateway.path}"),
            address=(host, int(port)),
            processes=lambda: _processes(pod.child),
            frozen=lambda: gateway.paused(0),
            stall_feed=gateway.stall_feed,
        )
    finally:
        await gateway.stop()


def _processes(child: Child | None) -> list[psutil.Process]:
    if child is None:
        raise StackError("the pod has ended")
    assert isinstance(child, LocalChild)  # noqa: S101 - pods of this host are its children
    return tree(child.pid)
