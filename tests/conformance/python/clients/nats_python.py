"""nats-py, over a fake TCP connection."""

import asyncio
import json
from typing import Any
from unittest.mock import patch

import nats

from tests.conformance.python.server import Server, Step

PACKAGE = "nats-py"
INFO = {"server_id": "s", "version": "2.10.0", "proto": 1, "headers": True, "max_payload": 1048576}


class FakeWriter:
    """What the client writes to: a broker that follows one step."""

    def __init__(self, server: Server, step: Step, reader: asyncio.StreamReader) -> None:
        self.server, self.step, self.reader = server, step, reader
        self.transport = self
        self.joined = False

    def write(self, data: bytes) -> None:
        if b"PING" not in data:
            return
        if self.step["do"] == "open":
            self._end()
        elif self.step["do"] == "connect-error":
            self.reader.feed_data(b"-ERR 'Authorization Violation'\r\n")
            self._end()
        else:
            self.reader.feed_data(b"PONG\r\n")
            if not self.joined:
                self.joined = True
                asyncio.get_running_loop().call_later(self.step["session_ms"] / 1000, self._end)

    def writelines(self, lines: list[bytes]) -> None:
        self.write(b"".join(lines))

    def _end(self) -> None:
        if self.server.ended_s is None:
            self.server.ended()
        self.reader.feed_eof()

    async def drain(self) -> None:
        pass

    def close(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    async def wait_closed(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


async def play(server: Server) -> None:
    """Connects, and lets the client do what it does until the script is over."""
    loop = asyncio.get_running_loop()

    async def open_connection(**_: Any) -> tuple[asyncio.StreamReader, FakeWriter]:
        step = server.attempt()
        if step["do"] == "refuse":
            server.ended()
            raise ConnectionRefusedError
        reader = asyncio.StreamReader()
        reader.feed_data(f"INFO {json.dumps(INFO)}\r\n".encode())
        return reader, FakeWriter(server, step, reader)

    async def nothing(*_: Any) -> None:
        pass

    with patch("asyncio.open_connection", open_connection), patch("time.monotonic", loop.time):
        client = await nats.connect("nats://gateway.test", error_cb=nothing, ping_interval=7_200)
        while not server.done and not client.is_closed:  # noqa: ASYNC110 - virtual seconds
            await asyncio.sleep(1.0)
