"""A Socket.IO session that begins with HTTP polling and moves to a WebSocket, sans-I/O.

The five requests of the JavaScript client, on a polling connection and a WebSocket:

    GET  handshake              ◄─ 0{"sid":…}
    POST 40                     ◄─ ok
    GET  poll                   ◄─ 40{"sid":…}: joined
    GET  upgrade (WebSocket)    ◄─ 101; 2probe ─► ◄─ 3probe
    GET  poll                   ◄─ 6, or ticks; then 5 ─► and the WebSocket has taken over

A WebSocket that is refused leaves the session on polling: ticks are what the next polls bring. There is one
polling connection, and one request at a time on it; the JavaScript client may use two.

Cookies that the gateway sets go along with all later requests of the session, the upgrade included: a load
balancer may know by them which pod has the session. The next session begins without them.
Source: the Engine.IO protocol, version 4, "Upgrade"; HTTP is `h11`'s.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import h11

from scenarios.clients.protocol.frames import (
    CLOSE,
    MAX_MESSAGE_BYTES,
    PING,
    PONG,
    TEXT,
    FrameError,
    Message,
    client_frame,
)
from scenarios.clients.protocol.packets import (
    Event,
    Events,
    Joined,
    Phase,
    ProtocolError,
    Redial,
    Subscription,
    Upgradable,
    Upgraded,
)
from scenarios.clients.protocol.retry_after import retry_after_s
from scenarios.clients.protocol.session import MAX_HEAD_BYTES, Session, Upgrade, closing_answer
from scenarios.scenario.model import POD_HEADER

_SEPARATOR = b"\x1e"
_POD_HEADER = POD_HEADER.lower().encode()
_MOST_COOKIES = 50
_LONGEST_COOKIE = 4_096
_PROBE = client_frame(TEXT, b"2probe")
_TAKE_OVER = client_frame(TEXT, b"5")


class Cookies:
    """What a gateway has set in one session, and what the target's headers say already.

    Of a cookie's attributes count those that say when it has passed, and its path. Anything that a header
    cannot carry is left out. Source: RFC 6265, 5.2.
    """

    def __init__(self, header: str, path: str) -> None:
        pairs = (pair.strip().partition("=") for pair in header.split(";") if pair.strip())
        self._values = {name: value for name, _, value in pairs}
        self._path = path

    def take(self, set_cookie: bytes) -> None:
        """Takes the value of one `Set-Cookie`."""
        text = set_cookie.decode("latin-1")
        pair, *rest = text.split(";")
        name, equals, value = (part.strip() for part in pair.partition("="))
        attributes = {
            key.strip().lower(): said.strip() for key, _, said in (one.partition("=") for one in rest)
        }
        usable = equals and name and pair.isascii() and pair.strip().isprintable()
        if not usable or len(pair) > _LONGEST_COOKIE or not self._is_for_us(attributes.get("path", "")):
            return
        if _has_passed(attributes):
            self._values.pop(name, None)
        elif name in self._values or len(self._values) < _MOST_COOKIES:
            self._values[name] = value

    def header(self) -> str:
        """The value of `Cookie`; empty without any."""
        return "; ".join(f"{name}={value}" for name, value in self._values.items())

    def _is_for_us(self, path: str) -> bool:
        if not path.startswith("/"):
            return True
        return self._path == path or self._path.startswith(path.removesuffix("/") + "/")


def _has_passed(attributes: Mapping[str, str]) -> bool:
    """Whether a cookie's attributes say that it is none any more; `Max-Age` counts before `Expires`."""
    try:
        if "max-age" in attributes:
            return int(attributes["max-age"]) <= 0
        expires = parsedate_to_datetime(attributes["expires"]) if "expires" in attributes else None
    except (ValueError, OverflowError):
        return False
    return expires is not None and expires.replace(tzinfo=expires.tzinfo or UTC) <= datetime.now(UTC)


