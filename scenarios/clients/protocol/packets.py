"""Engine.IO and Socket.IO packets of one session, whatever carries them: packets in, events out.

    OPENING ── Engine.IO open ──► JOINING ── namespace joined ──► JOINED
       └──────────────┴──────── rejected, dropped, broken ─────────┴──► OVER

Source of the formats: the Engine.IO protocol, version 4, and the Socket.IO protocol, version 5.
"""

import copy
import json
import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from scenarios.clients.protocol.offsets import offset_of, pid_of, with_offset
from scenarios.clients.protocol.ticks import FOR_EVER_NS, Tick, TickError, TickReader

# [type][attachments-]?[/namespace,]?[ack id]? before the JSON.
_SOCKETIO = re.compile(rb"([0-6])(?:(\d{1,9})-)?(?:(/[^,]*),)?(\d*)")
_CONNECT, _DISCONNECT, _EVENT, _CONNECT_ERROR, _BINARY_EVENT, _BINARY_ACK = b"0", b"1", b"2", b"4", b"5", b"6"
_CACHED_CHUNKS = 256
_CACHED_CHUNK_BYTES = 65_536
_Milliseconds = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class ProtocolError(Exception):
    """The server sent something that the protocol does not allow."""


class Phase(IntEnum):
    """Where a session stands; it only ever moves forward."""

    UPGRADING = 0
    """The transport is not up yet: no answer to the first request."""
    OPENING = 1
    JOINING = 2
    JOINED = 3
    OVER = 4


class Refused(Struct, frozen=True):
    """The server answered a request that the session needs with this HTTP status."""

    status: int


class Opened(Struct, frozen=True):
    """The Engine.IO handshake is through; the server pings at this interval and waits this long."""

    ping_interval_s: float
    ping_timeout_s: float


class Joined(Struct, frozen=True):
    """The namespace is joined; ticks may come."""

    pid: str = ""
    """Of the session, where the server can recover it."""
    replayed: "Events" = ()
    """What came before: the events that a recovered session had missed."""


class Rejected(Struct, frozen=True):
    """The namespace was refused; a stock client would not try again by itself."""


class Pinged(Struct, frozen=True):
    """The server asked for a sign of life; the answer is among the bytes to send."""


class Other(Struct, frozen=True):
    """A message that is none of the above, such as another event or an acknowledgement."""

    offset: str = ""
    """Of an event, for clients that recover sessions."""


class Upgradable(Struct, frozen=True):
    """The session runs over polling and may now open a WebSocket to take over."""


class Upgraded(Struct, frozen=True):
    """The WebSocket has taken over; the polling connection is not needed any more."""


class Redial(Struct, frozen=True):
    """The server closes the polling connection after its answer; the next request needs another one."""


class Dropped(Struct, frozen=True):
    """The server ended the session in an orderly way."""


class Broken(Struct, frozen=True):
    """The server broke the protocol; the session cannot go on."""

    reason: str


class Said(Struct, frozen=True, kw_only=True):
    """What a server said with the end of a session, beyond the event that it amounts to."""

    namespace: bool = False
    """It disconnected the client from the namespace, with packet `41`."""
    close_code: int | None = None
    """Of its Close frame."""
    reason: str = ""
    """Of its Close frame, or the message of a CONNECT_ERROR."""
    retry_after_s: float | None = None
    """Of the header of a refusal."""


NOTHING_SAID = Said()
_LEFT = Said(namespace=True)

Handshake = Refused | Opened | Joined | Rejected | Upgradable | Upgraded | Redial
Event = Handshake | Tick | Pinged | Other | Dropped | Broken
Events = tuple[Event, ...]

_JOINED, _REJECTED, _PINGED, OTHER, DROPPED = Joined(), Rejected(), Pinged(), Other(), Dropped()


class _Open(Struct):
    sid: str
    pingInterval: _Milliseconds  # noqa: N815 - Engine.IO's own names
    pingTimeout: _Milliseconds  # noqa: N815
    upgrades: list[str] = []


_decode_open = msgspec.json.Decoder(_Open).decode


class _ConnectError(Struct):
    message: str = ""


_decode_connect_error = msgspec.json.Decoder(_ConnectError | str).decode


