"""centrifuge-python, over a fake connection of websockets."""

import asyncio
import json
from typing import Any
from unittest.mock import patch

import websockets
from centrifuge import Client, ClientState
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from tests.conformance.python.server import Server, Step

PACKAGE = "centrifuge-python"
BROKEN = 1006


class FakeConnection:
    """One connection to a Centrifugo that follows one step."""

    def __init__(self, server: Server, step: Step) -> None:
        self.server, self.step = server, step
        self.inbox: asyncio.Queue[str | None] = asyncio.Queue()
        self.close_code: int | None = None
        self.close_reason = ""

    async def recv(self) -> str:
        message = await self.inbox.get()
        if message is None:
            raise ConnectionClosedError(Close(self.close_code or BROKEN, self.close_reason), None)
        return message

    async def send(self, data: str) -> None:
        command = json.loads(data)
        if "connect" not in command:
            return
        if self.step["do"] == "open":
            self._end(BROKEN, "")
        elif self.step["do"] == "connect-error":
            self.server.ended()
            self._answer({"id": command["id"], "error": {"code": 101, "message": "unauthorized"}})
        else:
            self._answer({"id": command["id"], "connect": {"client": "c", "version": "5"}})
            asyncio.get_running_loop().call_later(self.step["session_ms"] / 1000, self._last)

    def _answer(self, reply: dict[str, Any]) -> None:
        self.inbox.put_nowait(json.dumps(reply))

    def _last(self) -> None:
        if self.step["end"] == "drop":
            self._end(self.step["code"], self.step["reason"])
            return
        self.server.ended()
        self._answer({"push": {"disconnect": {"code": 3503, "reason": "force disconnect"}}})

    def _end(self, code: int, reason: str) -> None:
        self.server.ended()
        self.close_code, self.close_reason = code, reason
        self.inbox.put_nowait(None)

    async def close(self) -> None:
        if self.server.ended_s is None:
            self.server.ended()
        self.inbox.put_nowait(None)


async def play(server: Server) -> None:
    """Connects, and lets the client do what it does until the script is over."""

    async def connect(*_: Any, open_timeout: float, **__: Any) -> FakeConnection:
        step = server.attempt()
        if step["do"] == "silent":
            await asyncio.sleep(open_timeout)
            server.ended()
            raise TimeoutError
        if step["do"] in {"refuse", "status"}:
            server.ended()
            raise ConnectionRefusedError
        return FakeConnection(server, step)

    with patch.object(websockets, "connect", connect):
        client = Client("ws://gateway.test/connection/websocket")
        await client.connect()
        while not server.done and client.state is not ClientState.DISCONNECTED:  # noqa: ASYNC110
            await asyncio.sleep(1.0)
