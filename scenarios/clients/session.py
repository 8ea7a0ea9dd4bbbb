"""One Socket.IO session over WebSocket, sans-I/O: bytes in, events out, bytes to send.

    UPGRADING ── 101 ──► OPENING ── Engine.IO open ──► JOINING ── namespace joined ──► JOINED
        └──────────┴───────────────────┴───── refused, rejected, dropped, broken ─────────┴──► OVER

A broadcast sends the same bytes to every client. What a chunk of whole messages means depends on nothing
but its bytes once a session has joined, so the sessions of a process share one `Decoded` table, and all
but the first of them read a tick with one look-up.
"""

import json
import re
from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from scenarios.clients.websocket import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameReader,
    Message,
    ProtocolError,
    accept_key,
    client_frame,
)

_MAX_HEAD_BYTES = 16_384
_CACHED_CHUNKS = 256
_CACHED_CHUNK_BYTES = 65_536
_JOIN = client_frame(TEXT, b"40")
_ENGINE_PONG = client_frame(TEXT, b"3")
_CLOSE_NORMALLY = client_frame(CLOSE, b"\x03\xe8")
# [type][attachments-]?[/namespace,]?[ack id]? before the JSON of an event.
_SOCKETIO = re.compile(rb"([0-6])(?:\d+-)?(?:/[^,]*,)?\d*")
_STATUS_LINE = re.compile(rb"HTTP/1\.\d (\d{3})(?: |\r|$)")

# What an element of a recorder's arrays can hold.
_Int64 = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Milliseconds = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Phase(IntEnum):
    """Where a session stands; it only ever moves forward."""

    UPGRADING = 0
    OPENING = 1
    JOINING = 2
    JOINED = 3
    OVER = 4


class Refused(Struct, frozen=True):
    """The server answered the upgrade with another status than 101."""

    status: int


class Opened(Struct, frozen=True):
    """The Engine.IO handshake is through; the server pings at this interval and waits this long."""

    ping_interval_s: float
    ping_timeout_s: float


class Joined(Struct, frozen=True):
    """The namespace is joined; ticks may come."""


class Rejected(Struct, frozen=True):
    """The namespace was refused; a stock client would not try again by itself."""


class Tick(Struct, frozen=True):
    """A tick of the feed. Times are the publisher's CLOCK_MONOTONIC in nanoseconds."""

    seq: _Int64
    due_ns: _Int64
    sent_ns: _Int64


class Pinged(Struct, frozen=True):
    """The server asked for a sign of life; the answer is among the bytes to send."""


class Other(Struct, frozen=True):
    """A message that is none of the above, such as another event or an acknowledgement."""


class Dropped(Struct, frozen=True):
    """The server ended the session in an orderly way."""


class Broken(Struct, frozen=True):
    """The server broke the protocol; the session cannot go on."""

    reason: str


Event = Refused | Opened | Joined | Rejected | Tick | Pinged | Other | Dropped | Broken
Events = tuple[Event, ...]

_JOINED, _REJECTED, _PINGED, _OTHER, _DROPPED = Joined(), Rejected(), Pinged(), Other(), Dropped()


class _Open(Struct):
    pingInterval: _Milliseconds  # noqa: N815 - Engine.IO's own names
    pingTimeout: _Milliseconds  # noqa: N815


# RecursionError: JSON that is nested too deeply.
_UNREADABLE = (msgspec.MsgspecError, RecursionError)

_decode_open = msgspec.json.Decoder(_Open).decode
_decode_tick = msgspec.json.Decoder(tuple[str, Tick]).decode


