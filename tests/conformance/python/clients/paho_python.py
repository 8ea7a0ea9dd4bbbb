"""paho-mqtt's blocking loop, over a fake socket; its clock and its sleep are virtual."""

import contextlib
import errno
from typing import Any
from unittest.mock import patch

import paho.mqtt.client as paho

from tests.conformance.python.server import OverError, Server, Step

PACKAGE = "paho-mqtt"
ACCEPTED, REFUSED = bytes([0x20, 2, 0, 0]), bytes([0x20, 2, 0, 5])


class Clock:
    """Virtual seconds."""

    now_s = 1_000.0

    def time(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class FakeSocket:
    """One connection to a broker that follows one step."""

    def __init__(self, server: Server, step: Step) -> None:
        self.server, self.step = server, step
        self.inbox = b""
        self.ends_s: float | None = None

    def send(self, data: bytes) -> int:
        kind = data[0] & 0xF0
        if kind == 0xC0:
            self.inbox += bytes([0xD0, 0])
        if kind == 0x10 and self.step["do"] == "open":
            self.ends_s = self.server.now_s()
        elif kind == 0x10 and self.step["do"] == "connect-error":
            self.inbox += REFUSED
            self.server.ended()
        elif kind == 0x10:
            self.inbox += ACCEPTED
            self.ends_s = self.server.now_s() + self.step["session_ms"] / 1000
        return len(data)

    def recv(self, size: int) -> bytes:
        if self.inbox:
            data, self.inbox = self.inbox[:size], self.inbox[size:]
            return data
        if self.ends_s is not None and self.server.now_s() >= self.ends_s:
            if self.server.ended_s is None:
                self.server.ended()
            return b""
        raise BlockingIOError(errno.EAGAIN, "again")

    @property
    def readable(self) -> bool:
        return bool(self.inbox) or (self.ends_s is not None and self.server.now_s() >= self.ends_s)

    def setblocking(self, flag: bool) -> None:
        pass

    def close(self) -> None:
        pass

    def fileno(self) -> int:
        return 1_000


def play_in_thread(steps: list[Step]) -> list[float]:
    """The delays of one client."""
    clock = Clock()
    server = Server(steps, clock.time)

    def create_connection(*_: Any, **__: Any) -> FakeSocket:
        step = server.attempt()
        if step["do"] == "refuse":
            server.ended()
            raise ConnectionRefusedError
        return FakeSocket(server, step)

    def select(read: list[Any], write: list[Any], _: Any, timeout: float) -> tuple[list[Any], list[Any], Any]:
        ready = [each for each in read if isinstance(each, FakeSocket) and each.readable]
        if not ready and not write:
            left = [
                each.ends_s - clock.now_s for each in read if isinstance(each, FakeSocket) and each.ends_s
            ]
            clock.now_s += min([timeout, *left])
            ready = [each for each in read if isinstance(each, FakeSocket) and each.readable]
        return ready, write, []

    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    with (
        patch.object(client, "_create_socket", create_connection),
        patch.object(paho, "time_func", clock.time),
        patch.object(paho.time, "sleep", clock.sleep),
        patch.object(paho.select, "select", select),
    ):
        client.connect("gateway.test")
        with contextlib.suppress(OverError):
            client.loop_forever()
    return server.delays_ms
