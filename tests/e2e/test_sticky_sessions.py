"""Polling clients at several pods: every sticky balance keeps a session at its pod, and no other does."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from scenarios.clients.addresses import source_address
from scenarios.clients.protocol.packets import Event, Joined, Redial, Refused
from scenarios.clients.protocol.polling import PollingSession
from scenarios.host.machine import free_ports
from scenarios.proxies.registry import PROXIES
from scenarios.scenario.edge.balance import Balance
from scenarios.scenario.validate import build
from scenarios.simulator.edge.balancer import homes
from tests.e2e.command_line import PATIENCE_S, lone_pod
from tests.support.server_bytes import UPGRADE, subscription

pytestmark = pytest.mark.e2e

PODS = 3
CLIENTS = 12
SWITCHED, UNKNOWN_SESSION = 101, 400


@contextlib.contextmanager
def real_pods() -> Iterator[list[str]]:
    """Addresses of pods of the stub."""
    with contextlib.ExitStack() as stops:
        yield [stops.enter_context(lone_pod()).removeprefix("http://") for _ in range(PODS)]


async def outcome(port: int, source: str) -> int:
    """The status that ends a client's session: of its upgrade, or of the request that was refused before."""
    session = PollingSession(UPGRADE, subscription())

    async def dial() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))

    reader, writer = await dial()
    while True:
        writer.write(session.take_http_to_send())
        events: tuple[Event, ...] = session.receive_http(await reader.read(65_536))
        if refused := [event for event in events if isinstance(event, Refused)]:
            writer.close()
            return refused[0].status
        if any(isinstance(event, Joined) for event in events):
            break
        if any(isinstance(event, Redial) for event in events):
            writer.close()
            reader, writer = await dial()
    upgraded, upgrade = await dial()
    upgrade.write(session.take_to_send())
    status = int((await upgraded.readline()).split()[1])
    upgrade.close()
    writer.close()
    return status


async def storm(proxy: str, balance: Balance, pods: list[str], folder: Path) -> list[int]:
    """The outcome of each client, one after the other."""
    scenario = build({"edge": {"proxy": proxy}}, source="test")
    # No scenario file may say so of polling clients, where it is not sticky.
    scenario = replace(scenario, gateway=replace(scenario.gateway, balance=balance))
    kind, (port,) = PROXIES[proxy], free_ports(1)
    folder.mkdir()
    host = kind.host(port=port, directory=folder, cores=(), binary=None)
    await host.configure(kind.render(scenario, host, pods, None))
    child = await host.start(descriptors=4_096)
    try:
        async with asyncio.timeout(PATIENCE_S):
            return [await outcome(port, source_address(number)) for number in range(CLIENTS)]
    finally:
        await child.stop()


def pods_of_clients(folder: Path) -> dict[str, set[str]]:
    """Which pods each source address has been at, as the access log says."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in (folder / "access.log").read_text(encoding="utf-8").splitlines():
        row = line.split("\t")
        if len(row) == 10:
            found[row[2]].add(row[6])
    return found


STICKY = [
    ("nginx", ("hash", "ip_hash", "cookie")),
    ("envoy", ("cookie",)),
    pytest.param("haproxy", ("ip_hash", "cookie"), marks=pytest.mark.needs_haproxy),
]


@pytest.mark.parametrize(("proxy", "balances"), STICKY, ids=str)
def test_a_session_stays_at_its_pod(tmp_path: Path, proxy: str, balances: tuple[Balance, ...]) -> None:
    with real_pods() as pods:
        for balance in balances:
            ended = asyncio.run(storm(proxy, balance, pods, tmp_path / balance))
            assert (balance, ended) == (balance, [SWITCHED] * CLIENTS)
    for balance in balances:
        found = pods_of_clients(tmp_path / balance)
        assert len(found) == CLIENTS
        assert {len(each) for each in found.values()} == {1}
        assert len(set.union(*found.values())) > 1, "not all clients are at the same pod"
        if (proxy, balance) == ("nginx", "ip_hash"):
            assert found == {address: {pods[place]} for address, place in places_in_the_model().items()}


def places_in_the_model() -> dict[str, int]:
    """The place of the pod of each client's address, as the simulator has it."""
    places = homes("ip_hash", CLIENTS, range(PODS), seed=1).tolist()
    return {source_address(number): place for number, place in enumerate(places)}


def test_without_stickiness_a_pod_does_not_know_the_session_of_another(tmp_path: Path) -> None:
    balances: tuple[Balance, ...] = ("round_robin", "least_conn")
    with real_pods() as pods:
        for balance in balances:
            assert UNKNOWN_SESSION in asyncio.run(storm("nginx", balance, pods, tmp_path / balance))
