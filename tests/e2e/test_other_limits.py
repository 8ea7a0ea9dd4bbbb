"""Limits that are no plain rate, and refusals that are no plain 429: at real proxies, and as rules."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from scenarios.host.machine import free_ports
from scenarios.limits.registry import limit
from scenarios.limits.window import Counter, decide
from scenarios.proxies.registry import PROXIES
from tests.e2e.command_line import PATIENCE_S
from tests.e2e.limit_storms import SLACK_MS, carried_out, scenario, storm_of, until_logged
from tests.support.serving import serving

# Milliseconds decide.
pytestmark = [pytest.mark.e2e, pytest.mark.measures, pytest.mark.needs_loopback_range]

NGINX_AND_HAPROXY = ["nginx", pytest.param("haproxy", marks=pytest.mark.needs_haproxy)]
EVERY_PROXY = [*NGINX_AND_HAPROXY, "envoy"]
HERE = "127.11.12.1"


class Edge:
    """A proxy with a limit, in front of a pod that holds every answer."""

    def __init__(self, proxy: str, folder: Path, port: int) -> None:
        self._proxy, self._folder, self._port = proxy, folder, port
        self.asked = 0
        """Requests up to now."""
        self._ended = 0

    async def hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A pod that answers at once, and keeps the answer going until its client leaves."""
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbegun")
        await reader.read()
        self._ended += 1

    async def end(self, writer: asyncio.StreamWriter, requests_left: int) -> None:
        """Closes a connection that the pod holds; returns once the proxy no longer counts it.

        requests_left: those that have no end yet, so that HAProxy has not logged them. nginx logs once a
        second, and stops counting in the step in which it closes the connection to the pod.
        """
        ended = self._ended
        writer.close()
        async with asyncio.timeout(PATIENCE_S):
            while self._ended == ended:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        if self._proxy == "haproxy":
            await until_logged(self._proxy, self._folder, self.asked - requests_left)

    async def ask(
        self, address: str = HERE, headers: str = "", query: str = "", waits_s: float = 5
    ) -> tuple[bytes, asyncio.StreamWriter]:
        """The head of the answer, empty where there is none; and the connection, which stays open."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(address, 0))
        self.asked += 1
        target = f"/socket.io/?EIO=4{query}"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: t\r\n{headers}\r\n".encode())
        try:
            return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), waits_s), writer
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            return b"", writer

    async def status(self, **request: Any) -> int:
        """The status of an answer, of a connection that ends then."""
        head, writer = await self.ask(**request)
        writer.close()
        return int(head.split()[1]) if head else 0


@asynccontextmanager
async def edge(proxy: str, folder: Path, spec: Any, defaults: str = "bench") -> AsyncIterator[Edge]:
    """All of its log is there at the end, if all of its connections are closed by then."""
    port, pod_port = free_ports(2)
    chosen = scenario(spec, "bind", proxy)
    chosen = replace(chosen, edge=replace(chosen.edge, defaults=defaults))
    kind = PROXIES[proxy]
    host = kind.host(port=port, directory=folder, cores=(), binary=None)
    await host.configure(kind.render(chosen, host, [f"127.0.0.1:{pod_port}"], None))
    made = Edge(proxy, folder, port)
    async with serving(made.hold, pod_port, backlog=4096):
        running = await host.start(descriptors=8192)
        try:
            yield made
            await until_logged(proxy, folder, made.asked)
        finally:
            await running.stop()


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("proxy", NGINX_AND_HAPROXY)
def test_a_cap_on_connections_decides_as_its_rule_does(proxy: str, dry_run: bool, tmp_path: Path) -> None:
    spec = {"name": "concurrent-per-ip", "connections": 2, "dry_run": dry_run, "exempt": ["127.31.0.0/16"]}
    (rule,) = limit(spec).in_flight
    addresses = [HERE, "127.21.22.1", "127.31.32.1"]

    async def play() -> tuple[list[bool], list[bool]]:
        rng = random.Random(1)
        is_open: defaultdict[str, list[tuple[asyncio.StreamWriter, bool]]] = defaultdict(list)
        expected, found = [], []
        async with edge(proxy, tmp_path, spec) as made:
            for _ in range(60):
                address = rng.choice(addresses)
                mine = is_open[address]
                if mine and rng.random() < 0.4:
                    ends, _ = mine.pop(rng.randrange(len(mine)))
                    await made.end(ends, sum(map(len, is_open.values())))
                    continue
                fits = rule.is_exempt(address) or rule.admits(sum(counts for _, counts in mine))
                # A session id changes nothing: what polled before counts as well.
                head, writer = await made.ask(address, query=rng.choice(["", "&sid=abc"]))
                expected.append(fits)
                found.append(b" 200 " in head.partition(b"\r\n")[0])
                if found[-1]:
                    # In a dry run nginx does not count what it would have refused.
                    mine.append((writer, fits or proxy == "haproxy"))
                else:
                    writer.close()
            for mine in is_open.values():
                for writer, _ in mine:
                    writer.close()
        return expected, found

    expected, found = asyncio.run(play())
    assert not all(expected), "the storm has to be one that the limit refuses a part of"
    assert found == ([True] * len(expected) if dry_run else expected)
    lines = PROXIES[proxy].read_access_log(tmp_path / "access.log")
    word = "REJECTED_DRY_RUN" if dry_run else "REJECTED"
    assert sum(line.limit_status == word for line in lines) == expected.count(False)


@pytest.mark.needs_haproxy
@pytest.mark.parametrize("charge", [False, True])
def test_haproxy_counts_a_window_as_the_rule_does(charge: bool, tmp_path: Path) -> None:
    spec = {"name": "sliding-window", "connections": 6, "window_s": 1, "charge_refusals": charge}
    storm = storm_of([HERE, "127.21.22.1", "127.31.32.1"])
    lines = carried_out(tmp_path, {"run": (scenario(spec, "bind", "haproxy"), storm)})["run"]
    (rule,) = limit(spec).windows
    counters: defaultdict[str, Counter] = defaultdict(Counter)
    certain = 0
    for line in lines:
        key = rule.counts_as(line.request.address, new=line.request.new)
        if not key:
            assert line.status == 200
            continue
        outcomes: dict[bool, Counter] = {}
        for slack_ms in sorted(SLACK_MS, key=abs):
            passed, after = decide(rule, counters[key], line.start_ms + slack_ms)
            outcomes.setdefault(passed, after)
        certain += len(outcomes) == 1
        assert (line.status == 200) in outcomes, line
        counters[key] = outcomes[line.status == 200]
    counted = [line for line in lines if line.request.new]
    assert certain > 0.8 * len(counted), "milliseconds decide too often for the comparison to mean anything"
    assert {line.status for line in counted} == {200, 429}


@pytest.mark.needs_haproxy
def test_a_bucket_is_full_again_however_long_an_open_connection_keeps_its_key(tmp_path: Path) -> None:
    spec = {"name": "per-ip", "rate_per_s": 9_999.5, "burst": 2}

    async def play() -> list[int]:
        async with edge("haproxy", tmp_path, spec) as made:
            _, held = await made.ask()
            # HAProxy counts 599,970 fractions of a token in a millisecond, and in 32 bits: half of these are
            # 3.6 s, all 7.2 s. At lower rates that takes minutes or days.
            await asyncio.sleep(4.5)
            try:
                return [await made.status() for _ in range(3)]
            finally:
                held.close()

    assert asyncio.run(play()) == [200, 200, 200]


@pytest.mark.parametrize("by", ["header:X-Token", "cookie:token"])
@pytest.mark.parametrize("proxy", EVERY_PROXY)
def test_clients_behind_one_address_have_an_allowance_for_each_token(
    proxy: str, by: str, tmp_path: Path
) -> None:
    if (proxy, by) == ("envoy", "cookie:token"):
        return
    spec = {"name": "per-token", "by": by, "rate_per_s": 1 / 60, "burst": 1}
    name = "X-Token: {}\r\n" if by.startswith("header") else "Cookie: other=1; token={}\r\n"
    long = 150 * "x"

    async def play() -> dict[str, list[int]]:
        async with edge(proxy, tmp_path, spec) as made:
            return {
                token: [await made.status(headers=name.format(token) if token else "") for _ in range(4)]
                for token in (f"{long}a", f"{long}b", "")
            }

    found = asyncio.run(play())
    assert list(found.values()) == [[200, 200, 429, 429], [200, 200, 429, 429], [200, 200, 200, 200]]


REFUSALS: dict[str, dict[str, Any]] = {
    "429 that says when": {"retry_after_s": 60},
    "503": {"status": 503},
    "503 that says when": {"status": 503, "retry_after_s": 7},
    "no answer": {"drop": True},
}


@pytest.mark.parametrize("proxy", EVERY_PROXY)
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_looks_as_the_limit_says(proxy: str, refusal: dict[str, Any], tmp_path: Path) -> None:
    if proxy == "envoy" and "drop" in refusal:
        return
    specs: list[dict[str, Any]] = [{"name": "per-ip", "rate_per_s": 1 / 60, "burst": 0}]
    specs += [{"name": "concurrent-per-ip", "connections": 1}] if proxy != "envoy" else []

    async def play(spec: dict[str, Any], folder: Path) -> list[bytes]:
        folder.mkdir()
        async with edge(proxy, folder, {**spec, **refusal}) as made:
            asked = [await made.ask() for _ in range(2)]
            for _, writer in asked:
                writer.close()
        return [head for head, _ in asked]

    for spec in specs:
        folder = tmp_path / spec["name"]
        good, refused = asyncio.run(play(spec, folder))
        assert good.startswith(b"HTTP/1.1 200 ")
        assert b"retry-after" not in good.lower()
        lines = PROXIES[proxy].read_access_log(folder / "access.log")
        assert max(line.limit_status for line in lines) == "REJECTED"
        if "drop" in refusal:
            assert refused == b""
            continue
        assert refused.startswith(f"HTTP/1.1 {refusal.get('status', 429)} ".encode())
        after = f"retry-after: {refusal['retry_after_s']}\r\n" if "retry_after_s" in refusal else ""
        assert (b"retry-after" in refused.lower()) is bool(after)
        assert after.encode() in refused.lower()


ENOUGH = 1_200
"""Clients of an Envoy whose own circuit breakers let 1,024 through."""


def test_of_1200_clients_1024_join_through_the_circuit_breakers_that_envoy_has_by_itself(
    tmp_path: Path,
) -> None:
    async def play(defaults: str, folder: Path) -> int:
        folder.mkdir()
        async with edge("envoy", folder, "none", defaults) as made, asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(made.ask(waits_s=12)) for _ in range(ENOUGH)]
            heads = [await each for each in asked]
            for _, writer in heads:
                writer.close()
        return sum(head.startswith(b"HTTP/1.1 200 ") for head, _ in heads)

    assert asyncio.run(play("stock", tmp_path / "stock")) == 1_024
    assert asyncio.run(play("bench", tmp_path / "bench")) == ENOUGH
