"""A source of ticks that costs next to nothing: no gateway, but what a load generator is measured against.

    python -m gateway_stub.tick_source --port 8000 --rate 10

It speaks just enough Socket.IO over WebSocket to let clients join, sends every tick to all of them, and
answers nothing else. With `--delays` each client's tick is sent in its own moment and dated back by a known
time, so that the latencies that a generator reports can be held against it; `--delays-from` takes these times
from a file. SIGUSR1 makes it cut all connections; a line of counts goes to standard output every second.
"""

import argparse
import base64
import hashlib
import json
import selectors
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway_stub.protocol import known_delays_ns

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BACKLOG = 4096
_ACCEPTS_PER_TURN = 256
_SECOND_NS = 1_000_000_000
_LAST_SEEN_S = 0.0005

_OPEN = b'0{"sid":"bench","upgrades":[],"pingInterval":300000,"pingTimeout":200000,"maxPayload":1000000}'


def text_frame(payload: bytes) -> bytes:
    """A server's WebSocket frame of less than 64 KB."""
    length = len(payload)
    head = bytes([0x81, length]) if length < 126 else bytes([0x81, 126]) + length.to_bytes(2, "big")
    return head + payload


def switching(request: bytes) -> bytes:
    """The answer to an upgrade request, with the Engine.IO open right behind it."""
    keys = [line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:")]
    key = keys[0].partition(b":")[2].strip() if keys else b""
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + text_frame(_OPEN)
    )


class TickSource:
    """Accepts, joins, sends. padding: bytes that each tick carries besides its number and times.

    delays_ns: used in turn to date ticks back; where there are none, a tick goes to all clients at once.
    """

    def __init__(
        self, listener: socket.socket, *, rate_hz: float, padding: int, delays_ns: Sequence[int] = ()
    ) -> None:
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._signals, wakeup = socket.socketpair()
        wakeup.setblocking(False)
        signal.set_wakeup_fd(wakeup.detach())
        signal.signal(signal.SIGUSR1, lambda *_: None)
        self._selector.register(self._signals, selectors.EVENT_READ, self._drop_all)
        self._joined: dict[socket.socket, int] = {}
        self._unsent: dict[socket.socket, bytes] = {}
        self._period_ns = round(_SECOND_NS / rate_hz)
        self._padding = "x" * padding
        self._delays_ns = delays_ns
        self._turn = 0
        self._sent = self._not_sent = self._seq = 0

    def run(self) -> None:
        """Never returns."""
        next_tick_ns = time.monotonic_ns()
        next_line_ns = next_tick_ns + _SECOND_NS
        while True:
            now = time.monotonic_ns()
            if now >= next_tick_ns:
                # A round of single sends takes the whole period, and looks after the others in between.
                self._send_one_by_one(next_tick_ns) if self._delays_ns else self._send_to_all(next_tick_ns)
                self._seq += 1
                next_tick_ns += self._period_ns
                now = time.monotonic_ns()
            if now >= next_line_ns:
                self._print_line()
                next_line_ns += _SECOND_NS
            self._serve(max(0, min(next_tick_ns, next_line_ns) - now) / 1e9)

    def _serve(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            if key.fd in self._selector.get_map():  # not forgotten meanwhile
                key.data(key.fileobj)

    # -- clients ------------------------------------------------------------------------------------

    def _accept(self, listener: Any) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                client, _address = listener.accept()
            except OSError:
                return
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(client, selectors.EVENT_READ, self._upgrade)

    def _upgrade(self, client: Any) -> None:
        self._answer(client, switching, self._join)

    def _join(self, client: Any) -> None:
        if self._answer(client, lambda _: text_frame(b'40{"sid":"bench"}'), self._hear):
            self._joined[client] = 0

    def _hear(self, client: Any) -> None:
        self._answer(client, lambda _: b"", self._hear)

    def _answer(self, client: Any, answer: Any, then: Any) -> bool:
        try:
            data = client.recv(65_536)
            if data:
                reply = answer(data)
                if reply:
                    client.send(reply)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._forget(client)
            return False
        if then != self._hear or client not in self._joined:
            self._selector.modify(client, selectors.EVENT_READ, then)
        return True

    def _forget(self, client: Any) -> None:
        self._selector.unregister(client)
        self._joined.pop(client, None)
        self._unsent.pop(client, None)
        client.close()

    # -- ticks --------------------------------------------------------------------------------------

    def _tick(self, seq: int, due_ns: int) -> bytes:
        content = f'42["tick",{{"seq":{seq},"due_ns":{due_ns},"pad":"{self._padding}"}}]'
        return text_frame(content.encode())

    def _send_to_all(self, due_ns: int) -> None:
        frame = self._tick(self._seq, due_ns)
        for client in self._joined:
            self._send(client, frame)

    def _send_one_by_one(self, from_ns: int) -> None:
        clients = list(self._joined)
        for place, client in enumerate(clients):
            at_ns = from_ns + self._period_ns * place // len(clients)
            while (left_ns := at_ns - time.monotonic_ns()) > 0:
                self._serve(max(0.0, left_ns / 1e9 - _LAST_SEEN_S))
            if client in self._joined:
                delay_ns = self._delays_ns[self._turn]
                self._turn = (self._turn + 1) % len(self._delays_ns)
                self._send(client, self._tick(self._seq, time.monotonic_ns() - delay_ns))

    def _send(self, client: socket.socket, frame: bytes) -> None:
        # A frame that has begun must go on; who does not keep up with that gets no further ones meanwhile.
        rest = self._unsent.pop(client, b"")
        data = rest or frame
        try:
            sent = client.send(data)
        except OSError:
            sent = 0
        if sent < len(data) and (rest or sent):
            self._unsent[client] = data[sent:]
        if rest or not sent:
            self._not_sent += 1
        else:
            self._sent += 1

    # -- signals and output -------------------------------------------------------------------------

    def _drop_all(self, signals: Any) -> None:
        signals.recv(64)
        for client in list(self._joined):
            # Without waiting for what is still under way, as a machine that dies.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self._forget(client)

    def _print_line(self) -> None:
        line = {
            "joined": len(self._joined),
            "sent": self._sent,
            "not_sent": self._not_sent,
            "cpu_ns": time.process_time_ns(),
        }
        print(json.dumps(line), flush=True)  # noqa: T201


def listen(host: str, port: int) -> socket.socket:
    """A listening socket that other processes may share the port of."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m gateway_stub.tick_source")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--rate", type=float, default=10.0, metavar="HZ", help="ticks per second")
    parser.add_argument("--padding", type=int, default=60, metavar="BYTES")
    delays = parser.add_mutually_exclusive_group()
    delays.add_argument("--delays", action="store_true", help="backdate each tick by a known delay")
    delays.add_argument(
        "--delays-from",
        type=Path,
        metavar="FILE",
        help="backdate each tick by a delay from this JSON list of ns",
    )
    options = parser.parse_args()
    delays_ns = known_delays_ns() if options.delays else []
    if options.delays_from:
        delays_ns = json.loads(options.delays_from.read_text(encoding="utf-8"))
    listener = listen(options.host, options.port)
    TickSource(listener, rate_hz=options.rate, padding=options.padding, delays_ns=delays_ns).run()


if __name__ == "__main__":
    main()
