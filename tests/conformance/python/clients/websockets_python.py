"""websockets' asyncio client, over fake TCP connections: `async for websocket in connect(…)`."""

import asyncio
import contextlib
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.server import ServerProtocol

from tests.conformance.python.server import Server, Step

PACKAGE = "websockets"


class FakeTransport(asyncio.Transport):
    """A TCP connection to a server that follows one step."""

    def __init__(self, server: Server, step: Step, client: ClientConnection) -> None:
        super().__init__()
        self.server, self.step, self.client = server, step, client
        self.far = ServerProtocol()
        self.closing = False

    def write(self, data: Any) -> None:
        self.far.receive_data(bytes(data))
        for event in self.far.events_received():
            if hasattr(event, "path"):
                self._answer(event)
        self._flush()

    def _answer(self, request: Any) -> None:
        if self.step["do"] == "status":
            response = self.far.reject(self.step["status"], "no")
            self.far.send_response(response)
            self.server.ended()
            return
        self.far.send_response(self.far.accept(request))
        seconds = self.step["session_ms"] / 1000 if self.step["do"] == "join" else 0.0
        asyncio.get_running_loop().call_later(seconds, self._end)

    def _end(self) -> None:
        code = self.step.get("code")
        if code and code != 1006:
            self.far.send_close(code, self.step.get("reason", ""))
            self._flush()
        self.server.ended()
        self.abort()

    def _flush(self) -> None:
        for data in self.far.data_to_send():
            if data:
                asyncio.get_running_loop().call_soon(self.client.data_received, data)
            else:
                self.close()

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self.closing:
            self.closing = True
            if self.server.ended_s is None:
                self.server.ended()
            asyncio.get_running_loop().call_soon(self.client.connection_lost, None)

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write_eof(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


async def play(server: Server) -> None:
    """Connects, and lets the client do what it does until the script is over."""
    loop = asyncio.get_running_loop()

    async def create_connection(factory: Any, **_: Any) -> tuple[Any, Any]:
        step = server.attempt()
        if step["do"] == "refuse":
            server.ended()
            raise ConnectionRefusedError
        if step["do"] == "silent":
            try:
                await asyncio.sleep(7_200)
            finally:
                server.ended()
        client = factory()
        transport = FakeTransport(server, step, client)
        client.connection_made(transport)
        return transport, client

    loop.create_connection = create_connection  # type: ignore[method-assign,assignment]
    with contextlib.suppress(InvalidStatus):
        async for websocket in connect("ws://gateway.test", proxy=None, ping_interval=None):
            with contextlib.suppress(ConnectionClosed):
                async for _ in websocket:
                    pass
