"""One Socket.IO session over WebSocket, sans-I/O: bytes in, events out, bytes to send.

    UPGRADING ── 101 ──► OPENING ── Engine.IO open ──► JOINING ── namespace joined ──► JOINED
        └──────────┴───────────────────┴───── refused, rejected, dropped, broken ─────────┴──► OVER

A broadcast sends the same bytes to every client. What a chunk of whole messages means depends on nothing
but its bytes once a session has joined, so the sessions of a process share one table in their
`Subscription`, and all but the first of them read a tick with one look-up.
"""

import re
from collections.abc import Mapping

from scenarios.clients.protocol.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameError,
    FrameReader,
    Message,
    accept_key,
    client_frame,
)
from scenarios.clients.protocol.packets import (
    Broken,
    Conversation,
    Event,
    Events,
    Other,
    Phase,
    ProtocolError,
    Refused,
    Said,
    Subscription,
)
from scenarios.clients.protocol.retry_after import retry_after_s
from scenarios.clients.protocol.ticks import Tick
from scenarios.scenario.model import POD_HEADER

MAX_HEAD_BYTES = 16_384
_ONE_TEXT = 0x80 | TEXT
_CLOSE_NORMALLY = client_frame(CLOSE, b"\x03\xe8")
_PROTOCOL_ERROR = b"\x03\xea"
_NO_CODE = 1005
_NEVER_SENT = frozenset((1004, 1005, 1006, 1015))
_POD_HEADER = POD_HEADER.lower().encode()
_STATUS_LINE = re.compile(rb"HTTP/1\.\d (\d{3})(?: |\r|$)")
# One key for all: it guards against caches, which do not stand between a bench and its gateway.
_KEY = b"cmVjb25uZWN0LXN0b3JtIQ=="
_ACCEPT = accept_key(_KEY)