class PollingSession(Session):
    """A session with two streams: HTTP (`receive_http`, `http_to_send`) and, once `Upgradable`, a WebSocket.

    The WebSocket's stream is that of `Session`: `receive` and `to_send`.
    """

    __slots__ = (
        "_body",
        "_cookies",
        "_headers",
        "_http",
        "_posting",
        "_posts",
        "_probed",
        "_sid",
        "_upgrade",
        "_upgrades",
        "http_to_send",
    )

    def __init__(
        self,
        upgrade: Upgrade,
        subscription: Subscription,
        extra_headers: Mapping[str, str] | None = None,
        join: bytes = b"",
    ) -> None:
        super().__init__(b"", subscription, join)
        self._upgrade = upgrade
        self._headers = {**upgrade.headers, **(extra_headers or {})}
        self._cookies: Cookies | None = None
        self._http: h11.Connection | None = _connection()
        self._posts: list[bytes] = []
        self._posting = False
        self._body = bytearray()
        self._sid = ""
        self._upgrades = False
        self._probed = False
        self.http_to_send = b""
        self._request("GET")

    @property
    def polling(self) -> bool:
        """Whether the polling connection is still in use."""
        return self._http is not None

    @property
    def upgrading(self) -> bool:
        """Whether a WebSocket may still take over."""
        return self._upgrades

    def take_http_to_send(self) -> bytes:
        """The bytes to send on the polling connection now."""
        data, self.http_to_send = self.http_to_send, b""
        return data

    def websocket_lost(self, last_words: bytes = b"") -> None:
        """The WebSocket could not be opened, or ended before it took over: the session stays on polling.

        last_words: what is to be sent on it before it is closed.
        """
        self._upgrades = self._probed = self._switched = False
        self._frames = None
        self._head = self.to_send = b""
        self.last_words = last_words

    def receive_http(self, data: bytes, now_ns: int = 0) -> Events:
        """The events in bytes of the polling connection. Empty bytes mean that the server closed it."""
        if self.phase is Phase.OVER or self._http is None:
            return ()
        events: list[Event] = []
        try:
            self._http.receive_data(data)
            self._read_responses(now_ns, events)
        except ProtocolError as error:
            events.append(self._broken(error))
        except h11.RemoteProtocolError as error:
            # An end in the middle of a response is an error to `h11`; to us it is a server that went away.
            events.append(self._broken(error) if data else self._end()[0])
        return tuple(events)

    def receive(self, data: bytes, now_ns: int = 0) -> Events:
        """The events in bytes of the WebSocket. As long as polling goes on, its end is not the session's."""
        if self._http is None:
            return super().receive(data, now_ns)
        if self.phase is Phase.OVER or not self._upgrades:
            return ()
        if not data:
            self.websocket_lost()
            return ()
        try:
            self._receive(data, now_ns, [])
        except (ProtocolError, FrameError):
            self.websocket_lost()
        return ()

    def closing(self) -> bytes:
        """The last bytes on the WebSocket; a session on polling just goes away, as a closed tab does."""
        last = super().closing()
        return last if self._http is None else b""

    # -- HTTP ---------------------------------------------------------------------------------------

    def _request(self, method: str, body: bytes = b"") -> None:
        assert self._http is not None  # noqa: S101
        session = f"&sid={quote(self._sid, safe='')}" if self._sid else ""
        headers = [("Host", self._upgrade.host), *self._headers.items()]
        if body:
            headers += [("Content-Type", "text/plain;charset=UTF-8"), ("Content-Length", str(len(body)))]
        target = f"{self._upgrade.path}&transport=polling{session}"
        parts: list[h11.Event] = [h11.Request(method=method, target=target, headers=headers)]
        parts += [h11.Data(data=body), h11.EndOfMessage()] if body else [h11.EndOfMessage()]
        self.http_to_send += b"".join(self._http.send(part) or b"" for part in parts)
        self._body.clear()
        self._posting = bool(body)

    def _take_cookies(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        set_cookies = [value for name, value in headers if name == b"set-cookie"]
        if not set_cookies:
            return
        name = next((name for name in self._headers if name.lower() == "cookie"), "Cookie")
        if self._cookies is None:
            self._cookies = Cookies(self._headers.get(name, ""), path=self._upgrade.path.partition("?")[0])
        for value in set_cookies:
            self._cookies.take(value)
        self._headers.pop(name, None)
        if header := self._cookies.header():
            self._headers[name] = header

    def _read_responses(self, now_ns: int, events: list[Event]) -> None:
        while self._http is not None and self.phase is not Phase.OVER:
            part = self._http.next_event()
            if isinstance(part, h11.Response):
                self._take_cookies(part.headers)
                self._is_at(next((value for name, value in part.headers if name == _POD_HEADER), b""))
                if part.status_code != 200:
                    events.extend(super()._on_refused(part.status_code, _wait_s(part.headers)))
            elif isinstance(part, h11.Data):
                self._body += part.data
                if len(self._body) > MAX_MESSAGE_BYTES:
                    raise ProtocolError(f"response of more than {MAX_MESSAGE_BYTES} bytes")
            elif isinstance(part, h11.EndOfMessage):
                self._response(bytes(self._body), now_ns, events)
            elif not isinstance(part, h11.InformationalResponse):
                return  # it needs more bytes

    def _response(self, body: bytes, now_ns: int, events: list[Event]) -> None:
        if self.phase is Phase.UPGRADING:
            self.phase = Phase.OPENING
        # What the answer to a POST says differs from server to server, and means nothing.
        if not self._posting:
            for packet in body.split(_SEPARATOR):
                events.extend(self._polled(packet, now_ns))
                if self.phase is Phase.OVER:
                    return
        if self._probed:
            # Nothing is under way on the polling connection now: the moment to change over.
            self._http = None
            self.to_send += _TAKE_OVER + b"".join(client_frame(TEXT, packet) for packet in self._posts)
            self._posts.clear()
            events.append(Upgraded())
            return
        if self._upgrades and any(isinstance(event, Joined) for event in events):
            self.to_send = self._upgrade.upgrade(quote(self._sid, safe=""), self._headers)
            events.append(Upgradable())
        self._next_request(events)

    def _next_request(self, events: list[Event]) -> None:
        assert self._http is not None  # noqa: S101
        _, closed = self._http.trailing_data
        if self._http.their_state is h11.DONE and not closed:
            self._http.start_next_cycle()
        else:
            self._http = _connection()
            events.append(Redial())
        posts, self._posts = self._posts, []
        self._request("POST" if posts else "GET", _SEPARATOR.join(posts))

    def _polled(self, packet: bytes, now_ns: int) -> Events:
        if packet[:1] != b"b":
            return self._packet(packet, now_ns)
        try:
            base64.b64decode(packet[1:], validate=True)
        except binascii.Error as error:
            raise ProtocolError(f"attachment: {error}") from None
        return self._attachment()

    # -- the WebSocket until it has taken over ------------------------------------------------------

    def _send_packet(self, packet: bytes) -> None:
        if self._http is None:
            super()._send_packet(packet)
        else:
            self._posts.append(packet)

    def _on_open(self, sid: str, upgrades: list[str]) -> None:
        self._sid = sid
        self._upgrades = "websocket" in upgrades

    def _on_switched(self) -> None:
        self.to_send += _PROBE

    def _on_refused(self, status: int, wait_s: float | None) -> Events:  # noqa: ARG002
        self.websocket_lost()
        return ()

    def _interpret(self, message: Message, now_ns: int) -> Events:
        if self._http is None:
            return super()._interpret(message, now_ns)
        if not self._upgrades:
            return ()  # It came after a Close frame.
        if message.opcode == PING:
            self.to_send += client_frame(PONG, message.payload)
        elif message.opcode == CLOSE:
            self.websocket_lost(closing_answer(message.payload))
        elif message.opcode == TEXT and message.payload == b"3probe":
            self._probed = True
        elif message.opcode != PONG:
            raise ProtocolError(f"unexpected message {message.payload[:16]!r} on a WebSocket that is probed")
        return ()


def _wait_s(headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    found = dict(headers)
    return retry_after_s(found.get(b"retry-after", b""), found.get(b"date", b""))


def _connection() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
