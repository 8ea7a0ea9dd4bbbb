"""Each proxy tells a client which pod it is at, with the answer that opens its WebSocket."""

import asyncio
from pathlib import Path

import pytest

from scenarios.host.machine import free_ports
from scenarios.proxies.registry import PROXIES
from scenarios.scenario.model import POD_HEADER
from scenarios.scenario.validate import build
from tests.e2e.command_line import PATIENCE_S
from tests.e2e.limit_storms import OTHER_PROXIES
from tests.support.server_bytes import HEAD, UPGRADE
from tests.support.serving import serving

pytestmark = pytest.mark.e2e


async def answer(name: str, directory: Path) -> tuple[bytes, str]:
    """What a client is answered that asks for a WebSocket, and where the pod is that answers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        await reader.read()

    port, pod = free_ports(2)
    address = f"127.0.0.1:{pod}"
    kind = PROXIES[name]
    proxy = kind.host(port=port, directory=directory, cores=(), binary=None)
    table = {"edge": {"proxy": name}, "gateway": {"command": "node server.js"}}
    scenario = build(table, source="test")
    await proxy.configure(kind.render(scenario, proxy, [address], None))
    async with serving(serve, pod):
        child = await proxy.start(descriptors=2_000)
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(UPGRADE.request)
                head = await reader.readuntil(b"\r\n\r\n")
                writer.close()
            return head, address
        finally:
            await child.stop()


@pytest.mark.parametrize("name", ["nginx", *OTHER_PROXIES])
def test_the_answer_says_where_the_pod_is(name: str, tmp_path: Path) -> None:
    head, address = asyncio.run(answer(name, tmp_path))
    lines = {line.partition(b": ")[0].lower(): line for line in head.split(b"\r\n")}
    assert lines[POD_HEADER.lower().encode()].endswith(b": " + address.encode())
    assert head.startswith(b"HTTP/1.1 101")