class Upgrade:
    """The requests of one target.

    host: what goes into the Host header. path: of the Engine.IO endpoint, with a query if it has one.
    protocol: version of Engine.IO that is asked for.
    """

    def __init__(
        self, host: str, path: str, headers: Mapping[str, str] | None = None, *, protocol: int = 4
    ) -> None:
        own_host = [value for name, value in (headers or {}).items() if name.lower() == "host"]
        self.host = own_host[0] if own_host else host
        self.path = f"{path}{'&' if '?' in path else '?'}EIO={protocol}"
        self.headers = {name: value for name, value in (headers or {}).items() if name.lower() != "host"}
        self.request = self.upgrade()

    def upgrade(self, sid: str = "", extra: Mapping[str, str] | None = None) -> bytes:
        """A WebSocket's first bytes; `sid` names the polling session that it is to take over."""
        lines = [
            f"GET {self.path}&transport=websocket{'&sid=' + sid if sid else ''} HTTP/1.1",
            f"Host: {self.host}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {_KEY.decode()}",
            *(f"{name}: {value}" for name, value in {**self.headers, **(extra or {})}.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode()


class Session(Conversation):
    """One client's session, from the upgrade to the end.

    `receive(data, now_ns)` returns the events that the bytes amount to and may add to `to_send`. It never
    raises for what a server sends: `Broken` says what was wrong.
    """

    __slots__ = ("_frames", "_head", "_switched", "last_words", "to_send")

    def __init__(self, request: bytes, subscription: Subscription, join: bytes = b"") -> None:
        super().__init__(subscription, join)
        self.to_send = request
        self.last_words = b""
        """What closes the WebSocket, after all that is to be sent, where the server has not begun to."""
        self._head = b""
        self._switched = False
        self._frames: FrameReader | None = None

    def receive(self, data: bytes, now_ns: int = 0) -> Events:
        """The events in `data`, in order. Empty bytes mean that the server closed the connection."""
        if self.phase is Phase.JOINED and self._frames is None and not self._attachments_left:
            known = self._subscription.chunks.get(data) or self._subscription.recent(data, now_ns)
            if known is not None:
                return known
            try:
                tick = self._one_tick(data, now_ns)
            except ProtocolError as error:
                return (self._broken(error),)
            if tick is not None:
                self._subscription.remember(data, (tick,), now_ns)
                return (tick,)
        if self.phase is Phase.OVER:
            return ()
        events: list[Event] = []
        try:
            self._receive(data, now_ns, events)
        except (ProtocolError, FrameError) as error:
            events.append(self._broken(error))
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

    def _send_packet(self, packet: bytes) -> None:
        self.to_send += client_frame(TEXT, packet)

    def _broken(self, error: Exception) -> Broken:
        self.phase = Phase.OVER
        return Broken(str(error))

    def _one_tick(self, data: bytes, now_ns: int) -> Tick | None:
        """The tick, if `data` is exactly one frame with one in it: what nearly all chunks are."""
        if len(data) < 4 or data[0] != _ONE_TEXT:
            return None
        length, body = data[1], 2
        if length > 126:  # More than 64 KB, or a mask.
            return None
        if length == 126:
            length, body = data[2] << 8 | data[3], 4
        if len(data) != body + length or not data.startswith(self._subscription.plain_tick, body):
            return None
        return self._read_tick(data[body + self._subscription.plain_tick_skip :], now_ns)

    def _receive(self, data: bytes, now_ns: int, events: list[Event]) -> None:
        if not data:
            events.extend(self._end())
            return
        if not self._switched:
            self._receive_head(data, now_ns, events)
            return
        # A reader is kept only while a message is incomplete: most of the time a session owns none.
        frames = self._frames or FrameReader()
        joined_before = self.phase == Phase.JOINED
        fresh = frames.between_messages and self._between_packets
        for message in frames.receive(data):
            events.extend(self._interpret(message, now_ns))
            if self.phase == Phase.OVER:
                if message.opcode != CLOSE:
                    # A packet ended the session, and it is for us to close the WebSocket under it.
                    self.last_words = _CLOSE_NORMALLY
                return
        self._frames = None if frames.between_messages else frames
        whole = fresh and self._frames is None and self._between_packets
        if joined_before and whole and _means_the_same_to_all(events):
            self._subscription.remember(data, tuple(events), now_ns)

    def _receive_head(self, data: bytes, now_ns: int, events: list[Event]) -> None:
        self._head += data
        head, separator, rest = self._head.partition(b"\r\n\r\n")
        if not separator:
            if len(self._head) > MAX_HEAD_BYTES:
                raise ProtocolError("HTTP response head without an end")
            return
        self._head = b""
        status = _status(head)
        if status != 101:
            wait_s = retry_after_s(_header(head, b"retry-after"), _header(head, b"date"))
            events.extend(self._on_refused(status, wait_s))
            return
        if _header(head, b"sec-websocket-accept") != _ACCEPT:
            raise ProtocolError("wrong Sec-WebSocket-Accept")
        self._switched = True
        self._is_at(_header(head, _POD_HEADER))
        self._on_switched()
        if rest:
            self._receive(rest, now_ns, events)

    def _on_switched(self) -> None:
        self.phase = Phase.OPENING

    def _on_refused(self, status: int, wait_s: float | None) -> Events:
        self.phase = Phase.OVER
        if wait_s is not None:
            self.said = Said(retry_after_s=wait_s)
        return (Refused(status),)

    def _interpret(self, message: Message, now_ns: int) -> Events:
        if message.opcode == TEXT:
            return self._packet(message.payload, now_ns)
        if message.opcode == CLOSE:
            self.to_send += closing_answer(message.payload)
            self.said = _said_in_closing(message.payload)
            return self._end()
        if message.opcode == PING:
            self.to_send += client_frame(PONG, message.payload)
            return ()
        return self._attachment() if message.opcode == BINARY else ()


def closing_answer(payload: bytes) -> bytes:
    """The Close frame that answers a server's: with its code, or 1002 where that must not be sent.

    A server that gets none logs 1006, as for a connection that broke. Source: RFC 6455, 5.5.1 and 7.4.
    """
    if not payload:
        return client_frame(CLOSE, b"")
    code = int.from_bytes(payload[:2], "big") if len(payload) > 1 else 0
    may_be_sent = 1000 <= code < 5000 and code not in _NEVER_SENT
    return client_frame(CLOSE, payload[:2] if may_be_sent else _PROTOCOL_ERROR)


def _said_in_closing(payload: bytes) -> Said:
    """What a Close frame says. Without a code, a client is given 1005. Source: RFC 6455, 7.1.5."""
    if len(payload) < 2:
        return Said(close_code=_NO_CODE)
    return Said(close_code=int.from_bytes(payload[:2], "big"), reason=payload[2:].decode(errors="replace"))


def _means_the_same_to_all(events: list[Event]) -> bool:
    # Anything else asks for an answer or ends the session, which is not for others to share.
    return bool(events) and all(type(event) is Tick or type(event) is Other for event in events)


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
