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

pytestmark = [pytest.mark.e2e, pytest.mark.measures]

SECOND_NS = 1_000_000_000
CLIENTS = 30


async def observe(tmp_path: Path) -> tuple[list[dict[str, Any]], list[Interval], list[PodSecond]]:
    """Lets 30 clients of ours and one of python-socketio listen to one pod for eight seconds."""
    scenario = load("mass-drop", [f"fleet.clients={CLIENTS}", "gateway.pods=1"])
    epoch_ns = time.monotonic_ns() // SECOND_NS * SECOND_NS
    theirs: list[dict[str, Any]] = []
    ours: list[Interval] = []
    lines: list[PodSecond] = []
    watch = Watch()
    gateway = Gateway(
        scenario,
        epoch_ns=epoch_ns,
        directory=tmp_path / "pods",
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
        host = LocalNginx(port=port, directory=tmp_path / "nginx")
        nginx = Proxy(scenario, host=host, pods=gateway.addresses, watch=watch)
        await nginx.start()
        generator = await Generator.start(
            scenario,
            own_url=nginx.url,
            epoch_ns=epoch_ns,
            log=tmp_path / "generator.log",
            cores=(),
            on_interval=ours.append,
        )
        await client.connect(f"http://127.0.0.1:{port}", transports=["websocket"])
        await asyncio.sleep(8.5)
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
    theirs, ours, lines = asyncio.run(observe(tmp_path))
    whole = [interval for interval in ours if interval.connected == CLIENTS and not interval.attempts][:4]
    assert len(whole) == 4
    seqs = [tick["seq"] for tick in theirs]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), "the feed has no holes"
    # 5 ticks a second for each client; one may fall on either side of a second's end.
    for interval in whole:
        assert interval.ticks == pytest.approx(CLIENTS * 5, abs=CLIENTS)
    assert sum(interval.ticks for interval in whole) == pytest.approx(CLIENTS * 5 * 4, abs=CLIENTS)
    sent = [line.ticks_sent for line in lines if line.clients == CLIENTS + 1][1:4]
    assert all(count == pytest.approx((CLIENTS + 1) * 5, abs=CLIENTS + 1) for count in sent)
