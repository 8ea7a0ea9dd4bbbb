"""Envoy in front of real pods and real clients: a storm of a few seconds, and what is done about it."""

import asyncio
from collections import defaultdict
from pathlib import Path

import pytest
from command_line import SMALL_STORM, carried_out
from limit_storms import scenario

from reports.record import Run
from scenarios.stack.fronts import FRONTS
from scenarios.stack.machine import free_ports

pytestmark = pytest.mark.e2e

CLIENTS = 60
NEIGHBOURS = 30

TIMELINE = """[
    {at_s=3, do="drop_all"},
    {at_s=6, do="set_limit", limit="none"},
    {at_s=7, do="scale", pods=3},
    {at_s=8, do="nginx_reload"},
    {at_s=9, do="drop_all"},
    {at_s=11, do="nginx_restart", down_s=0.3},
]"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    _, (run,) = carried_out(
        tmp_path_factory.mktemp("runs"),
        "run",
        "--retries",
        "0",
        sets=(
            *SMALL_STORM,
            "edge.front=envoy",
            "edge.limit=per-ip",
            "gateway.balance=hash",
            "fleet.source=proxy-protocol",
            "fleet.clients_per_ip=[{share=0.5, clients_per_ip=1}, {share=0.5, clients_per_ip=30}]",
            "event=" + " ".join(TIMELINE.split()),
            "phases.duration_s=15",
        ),
    )
    return run


def total(run: Run, column: str, from_s: float, to_s: float) -> float:
    return sum(row[column] or 0 for row in run.between(from_s, to_s))


def access_log(run: Run) -> list[list[str]]:
    text = (run.directory / "nginx" / "access.log").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]


def test_clients_are_dropped_and_all_come_back(run: Run) -> None:
    assert run.info.status == "complete"
    assert total(run, "disconnects", 3, 5) >= CLIENTS
    assert run.rows[-1]["connected"] == CLIENTS
    assert total(run, "nginx_cpu", 3, 6) > 0


def test_refusals_agree_between_clients_and_envoy_until_the_limit_is_lifted(run: Run) -> None:
    limited = total(run, "limited", 0, 15)
    assert limited > 0, "30 naive clients behind one address must meet a limit of 3 a second"
    assert total(run, "nginx_limited", 0, 15) == pytest.approx(limited, rel=0.05, abs=3)
    assert total(run, "limited", 9, 15) == 0
    alone = [row["limited"] or 0 for row in run.neighbours if row["clients_per_ip"] == 1]
    assert alone
    assert sum(alone) == 0


def test_another_limit_more_pods_and_a_reload_drop_nobody_and_a_restart_everybody(run: Run) -> None:
    assert total(run, "disconnects", 6, 9) == 0
    assert total(run, "disconnects", 11, 13) >= CLIENTS


def test_a_pod_that_is_added_gets_clients(run: Run) -> None:
    clients = {int(row["t_s"] or 0): row["clients"] or 0 for row in run.pods if row["pod"] == 2}
    assert clients[14] > 0


def test_source_addresses_come_through_and_each_has_one_pod(run: Run) -> None:
    lines = access_log(run)
    assert len({line[2] for line in lines}) == NEIGHBOURS + 1
    pods = defaultdict(set)
    early = min(float(line[0]) for line in lines if line[5].startswith("RL"))
    for line in lines:
        if line[4] == "101" and float(line[0]) < early + 1:
            pods[line[2]].add(line[6])
    assert pods
    assert {len(found) for found in pods.values()} == {1}
    assert len(set.union(*pods.values())) == 2


def test_what_the_events_changed_can_be_read_in_the_run(run: Run) -> None:
    before, after = (
        (run.directory / "nginx" / name).read_text(encoding="utf-8")
        for name in ("gateway.yaml.before", "gateway.yaml")
    )
    assert "max_tokens: 3" in before
    assert "max_tokens: 3" not in after
    assert after.count("lb_endpoints") == 1
    assert after.count("endpoint:") == before.count("endpoint:") + 1


def test_the_emptiest_pod_gets_the_next_one_and_one_that_cannot_be_reached_is_a_bad_gateway(
    tmp_path: Path,
) -> None:
    asyncio.run(_fill_pods(tmp_path / "nginx"))


async def _fill_pods(folder: Path) -> None:
    """Requests that are never answered, so that they go on counting."""
    held: dict[int, int] = defaultdict(int)

    async def holder(port: int) -> asyncio.Server:
        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            held[port] += 1
            await reader.read()
            writer.close()

        return await asyncio.start_server(hold, "127.0.0.1", port)

    async def ask(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: t\r\n\r\n")
        return reader, writer

    port, nobody, *ports = free_ports(5)
    pods = [await holder(each) for each in ports]
    chosen, kind = scenario("none", front="envoy"), FRONTS["envoy"]
    folder.mkdir()
    host = kind.host(port=port, directory=folder, cores=(), binary=None)
    await host.configure(kind.render(chosen, host, [f"127.0.0.1:{each}" for each in ports], None))
    front = await host.start(descriptors=1024)
    try:
        asked = []
        for _ in range(9):
            asked.append(await ask(port))
            await asyncio.sleep(0.02)
        assert dict(held) == dict.fromkeys(ports, 3)

        await host.configure(kind.render(chosen, host, [f"127.0.0.1:{nobody}"], None))
        await host.reload()
        reader, writer = await ask(port)
        assert (await reader.readline()).startswith(b"HTTP/1.1 502")
        writer.close()
        for reader, writer in asked:
            assert not reader.at_eof(), "other pods drop nobody"
            writer.close()
    finally:
        await front.stop()
        for pod in pods:
            pod.close()
