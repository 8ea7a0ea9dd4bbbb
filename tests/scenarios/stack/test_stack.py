"""What events do to a stack: by which part connections are cut, and feeds stalled."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway_stub.protocol import Admission
from scenarios.scenario.loader import load
from scenarios.stack.stack import Stack


class Part:
    """A gateway, a proxy, a generator and a publisher in one, which write down what they are told."""

    def __init__(self, *, cuts: bool = True) -> None:
        self.calls: list[str] = []
        self._cuts = cuts

    async def drop(self, share: float) -> int:
        self.calls.append(f"pods drop {share:g}")
        return 7

    async def stall_feed(self, for_s: float) -> None:
        self.calls.append(f"pods stall {for_s:g}")


class ProxyPart(Part):
    async def cut(self) -> bool:
        self.calls.append("proxy cuts")
        return self._cuts


class BeginningPart(ProxyPart):
    """A gateway and a proxy at the begin of the steady state."""

    async def charge_handshakes(self, _cpu_ms: float) -> None:
        pass

    def begin(self) -> None:
        pass

    async def set_admission(self, admission: Admission) -> None:
        self.calls.append(f"pods shed above {admission.shed_above_lag_ms:g} ms")

    async def limit_at_sidecars(self) -> None:
        pass

    async def reconfigure(self, **_changes: Any) -> None:
        self.calls.append("proxy reloads")

    def keep_configuration(self) -> None:
        pass


class ClientsPart(Part):
    async def cut(self, share: float = 1.0) -> None:
        self.calls.append(f"clients cut {share:g}")


class PublisherPart(Part):
    @contextlib.asynccontextmanager
    async def stalled(self) -> AsyncIterator[None]:
        self.calls.append("publisher stalls")
        yield
        self.calls.append("publisher goes on")

    @contextlib.asynccontextmanager
    async def faster(self, factor: float) -> AsyncIterator[None]:
        self.calls.append(f"publisher times {factor:g}")
        yield
        self.calls.append("publisher as before")


SHED = "pods shed above 250 ms"
BEGINS = {
    "without a limit": ((), []),
    "the limit is put in force": (("edge.limit=per-ip+lag-shed",), ["proxy reloads", SHED]),
    "a reload would cut the fleet": (
        ("edge.limit=per-ip+lag-shed", "edge.nginx.worker_shutdown_timeout_s=60"),
        [SHED],
    ),
}


@pytest.mark.parametrize(("sets", "calls"), BEGINS.values(), ids=BEGINS)
def test_the_steady_state_begins_with_the_limit_in_force(sets: tuple[str, ...], calls: list[str]) -> None:
    part = BeginningPart()
    stack = Stack(load("mass-drop", ("matrix={}", *sets)), part, part, ClientsPart(), print)  # type: ignore[arg-type]
    asyncio.run(stack.begin())
    assert part.calls == calls


OWN = ('gateway={command="node server.js"}', "matrix={}", "event=[]")
EXTERNAL = ('target.url="http://127.0.0.1:1"', "matrix={}", "event=[]")

DROPS = {
    "the stub's pods drop their clients": ((), 1.0, True, "pods drop 1", {"dropped": 7}),
    "the stub's pods drop a share": ((), 0.3, True, "pods drop 0.3", {"dropped": 7}),
    "the proxy cuts all connections of an own gateway": (
        OWN,
        1.0,
        True,
        "proxy cuts",
        {"dropped_by": "nginx"},
    ),
    "clients cut a share of their connections": (
        OWN,
        0.3,
        True,
        "clients cut 0.3",
        {"dropped_by": "clients"},
    ),
    "clients cut where the proxy cannot": (OWN, 1.0, False, "clients cut 1", {"dropped_by": "clients"}),
    "clients of an external target cut": (EXTERNAL, 1.0, True, "clients cut 1", {"dropped_by": "clients"}),
}


@pytest.mark.parametrize(("sets", "share", "cuts", "call", "said"), DROPS.values(), ids=DROPS)
def test_connections_are_cut_by_the_part_that_can(
    sets: tuple[str, ...], share: float, cuts: bool, call: str, said: dict[str, Any]
) -> None:
    scenario = load("mass-drop", sets)
    gateway, proxy, clients = Part(), ProxyPart(cuts=cuts), ClientsPart()
    ours = not scenario.target.url
    stack = Stack(scenario, gateway if ours else None, proxy if ours else None, clients, print)  # type: ignore[arg-type]
    assert asyncio.run(stack.drop(share)) == said
    assert [*gateway.calls, *proxy.calls, *clients.calls][-1] == call


def test_a_publisher_is_stalled_and_sped_up_for_as_long_as_the_event_lasts() -> None:
    scenario = load("mass-drop", [*OWN, 'feed.command="node publisher.js"'])
    publisher = PublisherPart()
    stack = Stack(scenario, Part(), ProxyPart(), ClientsPart(), print, publisher)  # type: ignore[arg-type]

    async def both() -> None:
        await stack.stall_feed(0.01)
        await stack.burst_feed(3.0, 0.01)

    asyncio.run(both())
    assert publisher.calls == [
        "publisher stalls",
        "publisher goes on",
        "publisher times 3",
        "publisher as before",
    ]
