"""What is left in the buckets when a running proxy gets another limit: at the real one, and in the model."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from scenarios.host.machine import free_ports
from scenarios.proxies.registry import PROXIES
from scenarios.scenario.stability import edge_limits
from tests.e2e.command_line import PATIENCE_S
from tests.e2e.limit_storms import OTHER_PROXIES, scenario
from tests.e2e.plain_requests import yes
from tests.support.loop_parts import Parts
from tests.support.serving import serving

pytestmark = pytest.mark.e2e

ASKING = 6
"""Requests of one address after each change of the limit."""


def per_ip(burst: int = 2, *, dry_run: bool = False) -> dict[str, Any]:
    """So slow that nothing comes back during the test."""
    return {"name": "per-ip", "rate_per_s": 1 / 60, "burst": burst, "dry_run": dry_run}


BOTH = {"name": "per-ip+global", "per-ip": {"rate_per_s": 1 / 60, "burst": 2}, "global": {"rate_per_s": 1}}
STRICT = {"name": "per-ip-strict", "rate_per_s": 1 / 60}
SEQUENCES: dict[str, tuple[list[Any], dict[str, list[int]]]] = {
    "the same again": ([per_ip(), per_ip()], {"nginx": [3, 0], "envoy": [3, 0], "haproxy": [3, 3]}),
    "a larger burst": ([per_ip(), per_ip(4)], {"nginx": [3, 2], "envoy": [3, 5], "haproxy": [3, 5]}),
    "a smaller burst": ([per_ip(4), per_ip(1)], {"nginx": [5, 0], "envoy": [5, 2], "haproxy": [5, 2]}),
    "another one as well": ([per_ip(), BOTH], {"nginx": [3, 0], "envoy": [3, 3], "haproxy": [3, 3]}),
    "another one instead": ([per_ip(), STRICT], {proxy: [3, 1] for proxy in PROXIES}),
    "off in between": ([per_ip(), "none", per_ip()], {proxy: [3, ASKING, 3] for proxy in PROXIES}),
    "in earnest after a dry run": (
        [per_ip(dry_run=True), per_ip()],
        {"nginx": [ASKING, 0], "envoy": [ASKING, 3], "haproxy": [ASKING, 3]},
    ),
}


async def status_of(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /socket.io/?EIO=4 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()


def workers(host: Any) -> set[int]:
    """The processes of a proxy beneath its master."""
    return {worker.pid for worker in psutil.Process(host.child.pid).children()}


async def reload(host: Any) -> None:
    """Returns once nobody is left who was there before: a worker that leaves may still take a connection."""
    before = workers(host)
    await host.reload()
    async with asyncio.timeout(PATIENCE_S):
        while workers(host) & before:  # noqa: ASYNC110 - they are other processes
            await asyncio.sleep(0.02)


async def let_in(proxy: str, folder: Path, limits: list[Any]) -> list[int]:
    """How many requests get through after each change."""
    port, pod_port = free_ports(2)
    kind = PROXIES[proxy]
    async with AsyncExitStack() as stops:
        await stops.enter_async_context(serving(yes, pod_port))
        host = kind.host(port=port, directory=folder, cores=(), binary=None)
        found = []
        for number, limit in enumerate(limits):
            chosen = scenario(limit, "same", proxy)
            await host.configure(kind.render(chosen, host, [f"127.0.0.1:{pod_port}"], None))
            if number:
                await reload(host)
            else:
                stops.push_async_callback((await host.start(descriptors=1024)).stop)
            found.append([await status_of(port) for _ in range(ASKING)].count(200))
        return found


def predicted(proxy: str, limits: list[Any]) -> list[int]:
    parts, found = Parts.of(ASKING), []
    for number, limit in enumerate(limits):
        parts.limit(edge_limits(scenario(limit, "same", proxy)), proxy, addresses=1)
        found.append(sum(parts.let_in([0] * ASKING, 300 * number)))
    return found


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_the_model_leaves_in_the_buckets_what_a_proxy_keeps_at_a_change_of_the_limit(
    proxy: str, sequence: str
) -> None:
    limits, expected = SEQUENCES[sequence]
    assert predicted(proxy, limits) == expected[proxy]


@pytest.mark.parametrize("proxy", ["nginx", *OTHER_PROXIES])
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_a_change_of_the_limit_leaves_in_the_buckets_what_the_proxy_keeps(
    tmp_path: Path, proxy: str, sequence: str
) -> None:
    limits, expected = SEQUENCES[sequence]
    assert asyncio.run(let_in(proxy, tmp_path, limits)) == expected[proxy]