class Upgrade:
    """The upgrade request of one target, and the answer that it must get."""

    def __init__(self, host: str, path: str, headers: dict[str, str] | None = None) -> None:
        # One key for all: it guards against caches, which do not stand between a bench and its gateway.
        key = b"cmVjb25uZWN0LXN0b3JtIQ=="
        separator = "&" if "?" in path else "?"
        lines = [
            f"GET {path}{separator}EIO=4&transport=websocket HTTP/1.1",
            f"Host: {host}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key.decode()}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        self.request = "\r\n".join([*lines, "", ""]).encode()
        self.accept = accept_key(key)


class Decoded:
    """What chunks of whole messages mean to a joined session, for the latest few chunks.

    event: the name of the tick event.
    """

    def __init__(self, event: str = "tick") -> None:
        # Servers differ in how they write a letter outside ASCII: python-socketio escapes it, JS does not.
        self.tick_prefixes = tuple(
            (json.dumps([event], ensure_ascii=escaped)[:-1] + ",").encode() for escaped in (True, False)
        )
        self.chunks: dict[bytes, Events] = {}

    def remember(self, chunk: bytes, events: Events) -> None:
        """Keeps what `chunk` means; forgets everything first when the table is full."""
        if len(chunk) > _CACHED_CHUNK_BYTES:
            return
        if len(self.chunks) >= _CACHED_CHUNKS:
            self.chunks.clear()
        self.chunks[chunk] = events


class Session:
    """One client's session, from the upgrade to the end.

    `receive(data)` returns the events that the bytes amount to and may add to `to_send`. It never raises
    for what a server sends: `Broken` says what was wrong.
    """

    __slots__ = ("_decoded", "_frames", "_head", "_upgrade", "phase", "to_send")

    def __init__(self, upgrade: Upgrade, decoded: Decoded) -> None:
        self.phase = Phase.UPGRADING
        self.to_send = upgrade.request
        self._upgrade = upgrade
        self._decoded = decoded
        self._head = b""
        self._frames: FrameReader | None = None

    def receive(self, data: bytes) -> Events:
        """The events in `data`, in order. Empty bytes mean that the server closed the connection."""
        if self.phase == Phase.JOINED and self._frames is None:
            known = self._decoded.chunks.get(data)
            if known is not None:
                return known
        if self.phase == Phase.OVER:
            return ()
        events: list[Event] = []
        try:
            self._receive(data, events)
        except ProtocolError as error:
            self.phase = Phase.OVER
            events.append(Broken(str(error)))
        return tuple(events)

    def take_to_send(self) -> bytes:
        """The bytes to send now; the next call returns only what has come since."""
        data, self.to_send = self.to_send, b""
        return data

    def closing(self) -> bytes:
        """The last bytes of a client that leaves in an orderly way."""
        left_early = self.phase in {Phase.UPGRADING, Phase.OVER}
        self.phase = Phase.OVER
        return b"" if left_early else _CLOSE_NORMALLY

    def _receive(self, data: bytes, events: list[Event]) -> None:
        if not data:
            events.extend(self._end())
            return
        if self.phase == Phase.UPGRADING:
            self._receive_head(data, events)
            return
        # A reader is kept only while a message is incomplete: most of the time a session owns none.
        frames = self._frames or FrameReader()
        joined_before = self.phase == Phase.JOINED
        fresh = frames.between_messages
        for message in frames.receive(data):
            events.extend(self._interpret(message))
            if self.phase == Phase.OVER:
                return
        self._frames = None if frames.between_messages else frames
        if joined_before and fresh and self._frames is None and _means_the_same_to_all(events):
            self._decoded.remember(data, tuple(events))

    def _receive_head(self, data: bytes, events: list[Event]) -> None:
        self._head += data
        head, separator, rest = self._head.partition(b"\r\n\r\n")
        if not separator:
            if len(self._head) > _MAX_HEAD_BYTES:
                raise ProtocolError("HTTP response head without an end")
            return
        self._head = b""
        status = _status(head)
        if status != 101:
            self.phase = Phase.OVER
            events.append(Refused(status))
            return
        if _header(head, b"sec-websocket-accept") != self._upgrade.accept:
            raise ProtocolError("wrong Sec-WebSocket-Accept")
        self.phase = Phase.OPENING
        if rest:
            self._receive(rest, events)

    def _interpret(self, message: Message) -> Events:
        if message.opcode == TEXT:
            return self._engine_packet(message.payload)
        if message.opcode == CLOSE:
            return self._end()
        if message.opcode == PING:
            self.to_send += client_frame(PONG, message.payload)
            return (_PINGED,)
        return (_OTHER,) if message.opcode == BINARY else ()

    def _engine_packet(self, payload: bytes) -> Events:
        kind = payload[:1]
        if kind == b"4":
            return self._socketio_packet(payload)
        if kind == b"2":
            self.to_send += _ENGINE_PONG
            return (_PINGED,)
        if kind == b"0" and self.phase == Phase.OPENING:
            try:
                opened = _decode_open(payload[1:])
            except _UNREADABLE as error:
                raise ProtocolError(f"Engine.IO open: {error}") from None
            self.phase = Phase.JOINING
            self.to_send += _JOIN
            return (Opened(opened.pingInterval / 1000, opened.pingTimeout / 1000),)
        if kind == b"1":
            return self._end()
        if kind in {b"3", b"6"}:
            return ()
        raise ProtocolError(f"unexpected Engine.IO packet {payload[:16]!r} while {self.phase.name}")

    def _socketio_packet(self, payload: bytes) -> Events:
        header = _SOCKETIO.match(payload, 1)
        if header is None or self.phase < Phase.JOINING:
            raise ProtocolError(f"unexpected Socket.IO packet {payload[:16]!r} while {self.phase.name}")
        kind = header.group(1)
        if kind == b"2" and self.phase == Phase.JOINED:
            return self._event(payload, header.end())
        if kind == b"0" and self.phase == Phase.JOINING:
            self.phase = Phase.JOINED
            return (_JOINED,)
        if kind == b"4":
            self.phase = Phase.OVER
            return (_REJECTED,)
        if kind == b"1":
            return self._end()
        return (_OTHER,)

    def _event(self, payload: bytes, body: int) -> Events:
        if not payload.startswith(self._decoded.tick_prefixes, body):
            return (_OTHER,)
        try:
            return (_decode_tick(payload[body:])[1],)
        except _UNREADABLE as error:
            raise ProtocolError(f"tick: {error}") from None

    def _end(self) -> Events:
        self.phase = Phase.OVER
        return (_DROPPED,)


def _means_the_same_to_all(events: list[Event]) -> bool:
    # Anything else asks for an answer or ends the session, which is not for others to share.
    return all(type(event) is Tick or event is _OTHER for event in events)


def _status(head: bytes) -> int:
    line = _STATUS_LINE.match(head)
    if line is None:
        raise ProtocolError("not an HTTP/1.1 response")
    return int(line.group(1))


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""