def _message(content: bytes) -> str:
    """The message of a CONNECT_ERROR; empty where it has none that a client could read."""
    try:
        error = _decode_connect_error(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return error if isinstance(error, str) else error.message


class Subscription:
    """What the sessions of a process have in common: where they join, and what they read there.

    event: the name of the tick event. auth: what a stock client would be given as `auth`. emit: events that a
    client sends once it has joined, each its name and its arguments. per_pod: equal bytes of different pods
    are different ticks. recovery: clients look at what it takes to recover a session.
    """

    def __init__(
        self,
        reader: TickReader,
        *,
        event: str = "tick",
        namespace: str = "/",
        auth: Any = None,
        emit: Sequence[Sequence[Any]] = (),
        per_pod: bool = False,
        recovery: bool = False,
    ) -> None:
        self.reader = reader
        self.recovery = recovery
        self.auth = auth
        self.pod = ""
        """Whose ticks these are; empty where that makes no difference, or is not known yet."""
        self._at_pods: dict[str, Subscription] | None = {} if per_pod else None
        path = namespace.partition("?")[0]
        self.namespace = b"" if path == "/" else path.encode()
        self._join = b"40" + (b"" if namespace == "/" else namespace.encode() + b",")
        self.join = self.join_with(auth)
        """The packet by which a client joins that has nothing else to say."""
        # Servers differ in how they write a letter outside ASCII: python-socketio escapes it, JS does not.
        self.tick_prefixes = tuple(
            (json.dumps([event], ensure_ascii=escaped)[:-1] + ",").encode() for escaped in (True, False)
        )
        prefix = b"42" + (self.namespace + b"," if self.namespace else b"")
        self.plain_tick = tuple(prefix + start for start in self.tick_prefixes)
        self.plain_tick_skip = len(prefix)
        self.emit = tuple(prefix + msgspec.json.encode(event) for event in emit)
        self.chunks: dict[bytes, Events] = {}
        """What chunks mean at any time."""
        self._recent: dict[bytes, tuple[Events, int]] = {}
        """What others mean for a while, and when that began."""

    def join_with(self, auth: Any) -> bytes:
        """The packet by which a client joins with this payload; None: without one."""
        return self._join + (b"" if auth is None else msgspec.json.encode(auth))

    def at(self, pod: str) -> "Subscription":
        """That of sessions at this pod, which may be told from others; itself where that is not wanted."""
        if self._at_pods is None or not pod:
            return self
        if pod not in self._at_pods:
            own = self._at_pods[pod] = copy.copy(self)
            own.pod, own.chunks, own._recent = pod, {}, {}
        return self._at_pods[pod]

    def remember(self, chunk: bytes, events: Events, now_ns: int) -> None:
        """Keeps what `chunk` means to any joined session; forgets everything first when a table is full."""
        if len(chunk) > _CACHED_CHUNK_BYTES or not self.reader.lasting:
            return
        always = self.reader.lasting_ns == FOR_EVER_NS
        table: dict[bytes, Any] = self.chunks if always else self._recent
        if len(table) >= _CACHED_CHUNKS:
            table.clear()
        table[chunk] = events if always else (events, now_ns)

    def recent(self, chunk: bytes, now_ns: int) -> Events | None:
        """What `chunk` means for a while, if that is known."""
        found = self._recent.get(chunk)
        if found is None or now_ns - found[1] >= self.reader.lasting_ns:
            return None
        return found[0]


class Conversation:
    """The packets of one session. A transport hands them in and carries what `_send_packet` is given.

    join: the packet by which its client joins; empty: that of the subscription.
    """

    __slots__ = ("_attachments_left", "_awaiting", "_early", "_join", "_subscription", "phase", "said")

    def __init__(self, subscription: Subscription, join: bytes = b"") -> None:
        self.phase = Phase.UPGRADING
        self.said = NOTHING_SAID
        self._subscription = subscription
        self._join = join or subscription.join
        self._awaiting: Event | None = None
        self._attachments_left = 0
        self._early: list[Event] = []
        """Events before the join, of a session that is being recovered."""

    def _send_packet(self, packet: bytes) -> None:
        raise NotImplementedError

    def _is_at(self, upstream: bytes) -> None:
        """Takes note of the pod that answers; a proxy that asked several names all, the last one last."""
        pod = upstream.rpartition(b",")[2].strip().decode("latin-1")
        self._subscription = self._subscription.at(pod)

    def _on_open(self, sid: str, upgrades: list[str]) -> None:
        """The Engine.IO session has an id; a transport that needs it takes it from here."""

    @property
    def _between_packets(self) -> bool:
        return not self._attachments_left

    def _packet(self, payload: bytes, now_ns: int) -> Events:
        """What an Engine.IO packet of text means. Raises ProtocolError."""
        kind = payload[:1]
        if kind == b"4":
            return self._socketio_packet(payload, now_ns)
        if kind == b"2" and self.phase >= Phase.JOINING:
            self._send_packet(b"3" + payload[1:])
            return (_PINGED,)
        if kind == b"0" and self.phase == Phase.OPENING:
            return self._open(payload[1:])
        if kind == b"1":
            return self._end()
        if kind in {b"3", b"6"}:
            return ()
        raise ProtocolError(f"unexpected Engine.IO packet {payload[:16]!r} while {self.phase.name}")

    def _open(self, content: bytes) -> Events:
        try:
            opened = _decode_open(content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:  # Nested too deeply.
            raise ProtocolError(f"Engine.IO open: {error}") from None
        self.phase = Phase.JOINING
        self._on_open(opened.sid, opened.upgrades)
        self._send_packet(self._join)
        return (Opened(opened.pingInterval / 1000, opened.pingTimeout / 1000),)

    def _socketio_packet(self, payload: bytes, now_ns: int) -> Events:
        header = _SOCKETIO.match(payload, 1)
        if header is None or self.phase < Phase.JOINING:
            raise ProtocolError(f"unexpected Socket.IO packet {payload[:16]!r} while {self.phase.name}")
        if self._attachments_left:
            raise ProtocolError(f"Socket.IO packet {payload[:16]!r} instead of an attachment")
        kind, attachments, namespace = header.group(1, 2, 3)
        event: Event = OTHER
        if (namespace or b"").partition(b"?")[0] == self._subscription.namespace:
            if kind in {_EVENT, _BINARY_EVENT}:
                event = self._event(payload, header.end(), now_ns, answered=bool(header.group(4)))
                if self._subscription.recovery and self.phase == Phase.JOINING and kind == _EVENT:
                    self._early.append(event)
                    return ()
            elif kind == _CONNECT and self.phase == Phase.JOINING:
                self.phase = Phase.JOINED
                event = self._joined(payload[header.end() :])
                for packet in self._subscription.emit:
                    self._send_packet(packet)
            elif kind == _CONNECT_ERROR:
                self.phase = Phase.OVER
                self.said = Said(reason=_message(payload[header.end() :]))
                event = _REJECTED
            elif kind == _DISCONNECT:
                self.said = _LEFT
                return self._end()
        if kind in {_BINARY_EVENT, _BINARY_ACK} and attachments and int(attachments):
            # It has arrived when the last of its attachments has.
            self._awaiting, self._attachments_left = event, int(attachments)
            return ()
        return (event,)

    def _joined(self, content: bytes) -> Joined:
        if not self._subscription.recovery:
            return _JOINED
        early, self._early = tuple(self._early), []
        return Joined(pid_of(content), early)

    def _event(self, payload: bytes, body: int, now_ns: int, *, answered: bool) -> Event:
        """answered: the server wants an acknowledgement. Of such an event, clients take no offset."""
        recovery = self._subscription.recovery
        readable = self.phase == Phase.JOINED or recovery
        if not readable or not payload.startswith(self._subscription.tick_prefixes, body):
            return Other(offset_of(payload[body:])) if recovery and not answered else OTHER
        return self._read_tick(payload[body:], now_ns, answered=answered)

    def _read_tick(self, arguments: bytes, now_ns: int, *, answered: bool = False) -> Tick:
        try:
            tick = self._subscription.reader.read(arguments, now_ns, self._subscription.pod)
        except TickError as error:
            raise ProtocolError(f"tick: {error}") from None
        return with_offset(tick, arguments) if self._subscription.recovery and not answered else tick

    def _attachment(self) -> Events:
        if not self._attachments_left:
            return (OTHER,)
        self._attachments_left -= 1
        if self._attachments_left or self._awaiting is None:
            return ()
        event, self._awaiting = self._awaiting, None
        return (event,)

    def _end(self) -> Events:
        self.phase = Phase.OVER
        return (DROPPED,)
