"""What `tune` prints for the proxy, pasted into a plain configuration of it, refuses as the limit says."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from scenarios.host.machine import free_ports
from scenarios.host.process import start
from scenarios.proxies.added_lines import added_lines
from scenarios.proxies.registry import PROXIES
from scenarios.scenario.validate import build
from tests.e2e.command_line import PATIENCE_S
from tests.e2e.plain_requests import asked, yes
from tests.support.pasting import pasted
from tests.support.serving import serving

pytestmark = pytest.mark.e2e

KINDS = [
    pytest.param(name, marks=pytest.mark.needs_haproxy) if name == "haproxy" else name for name in PROXIES
]
ARGUMENTS: Mapping[str, Sequence[str]] = {
    "nginx": ("-c",),
    "haproxy": ("-db", "-f"),
    "envoy": ("--concurrency", "1", "--disable-hot-restart", "-l", "warning", "-c"),
}
BURST = 4
REQUESTS = 20
# Nothing flows back into the bucket meanwhile.
LIMIT = {"name": "per-ip", "rate_per_s": 1 / 60, "burst": BURST, "retry_after_s": 7}


async def answers(proxy: str, limit: Any, folder: Path) -> tuple[list[str], list[str]]:
    """(heads of the answers to new connections, to requests of a session), one after the other."""
    port, pod = free_ports(2)
    scenario = build({"edge": {"proxy": proxy, "limit": limit}}, source="test")
    listen, behind = f"127.0.0.1:{port}", f"127.0.0.1:{pod}"
    path = pasted(proxy, added_lines(scenario), folder, listen=listen, pod=behind)
    async with AsyncExitStack() as stops:
        await stops.enter_async_context(serving(yes, pod))
        program = [str(PROXIES[proxy].executable()), *ARGUMENTS[proxy], str(path)]
        child = await start(proxy, program, log=folder / "own.log", cores=(), descriptors=1024)
        stops.push_async_callback(child.stop)
        # It counts as a new connection nowhere.
        while not (await asked(port, "&sid=first")).startswith("HTTP/1.1 200"):
            if error := child.ended():
                raise error
            await asyncio.sleep(0.05)
        new = [await asked(port, "") for _ in range(REQUESTS)]
        return new, [await asked(port, "&sid=abc") for _ in range(REQUESTS)]


@pytest.mark.parametrize("proxy", KINDS)
def test_a_pasted_limit_admits_its_burst_and_refuses_the_rest_with_429(proxy: str, tmp_path: Path) -> None:
    new, of_a_session = asyncio.run(asyncio.wait_for(answers(proxy, LIMIT, tmp_path), PATIENCE_S))
    statuses = [int(head.split()[1]) for head in new]
    assert statuses == [200] * (BURST + 1) + [429] * (REQUESTS - BURST - 1)
    assert all("retry-after: 7" in head for head in new[BURST + 1 :])
    assert not any("retry-after" in head for head in new[: BURST + 1])
    assert {head.split()[1] for head in of_a_session} == {"200"}
