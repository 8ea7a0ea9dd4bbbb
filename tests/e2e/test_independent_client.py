"""Our clients see what an independent client sees at the same time, and pods count the same."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import socketio

from scenarios.host.local import LocalPodHosts
from scenarios.host.machine import free_ports
from scenarios.host.process import Watch
from scenarios.proxies.nginx import LocalNginx
from scenarios.proxies.proxy import Proxy
from scenarios.scenario.loader import load
from scenarios.stack.gateway import Gateway
from scenarios.stack.generator import Generator
from scenarios.wire.interval import Interval
from scenarios.wire.pod_second import PodSecond
from tests.e2e.command_line import PATIENCE_S

pytestmark = [pytest.mark.e2e, pytest.mark.measures]

SECOND_NS = 1_000_000_000
CLIENTS = 30
SECONDS = 4


def whole(ours: list[Interval]) -> list[Interval]:
    """Seconds in which all of our clients were connected from beginning to end."""
    return [interval for interval in ours if interval.connected == CLIENTS and not interval.attempts]


def complete(lines: list[PodSecond]) -> list[int | None]:
    """Ticks sent in each second in which the pod had all clients, and theirs, from beginning to end."""
    return [line.ticks_sent for line in lines if line.clients == CLIENTS + 1][1:]


async def observe(folder: Path) -> tuple[list[dict[str, Any]], list[Interval], list[PodSecond]]:
    """Lets 30 clients of ours and one of python-socketio listen to one pod for some seconds."""
    scenario = load("mass-drop", [f"fleet.clients={CLIENTS}", "gateway.pods=1"])
    folder.mkdir()
    epoch_ns = time.monotonic_ns() // SECOND_NS * SECOND_NS
    theirs: list[dict[str, Any]] = []
    ours: list[Interval] = []
    lines: list[PodSecond] = []
    watch = Watch()
    gateway = Gateway(
        scenario,
        epoch_ns=epoch_ns,
        directory=folder / "pods",
        hosts=LocalPodHosts(),
        watch=watch,
        on_second=lambda _index, line: lines.append(line),
        note=lambda *_, **__: None,
    )
    (port,) = free_ports(1)
    nginx = generator = None
    client = socketio.AsyncClient(reconnection=False)
    client.on("tick", theirs.append)
    try:
        await gateway.start()
        host = LocalNginx(port=port, directory=folder / "nginx")
        nginx = Proxy(scenario, host=host, pods=gateway.addresses, watch=watch)
        await nginx.start()
        generator = await Generator.start(
            scenario,
            own_url=nginx.url,
            epoch_ns=epoch_ns,
            log=folder / "generator.log",
            cores=(),
            on_interval=ours.append,
        )
        url = f"http://127.0.0.1:{port}"
        await client.connect(url, transports=["websocket"], wait_timeout=int(PATIENCE_S))
        async with asyncio.timeout(PATIENCE_S):
            # The last one may be cut by the end.
            while min(len(whole(ours)), len(complete(lines))) <= SECONDS:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    finally:
        await client.disconnect()
        if generator:
            await generator.stop()
        if nginx:
            await nginx.stop()
        await gateway.stop()
        await watch.stop()
    return theirs, ours, lines


def test_ours_and_theirs_count_the_same_ticks(tmp_path: Path) -> None:
    # A machine that stands still for half a second moves ticks to the next one.
    for attempt in range(3):
        theirs, ours, lines = asyncio.run(observe(tmp_path / str(attempt)))
        seqs = [tick["seq"] for tick in theirs]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), "the feed has no holes"
        received = [interval.ticks for interval in whole(ours)[:SECONDS]]
        sent = complete(lines)[:SECONDS]
        # 5 ticks a second for each client; one may fall on either side of a second's end.
        right = (
            received == pytest.approx([CLIENTS * 5] * SECONDS, abs=CLIENTS)
            and sum(received) == pytest.approx(CLIENTS * 5 * SECONDS, abs=CLIENTS)
            and sent == pytest.approx([(CLIENTS + 1) * 5] * SECONDS, abs=CLIENTS + 1)
        )
        if right:
            break
    assert right, (received, sent)
