"""python-socketio's asyncio client, over a fake session of aiohttp."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import aiohttp
import socketio

from tests.conformance.python.server import Server, Step

PACKAGE = "python-socketio"
OPEN = json.dumps({"sid": "s", "upgrades": [], "pingInterval": 7_200_000, "pingTimeout": 7_200_000})
CLOSED = SimpleNamespace(type=aiohttp.WSMsgType.CLOSED, data=None)


class FakeWebSocket:
    """One connection of the fake session."""

    def __init__(self, server: Server, step: Step) -> None:
        self.server, self.step = server, step
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        self.message(f"0{OPEN}")

    def message(self, text: str) -> None:
        self.inbox.put_nowait(SimpleNamespace(type=aiohttp.WSMsgType.TEXT, data=text))

    async def receive(self) -> Any:
        return await self.inbox.get()

    def drop(self) -> None:
        self.server.ended()
        self.inbox.put_nowait(CLOSED)

    async def close(self) -> None:
        if self.server.ended_s is None:
            self.server.ended()
        self.inbox.put_nowait(CLOSED)

    async def send_str(self, text: str) -> None:
        if not text.startswith("40"):
            return
        if self.step["do"] == "join":
            self.message('40{"sid":"n"}')
            asyncio.get_running_loop().call_later(self.step.get("session_ms", 0) / 1000, self._end)
        elif self.step["do"] == "open":
            # connect() waits a second for the namespace, even if the transport has closed by then.
            self.inbox.put_nowait(CLOSED)
            asyncio.get_running_loop().call_later(1.0, self.server.ended)
        elif self.step["do"] == "connect-error":
            self.message('44{"message":"refused"}')
            self.server.ended()

    def _end(self) -> None:
        if self.step["end"] == "drop":
            self.drop()
        else:
            self.server.ended()
            self.message("41")


class FakeSession:
    """The session that the client is given instead of aiohttp's."""

    closed = False

    def __init__(self, server: Server) -> None:
        self.server = server

    async def ws_connect(self, url: str, **options: Any) -> FakeWebSocket:
        step = self.server.attempt()
        if step["do"] in {"refuse", "status"}:
            self.server.ended()
            request: Any = SimpleNamespace(real_url=url)
            if step["do"] == "status":
                raise aiohttp.WSServerHandshakeError(request, (), status=step["status"])
            raise aiohttp.ClientConnectionError
        return FakeWebSocket(self.server, step)


async def play(server: Server) -> None:
    """Connects, and lets the client do what it does until the script is over."""
    client = socketio.AsyncClient(http_session=FakeSession(server), handle_sigint=False)
    await client.connect("http://gateway.test", transports=["websocket"])
    while not server.done:
        await asyncio.sleep(1.0)
        if server.ended_s is not None and server.now_s() - server.ended_s > 3_600:
            return
