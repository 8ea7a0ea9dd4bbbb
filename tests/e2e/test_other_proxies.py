"""Envoy and HAProxy in front of real pods and real clients: a short storm, and what is done about it."""

import asyncio
import contextlib
from collections import defaultdict
from pathlib import Path

import pytest

from reports.rundir.reader import Run
from scenarios.host.machine import free_ports
from scenarios.proxies.access_log import COLUMNS
from scenarios.proxies.registry import PROXIES
from tests.e2e.command_line import PATIENCE_S, SMALL_STORM, carried_out, last_known
from tests.e2e.limit_storms import OTHER_PROXIES, scenario
from tests.e2e.own_gateway import end_of, total
from tests.support.serving import serving

pytestmark = pytest.mark.e2e

CLIENTS = 60
NEIGHBOURS = 30

RESTART_S = 14
TIMELINE = f"""[
    {{at_s=2, do="drop_all"}},
    {{at_s=6, do="set_limit", limit="none"}},
    {{at_s=7, do="scale", pods=3}},
    {{at_s=8, do="nginx_reload"}},
    {{at_s={RESTART_S}, do="nginx_restart", down_s=0.3}},
]"""
"""A pod may take seconds to start, and everybody may be seconds late: what comes next leaves them as many."""


@pytest.fixture(scope="module", params=OTHER_PROXIES)
def proxy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def run(proxy: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    _, (run,) = carried_out(
        tmp_path_factory.mktemp(proxy),
        "run",
        "--retries",
        "0",
        sets=(
            *SMALL_STORM,
            f"edge.proxy={proxy}",
            "fleet.ramp_per_s=300",
            # Nobody gives up, or leaves, because a process stood still for a while.
            *("fleet.connect_timeout_s=20", "fleet.stale_after_s=0"),
            'fleet.policy={name="spread", window_s=0.5, base_s=0.5, cap_s=1}',
            "edge.limit=per-ip",
            "gateway.balance=hash",
            "fleet.source=proxy-protocol",
            "fleet.clients_per_ip=[{share=0.5, clients_per_ip=1}, {share=0.5, clients_per_ip=30}]",
            "event=" + " ".join(TIMELINE.split()),
            "phases.duration_s=20",
        ),
    )
    return run


def access_log(run: Run) -> list[list[str]]:
    text = (run.directory / "nginx" / "access.log").read_text(encoding="utf-8")
    return [row for line in text.splitlines() if len(row := line.split("\t")) == COLUMNS]


def test_clients_are_dropped_and_all_come_back(run: Run) -> None:
    assert run.info.status == "complete"
    assert end_of(run, "drop_all")["dropped"] == CLIENTS
    assert last_known(run, "connected") == CLIENTS
    assert total(run, "nginx_cpu", 2, 5) > 0


def test_refusals_agree_between_clients_and_proxy_until_the_limit_is_lifted(run: Run) -> None:
    limited = total(run, "limited", 0, 20)
    assert limited > 0, "30 clients behind one address must meet a limit of 3 a second"
    assert total(run, "nginx_limited", 0, 20) == pytest.approx(limited, rel=0.05, abs=3)
    assert total(run, "limited", 11, 20) == 0
    alone = [row["limited"] or 0 for row in run.shared_ips if row["clients_per_ip"] == 1]
    assert alone
    assert sum(alone) == 0


def test_another_limit_more_pods_and_a_reload_drop_nobody_and_a_restart_everybody(run: Run) -> None:
    assert total(run, "disconnects", 0, RESTART_S) == CLIENTS, "each by the drop before, and nobody again"
    there = run.between(RESTART_S - 1, RESTART_S)[0]["connected"] or 0
    assert there > CLIENTS / 2
    assert total(run, "disconnects", RESTART_S, 20) >= there


def test_a_pod_that_is_added_gets_clients(run: Run) -> None:
    assert any(row["clients"] for row in run.pods if row["pod"] == 2)


def test_source_addresses_come_through_and_each_has_one_pod(run: Run, proxy: str) -> None:
    lines = access_log(run)
    assert len({line[2] for line in lines}) == NEIGHBOURS + 1
    pods = defaultdict(set)
    seen = PROXIES[proxy].read_access_log(run.directory / "nginx" / "access.log")
    sessions = [(line, row) for line, row in zip(seen, lines, strict=True) if line.status == 101]
    sessions.sort(key=lambda session: session[0].ended_wall_s)
    # Those that the drop ended: nobody else was disconnected before the restart.
    for _, row in sessions[:CLIENTS]:
        pods[row[2]].add(row[6])
    assert len(pods) == NEIGHBOURS + 1
    assert {len(found) for found in pods.values()} == {1}
    assert len(set.union(*pods.values())) == 2


def test_what_the_events_changed_can_be_read_in_the_run(run: Run, proxy: str) -> None:
    limit, pod = {"envoy": ("max_tokens: 3", "endpoint:"), "haproxy": ("deny_status 429", "server pod-")}[
        proxy
    ]
    name = PROXIES[proxy].configuration
    before, after = (
        (run.directory / "nginx" / file).read_text(encoding="utf-8") for file in (f"{name}.before", name)
    )
    assert limit in before
    assert limit not in after
    assert after.count(pod) == before.count(pod) + 1


def test_the_emptiest_pod_gets_the_next_one_and_one_that_cannot_be_reached_is_a_bad_gateway(
    tmp_path: Path, proxy: str
) -> None:
    asyncio.run(_fill_pods(proxy, tmp_path / "nginx"))


async def _fill_pods(name: str, folder: Path) -> None:
    """Requests that are never answered, so that they go on counting."""
    held: dict[int, int] = defaultdict(int)

    def holder(port: int) -> contextlib.AbstractAsyncContextManager[object]:
        async def hold(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            held[port] += 1
            await reader.read()

        return serving(hold, port)

    port, nobody, *ports = free_ports(5)
    chosen, kind = scenario("none", proxy=name), PROXIES[name]
    folder.mkdir()
    async with contextlib.AsyncExitStack() as stops:

        async def ask() -> asyncio.StreamReader:
            """A request that waits for its answer."""
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stops.callback(writer.close)
            writer.write(b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: t\r\n\r\n")
            return reader

        for each in ports:
            await stops.enter_async_context(holder(each))
        host = kind.host(port=port, directory=folder, cores=(), binary=None)
        await host.configure(kind.render(chosen, host, [f"127.0.0.1:{each}" for each in ports], None))
        proxy = await host.start(descriptors=1024)
        stops.push_async_callback(proxy.stop)

        asked: list[asyncio.StreamReader] = []
        async with asyncio.timeout(PATIENCE_S):
            for number in range(1, 10):
                asked.append(await ask())
                while sum(held.values()) < number:  # noqa: ASYNC110 - the proxy is another process
                    await asyncio.sleep(0.01)
            assert dict(held) == dict.fromkeys(ports, 3)

            await host.configure(kind.render(chosen, host, [f"127.0.0.1:{nobody}"], None))
            await host.reload()
            # A worker of Envoy learns of other pods a moment later than its main thread, and an old one of
            # HAProxy listens until the new one does.
            while True:
                reader = await ask()
                answer = asyncio.ensure_future(reader.readline())
                while sum(held.values()) <= len(asked) and not answer.done():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                if answer.done():
                    break
                answer.cancel()
                asked.append(reader)
        assert answer.result().startswith(b"HTTP/1.1 502")
        assert not any(reader.at_eof() for reader in asked), "other pods drop nobody"


def test_a_proxy_reloads_as_soon_as_it_has_been_started_and_again_at_once(proxy: str, tmp_path: Path) -> None:
    async def reloads() -> None:
        chosen, kind = scenario("none", proxy=proxy), PROXIES[proxy]
        port, pod = free_ports(2)
        host = kind.host(port=port, directory=tmp_path, cores=(), binary=None)
        await host.configure(kind.render(chosen, host, [f"127.0.0.1:{pod}"], None))
        started = await host.start(descriptors=1024)
        try:
            for _ in range(5):
                await host.reload()
        finally:
            await started.stop()

    asyncio.run(reloads())
