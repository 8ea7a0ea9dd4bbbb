"""A polling session against python-engineio's and python-socketio's packets, `h11` as the HTTP server and
`websockets` as the WebSocket server."""

import base64
from collections.abc import Callable, Sequence
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import h11
import pytest
from engineio import packet as engineio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from socketio import packet as socketio
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import SERVER, Protocol, State

from scenarios.clients.protocol.frames import MAX_MESSAGE_BYTES, TEXT, client_frame
from scenarios.clients.protocol.packets import (
    Broken,
    Dropped,
    Event,
    Joined,
    Opened,
    Other,
    Phase,
    Pinged,
    Redial,
    Refused,
    Rejected,
    Upgradable,
    Upgraded,
)
from scenarios.clients.protocol.polling import PollingSession
from scenarios.clients.protocol.session import Upgrade
from scenarios.clients.protocol.target import TargetError, resolve
from scenarios.scenario.model import Target
from tests.support.server_bytes import (
    UPGRADE,
    body,
    engine,
    frame,
    open_packet,
    response,
    socket_packets,
    subscription,
    switching,
    tick,
    tick_packet,
    ticked,
)

OK = response(b"ok")
OPENED = Opened(25.0, 20.0)
HANDSHAKE = response(body(open_packet("websocket")))
CONNECT = response(body(*socket_packets(socketio.CONNECT, {"sid": "b"})))
NOOP = response(body(engineio.Packet(engineio.NOOP)))
PROBED = engine(engineio.PONG, "probe")
PING = engineio.Packet(engineio.PING)


class Asked(Struct, frozen=True):
    """A request as an HTTP server reads it."""

    method: str
    target: str
    body: bytes = b""


class Server:
    """Reads what a session sends on both of its streams."""

    def __init__(self, session: PollingSession) -> None:
        self.session = session
        self.headers: dict[str, str] = {}

    def http(self) -> list[Asked]:
        """The requests that the session has just made; a server has to answer one before the next."""
        data = self.session.take_http_to_send()
        if not data:
            return []
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(data)
        requests: list[Asked] = []
        while isinstance(event := connection.next_event(), h11.Request | h11.Data | h11.EndOfMessage):
            if isinstance(event, h11.Request):
                self.headers = {name.decode(): value.decode() for name, value in event.headers}
                requests.append(Asked(event.method.decode(), event.target.decode()))
            elif isinstance(event, h11.Data):
                asked = requests.pop()
                requests.append(Asked(asked.method, asked.target, asked.body + event.data))
        assert connection.trailing_data == (b"", False)
        return requests

    def websocket(self) -> list[tuple[Opcode, bytes]]:
        """The frames that the session has just sent."""
        server = Protocol(SERVER, state=State.OPEN)
        server.receive_data(self.session.take_to_send())
        assert server.parser_exc is None
        frames = [event for event in server.events_received() if isinstance(event, Frame)]
        return [(frame.opcode, bytes(frame.data)) for frame in frames]


POLL = Asked("GET", "/socket.io/?EIO=4&transport=polling&sid=a")


def post(content: bytes) -> Asked:
    return Asked("POST", POLL.target, content)


def polling_session(*answers: bytes) -> PollingSession:
    """A session that has had these answers and has nothing to send on its polling connection."""
    session = PollingSession(UPGRADE, subscription())
    session.take_http_to_send()
    for answer in answers:
        session.receive_http(answer)
        session.take_http_to_send()
    return session


def joined_session() -> PollingSession:
    """A session on polling that may upgrade."""
    return polling_session(HANDSHAKE, OK, CONNECT)


def probed_session() -> PollingSession:
    """A session whose WebSocket has answered the probe."""
    session = joined_session()
    session.receive(switching(session.take_to_send()))
    session.receive(PROBED)
    session.take_to_send()
    return session


def upgraded_session() -> PollingSession:
    """A session whose WebSocket has taken over."""
    session = probed_session()
    session.receive_http(NOOP)
    session.take_to_send()
    return session


# -- the five requests ------------------------------------------------------------------------------


def test_a_session_makes_the_five_requests_in_order_and_the_websocket_takes_over() -> None:
    session = PollingSession(UPGRADE, subscription())
    server = Server(session)
    assert server.http() == [Asked("GET", "/socket.io/?EIO=4&transport=polling")]
    assert (session.receive_http(HANDSHAKE), session.phase) == ((OPENED,), Phase.JOINING)
    assert server.http() == [post(b"40")]
    assert server.headers["content-type"] == "text/plain;charset=UTF-8"
    assert (session.receive_http(OK), session.phase) == ((), Phase.JOINING)
    assert server.http() == [POLL]
    assert session.take_to_send() == b""
    assert (session.receive_http(CONNECT), session.phase) == ((Joined(), Upgradable()), Phase.JOINED)
    assert server.http() == [POLL]
    request = session.take_to_send()
    assert request.startswith(b"GET /socket.io/?EIO=4&transport=websocket&sid=a HTTP/1.1\r\n")
    assert session.receive(switching(request)) == ()
    assert server.websocket() == [(Opcode.TEXT, b"2probe")]
    assert session.receive(PROBED) == ()
    assert (server.websocket(), session.polling) == ([], True)
    assert session.receive_http(response(body(tick_packet(1)))) == (ticked(1), Upgraded())
    assert server.websocket() == [(Opcode.TEXT, b"5")]
    assert (server.http(), session.polling) == ([], False)
    assert session.receive(tick(2)) == (ticked(2),)
    assert session.receive(engine(engineio.PING)) == (Pinged(),)
    assert server.websocket() == [(Opcode.TEXT, b"3")]


def test_every_request_carries_the_host_and_the_headers_of_target_and_client() -> None:
    upgrade = Upgrade("h:1", "/ws/?room=a", {"Cookie": "a=b"})
    session = PollingSession(upgrade, subscription(), {"X-Forwarded-For": "127.10.10.1"})
    server = Server(session)
    wanted = {"host": "h:1", "cookie": "a=b", "x-forwarded-for": "127.10.10.1"}
    targets = []
    for answer in (HANDSHAKE, OK, CONNECT):
        targets += [asked.target for asked in server.http()]
        assert server.headers.items() >= wanted.items()
        session.receive_http(answer)
    lines = session.take_to_send().decode().lower().split("\r\n")
    assert {f"{name}: {value}" for name, value in wanted.items()} <= set(lines)
    assert (
        targets == ["/ws/?room=a&EIO=4&transport=polling"] + ["/ws/?room=a&EIO=4&transport=polling&sid=a"] * 2
    )


HEADERS = {
    "a letter outside ASCII": {"X-Name": "Zürich"},
    "a letter outside ASCII in a name": {"X-Größe": "1"},
    "a blank in a name": {"X Name": "a"},
    "no name": {"": "a"},
    "blanks around a value": {"X-Name": " a "},
    "a control character": {"X-Name": "a\x7f"},
    "its own host": {"Host": "gateway"},
    "its own length": {"Content-Length": "5"},
    "its own connection": {"Connection": "close"},
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_headers_are_refused_before_there_is_a_client_or_they_can_be_sent(headers: dict[str, str]) -> None:
    try:
        endpoint = resolve(Target(url="http://127.0.0.1:8000", headers=headers))
    except TargetError:
        return
    session = PollingSession(endpoint.upgrade, subscription())
    server = Server(session)
    assert [asked.method for asked in server.http()] == ["GET"]
    assert session.receive_http(HANDSHAKE)[0] == OPENED
    assert [asked.method for asked in server.http()] == ["POST"]


@pytest.mark.parametrize("sid", ["a b", "ä&sid=b", "a\r\nX: y", "a/b?c#d"])
def test_a_session_id_goes_into_the_requests_quoted(sid: str) -> None:
    session = polling_session(response(body(open_packet("websocket", sid=sid))), OK)
    session.receive_http(CONNECT)
    (asked,) = Server(session).http()
    assert parse_qs(urlsplit(asked.target).query)["sid"] == [sid]
    line, *_ = session.take_to_send().decode().split("\r\n")
    assert parse_qs(urlsplit(line.split()[1]).query)["sid"] == [sid]


def test_the_join_carries_namespace_and_auth() -> None:
    session = PollingSession(UPGRADE, subscription(namespace="/feed", auth={"token": "t"}))
    session.take_http_to_send()
    session.receive_http(HANDSHAKE)
    (asked,) = Server(session).http()
    assert asked.body == b'40/feed,{"token":"t"}'
    assert session.receive_http(OK) == ()
    answer = response(body(*socket_packets(socketio.CONNECT, {"sid": "b"}, "/feed")))
    assert session.receive_http(answer) == (Joined(), Upgradable())


def test_a_server_may_answer_the_handshake_with_more_than_the_open() -> None:
    session = polling_session()
    both = body(open_packet("websocket"), *socket_packets(socketio.CONNECT, {"sid": "b"}))
    assert session.receive_http(response(both)) == (OPENED, Joined(), Upgradable())


def test_a_session_whose_server_offers_no_websocket_stays_on_polling() -> None:
    session = polling_session(response(body(open_packet())), OK)
    assert session.receive_http(CONNECT) == (Joined(),)
    assert (session.take_to_send(), session.upgrading, session.polling) == (b"", False, True)
    assert session.receive(PROBED) == ()
    assert session.receive_http(response(body(tick_packet(1), tick_packet(2)))) == (ticked(1), ticked(2))


# -- splitting --------------------------------------------------------------------------------------

Stream = tuple[str, bytes]
BINARY_EVENT = socket_packets(socketio.EVENT, ["image", b"\0\1", b"\2"])
BINARY_TICK = socket_packets(socketio.EVENT, ["tick", {"seq": 3, "due_ns": 30, "image": b"\0" * 9}])
CONVERSATION: list[Stream] = [
    ("http", HANDSHAKE),
    ("http", response(pieces=[b"o", b"k"])),
    ("http", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + CONNECT),
    ("websocket", switching(UPGRADE.upgrade("a"))),
    ("http", response(body(tick_packet(1), PING, *BINARY_EVENT))),
    ("http", OK),
    ("http", response(pieces=[body(*BINARY_TICK)[:70], body(*BINARY_TICK)[70:]])),
    ("websocket", frame(Opcode.PING, b"ws") + PROBED),
    ("http", response(body(PING, tick_packet(4)))),
    ("websocket", tick(5) + engine(engineio.PING) + engine(engineio.CLOSE)),
]
EVENTS: list[Event] = [
    *(OPENED, Joined(), Upgradable(), ticked(1), Pinged(), Other(), ticked(3)),
    *(Pinged(), ticked(4), Upgraded(), ticked(5), Pinged(), Dropped()),
]


Cut = Callable[[bytes], list[bytes]]


def at(place: int) -> Cut:
    return lambda data: [part for part in (data[:place], data[place:]) if part]


def into(size: int) -> Cut:
    return lambda data: [data[start : start + size] for start in range(0, len(data), size)]


def converse(cut: Cut) -> tuple[list[Event], bytes, bytes]:
    """(events, bytes on the polling connection, bytes on the WebSocket), with all bytes cut like that."""
    session = PollingSession(UPGRADE, subscription())
    events: list[Event] = []
    for stream, data in CONVERSATION:
        receive = session.receive_http if stream == "http" else session.receive
        for chunk in cut(data):
            events += receive(chunk)
    return events, session.take_http_to_send(), session.take_to_send()


def test_a_whole_conversation_means_the_same_however_its_bytes_are_split() -> None:
    whole = converse(lambda data: [data])
    assert whole[0] == EVENTS
    assert whole[2].endswith(b"".join(client_frame(TEXT, packet) for packet in (b"5", b"3", b"3")))
    longest = max(len(data) for _, data in CONVERSATION)
    for cut in [*map(at, range(1, longest)), *map(into, (1, 2, 7))]:
        assert converse(cut) == whole


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_answers_cut_anywhere_mean_the_same(data: st.DataObject) -> None:
    def cut(whole: bytes) -> list[bytes]:
        places = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=6)))
        return [whole[start:end] for start, end in pairwise([0, *places, len(whole)])]

    assert converse(cut)[0] == EVENTS


def test_chunks_may_have_extensions_and_trailers() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    content = body(tick_packet(1))
    answer = head + b"%x;a=b\r\n%b\r\n0\r\nX-Trailer: y\r\n\r\n" % (len(content), content)
    assert joined_session().receive_http(answer) == (ticked(1),)


# -- ticks and pings by polling ---------------------------------------------------------------------


def test_ticks_come_by_polling_until_the_websocket_has_taken_over() -> None:
    session = joined_session()
    server = Server(session)
    assert session.receive_http(response(body(tick_packet(1), tick_packet(2)))) == (ticked(1), ticked(2))
    assert server.http() == [POLL]
    session.receive(switching(session.take_to_send()))
    assert session.receive_http(response(body(tick_packet(3)))) == (ticked(3),)
    assert server.http() == [POLL]


@pytest.mark.parametrize(("pings", "answer"), [(1, b"3"), (2, b"3\x1e3")], ids=["one", "two in one answer"])
def test_a_ping_by_polling_is_answered_by_a_post_and_polling_goes_on(pings: int, answer: bytes) -> None:
    session = joined_session()
    server = Server(session)
    packets = [PING] * pings
    assert session.receive_http(response(body(*packets, tick_packet(1)))) == (*[Pinged()] * pings, ticked(1))
    assert server.http() == [post(answer)]
    assert session.receive_http(OK) == ()
    assert server.http() == [POLL]


def test_a_ping_before_the_join_is_answered_together_with_it() -> None:
    session = polling_session()
    assert session.receive_http(response(body(open_packet(), PING))) == (OPENED, Pinged())
    assert Server(session).http() == [post(b"40\x1e3")]


def test_a_ping_with_the_last_poll_is_answered_on_the_websocket() -> None:
    session = probed_session()
    assert session.receive_http(response(body(PING))) == (Pinged(), Upgraded())
    assert Server(session).websocket() == [(Opcode.TEXT, b"5"), (Opcode.TEXT, b"3")]


def test_the_websocket_may_take_over_when_a_post_has_been_answered() -> None:
    session = joined_session()
    session.receive(switching(session.take_to_send()))
    assert session.receive_http(response(body(PING))) == (Pinged(),)
    assert session.receive(PROBED) == ()
    assert Server(session).http() == [post(b"3")]
    assert session.receive_http(OK) == (Upgraded(),)


binary = st.lists(st.binary(max_size=20), min_size=1, max_size=3)


@settings(max_examples=100, deadline=None)
@given(binary, st.integers(0, 2**59), st.integers(0, 3))
def test_binary_packets_by_polling_are_attachments(parts: list[bytes], seq: int, cut: int) -> None:
    content = ["tick", {"seq": seq, "due_ns": 10 * seq, "image": parts}]
    packets = [*socket_packets(socketio.EVENT, content), *socket_packets(socketio.EVENT, ["image", *parts])]
    session = joined_session()
    events = session.receive_http(response(body(*packets[:cut]))) if cut else ()
    assert events + session.receive_http(response(body(*packets[cut:]))) == (ticked(seq), Other())


def test_an_attachment_may_come_on_the_websocket_when_it_has_taken_over() -> None:
    session = probed_session()
    announcement, attachment = BINARY_TICK
    assert session.receive_http(response(body(announcement))) == (Upgraded(),)
    assert session.receive(frame(Opcode.BINARY, attachment.data)) == (ticked(3),)


def test_a_binary_packet_that_nothing_announced_is_other() -> None:
    assert joined_session().receive_http(response(body(engineio.Packet(engineio.MESSAGE, b"\0")))) == (
        Other(),
    )


# -- a WebSocket that does not take over ------------------------------------------------------------

SWITCHED = switching(UPGRADE.upgrade("a"))
FAILED_UPGRADES: dict[str, Sequence[bytes]] = {
    "refused with 429": [b"HTTP/1.1 429 Too Many Requests\r\n\r\n"],
    "refused with 503": [b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n"],
    "refused with 400": [b"HTTP/1.1 400 Bad Request\r\n\r\n{}"],
    "closed at once": [b""],
    "closed after the switch": [SWITCHED, b""],
    "closed after the probe": [SWITCHED, PROBED, b""],
    "wrong accept key": [SWITCHED.replace(b"-Accept: ", b"-Accept: x")],
    "no HTTP": [b"\0\r\n\r\n"],
    "endless head": [b"HTTP/1.1 101 OK\r\n" + b"X: y\r\n" * 3_000],
    "no frames": [SWITCHED + b"\xff\xff"],
    "half a frame, then closed": [SWITCHED + PROBED[:3], b""],
    "probe answered wrongly": [SWITCHED + engine(engineio.PONG, "prob")],
    "probe answered in binary": [SWITCHED + frame(Opcode.BINARY, b"3probe")],
    "a tick too early": [SWITCHED + tick(7)],
    "a close frame": [SWITCHED + frame(Opcode.CLOSE, b"")],
}


@pytest.mark.parametrize("chunks", FAILED_UPGRADES.values(), ids=FAILED_UPGRADES)
def test_a_session_whose_websocket_fails_stays_on_polling(chunks: Sequence[bytes]) -> None:
    session = joined_session()
    assert [session.receive(chunk) for chunk in chunks] == [()] * len(chunks)
    assert (session.upgrading, session.polling, session.to_send) == (False, True, b"")
    assert session.receive(SWITCHED + PROBED) == session.receive(b"") == ()
    server = Server(session)
    for seq in range(2):
        assert session.receive_http(response(body(tick_packet(seq), PING))) == (ticked(seq), Pinged())
        assert server.http() == [post(b"3")]
        assert session.receive_http(OK) == ()
        assert server.http() == [POLL]
    assert server.websocket() == []


def test_a_websocket_that_could_not_be_opened_leaves_the_session_on_polling() -> None:
    session = joined_session()
    session.websocket_lost()
    assert (session.upgrading, session.take_to_send()) == (False, b"")
    assert session.receive_http(response(body(tick_packet(1)))) == (ticked(1),)


def test_a_websocket_is_sounded_out_only_with_the_probe_and_pongs() -> None:
    session = joined_session()
    server = Server(session)
    session.receive(switching(session.take_to_send()))
    session.take_to_send()
    assert session.receive(frame(Opcode.PING, b"x") + frame(Opcode.PONG, b"")) == ()
    assert server.websocket() == [(Opcode.PONG, b"x")]
    assert session.upgrading
    assert session.receive(frame(Opcode.TEXT, b"3pro", final=False) + frame(Opcode.CONT, b"be")) == ()
    assert session.receive_http(NOOP) == (Upgraded(),)


# -- refusals ---------------------------------------------------------------------------------------

STAGES: dict[str, tuple[list[bytes], Phase]] = {
    "handshake": ([], Phase.UPGRADING),
    "join": ([HANDSHAKE], Phase.JOINING),
    "poll for the join": ([HANDSHAKE, OK], Phase.JOINING),
    "poll during the upgrade": ([HANDSHAKE, OK, CONNECT], Phase.JOINED),
    "post of a pong": ([HANDSHAKE, OK, CONNECT, response(body(PING))], Phase.JOINED),
}


@pytest.mark.parametrize(("answers", "phase"), STAGES.values(), ids=STAGES)
@pytest.mark.parametrize("status", [429, 503, 502, 404, 302, 204])
def test_a_request_that_is_refused_ends_the_session(answers: list[bytes], phase: Phase, status: int) -> None:
    session = polling_session(*answers)
    assert session.phase == phase
    content = b"" if status == 204 else b"no"
    refusal = response(content, status=status, headers={"Retry-After": "1", "Location": "/"})
    assert session.receive_http(refusal) == (Refused(status),)
    assert session.said.retry_after_s == 1.0
    assert (session.phase, session.take_http_to_send()) == (Phase.OVER, b"")
    assert session.receive_http(OK) == session.receive_http(b"") == session.receive(b"") == ()


def test_a_refusal_counts_as_soon_as_its_head_is_there() -> None:
    head, _, _ = response(b"x" * 10_000, status=429).partition(b"x")
    assert polling_session().receive_http(head) == (Refused(429),)


# -- a server that closes the polling connection ----------------------------------------------------

CLOSING: dict[str, Callable[[bytes], list[bytes]]] = {
    "Connection: close": lambda content: [response(content, headers={"Connection": "close"})],
    "HTTP/1.0": lambda content: [
        b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)
    ],
    "ended by closing": lambda content: [b"HTTP/1.1 200 OK\r\n\r\n" + content, b""],
}


@pytest.mark.parametrize("close", CLOSING.values(), ids=CLOSING)
def test_a_server_that_closes_after_each_answer_is_dialled_again(close: Cut) -> None:
    session = PollingSession(UPGRADE, subscription())
    server = Server(session)
    answers = [
        (body(open_packet("websocket")), (OPENED, Redial()), post(b"40")),
        (b"OK", (Redial(),), POLL),  # as python-engineio writes it
        (body(*socket_packets(socketio.CONNECT, {})), (Joined(), Upgradable(), Redial()), POLL),
        (body(tick_packet(1), PING), (ticked(1), Pinged(), Redial()), post(b"3")),
        (b"ok", (Redial(),), POLL),
    ]
    assert len(server.http()) == 1
    for content, events, asked in answers:
        assert tuple(event for chunk in close(content) for event in session.receive_http(chunk)) == events
        assert server.http() == [asked]
    session.receive(switching(session.take_to_send()))
    session.receive(PROBED)
    last = tuple(event for chunk in close(body(tick_packet(2))) for event in session.receive_http(chunk))
    assert last == (ticked(2), Upgraded())
    assert server.http() == []


@pytest.mark.parametrize(("answers", "phase"), STAGES.values(), ids=STAGES)
@pytest.mark.parametrize("cut", [0, 12, -1], ids=["before the answer", "in the head", "in the body"])
def test_a_polling_connection_closed_before_its_answer_is_a_drop(
    answers: list[bytes], phase: Phase, cut: int
) -> None:
    session = polling_session(*answers)
    assert session.phase == phase
    if cut:
        assert session.receive_http(OK[:cut]) == ()
    assert session.receive_http(b"") == (Dropped(),)
    assert session.receive_http(b"") == session.receive_http(OK) == session.receive(b"") == ()


def test_the_end_of_the_polling_connection_means_nothing_once_the_websocket_has_taken_over() -> None:
    session = upgraded_session()
    assert session.receive_http(b"") == session.receive_http(b"\0") == ()
    assert session.receive(tick(1)) == (ticked(1),)
    assert session.receive(b"") == (Dropped(),)


# -- ends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("packets", "event"),
    [
        (socket_packets(socketio.CONNECT_ERROR, {"message": "no"}), Rejected()),
        (socket_packets(socketio.DISCONNECT), Dropped()),
        ([engineio.Packet(engineio.CLOSE)], Dropped()),
    ],
    ids=["namespace refused", "namespace left", "server closes"],
)
def test_a_packet_that_ends_the_session_is_its_last(packets: list[engineio.Packet], event: Event) -> None:
    session = joined_session()
    assert session.receive_http(response(body(tick_packet(1), *packets, tick_packet(2)))) == (
        ticked(1),
        event,
    )
    assert (session.phase, session.take_http_to_send()) == (Phase.OVER, b"")


def test_a_client_that_leaves_says_so_only_on_a_websocket_that_has_taken_over() -> None:
    assert polling_session().closing() == joined_session().closing() == probed_session().closing() == b""
    session = upgraded_session()
    session.to_send = session.closing()
    assert Server(session).websocket() == [(Opcode.CLOSE, b"\x03\xe8")]


# -- broken answers ---------------------------------------------------------------------------------


def attachment(packet: bytes) -> bytes:
    """An answer that announces an attachment and brings this packet."""
    announcement, _ = BINARY_TICK
    return response(body(announcement) + b"\x1e" + packet)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN = {
    "no HTTP": (b"SSH-2.0-OpenSSH\r\n\r\n", ""),
    "HTTP/2": (b"HTTP/2 200\r\n\r\n", ""),
    "a status that is no number": (b"HTTP/1.1 fine\r\n\r\n", ""),
    "a switch of protocols": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", ""),
    "endless head": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 3_000, ""),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", ""),
    "chunk without a size": (CHUNKED + b"x\r\n", ""),
    "chunk longer than it says": (CHUNKED + b"1\r\nabc\r\n", ""),
    "endless chunk size": (CHUNKED + b"1" * 20_000, ""),
    "empty answer": (response(b""), "unexpected Engine.IO packet b''"),
    "text": (response(b"hello"), "unexpected Engine.IO packet b'hello'"),
    "web page": (response(b"<html>"), "unexpected Engine.IO packet b'<html>'"),
    "separator without a packet": (response(body(PING) + b"\x1e"), "unexpected Engine.IO packet b''"),
    "broken tick": (response(b'42["tick",{]'), "tick: "),
    "attachment that is no base64": (attachment(b"b!!!!"), "attachment: "),
    "attachment without its padding": (attachment(b"bAAA"), "attachment: "),
    "attachment outside ASCII": (attachment(b"b\xfc\xfc\xfc\xfc"), "attachment: "),
    "text instead of an attachment": (attachment(body(tick_packet(1))), "Socket.IO packet "),
    "tick in another encoding": (response(b'42["tick",{"seq":1,"due_ns":2,"a":"\xfc"}]'), "tick: "),
}


@pytest.mark.parametrize(("answer", "reason"), BROKEN.values(), ids=BROKEN)
def test_an_answer_that_breaks_the_protocol_ends_the_session(answer: bytes, reason: str) -> None:
    session = joined_session()
    *_, broken = session.receive_http(answer)
    assert isinstance(broken, Broken)
    assert broken.reason.startswith(reason)
    assert (session.phase, session.take_http_to_send()) == (Phase.OVER, b"")
    assert session.receive_http(NOOP) == session.receive(b"") == ()


@pytest.mark.parametrize(
    "content",
    [b"0", b"0{}", b'0{"sid":1,"pingInterval":1,"pingTimeout":1}', b"40", b"2", b"0{" + b'"a":[' * 50_000],
    ids=["empty", "no keys", "no session", "join", "ping", "nested without end"],
)
def test_a_handshake_that_is_no_open_is_broken(content: bytes) -> None:
    session = polling_session()
    (broken,) = session.receive_http(response(content))
    assert isinstance(broken, Broken)


def test_an_answer_above_the_limit_is_broken_before_it_has_ended() -> None:
    session = joined_session()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (2 * MAX_MESSAGE_BYTES)
    assert session.receive_http(head + bytes(MAX_MESSAGE_BYTES)) == ()
    assert session.receive_http(b"x") == (Broken(f"response of more than {MAX_MESSAGE_BYTES} bytes"),)


# -- anything at all --------------------------------------------------------------------------------

packets_in_bytes = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [b"2", b"6", b"40", b"1", body(tick_packet(1)), body(*BINARY_EVENT), b"451-[]", b"bAA=="]
        ),
        st.binary(max_size=9).map(lambda data: b"b" + base64.b64encode(data)),
        st.binary(max_size=9).map(lambda data: b'42["tick",' + data),
    ),
    max_size=3,
).map(b"\x1e".join)
answers = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", OK, HANDSHAKE, CONNECT, NOOP, OK[:20], OK[20:], CHUNKED, b"0\r\n\r\n"]),
    st.builds(
        response,
        packets_in_bytes,
        status=st.sampled_from([200] * 8 + [429]),
        headers=st.sampled_from([{}, {"Connection": "close"}]),
    ),
)
on_websocket = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"", SWITCHED, SWITCHED + PROBED, PROBED, tick(1), PROBED[:4], frame(Opcode.PING, b"x")]
    ),
)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([polling_session, joined_session, probed_session, upgraded_session]),
    st.lists(st.tuples(st.just("http"), answers) | st.tuples(st.just("websocket"), on_websocket), max_size=8),
)
@example(joined_session, [("http", response(b'42["tick","\xfc"]'))])
def test_no_bytes_make_a_polling_session_raise(
    make: Callable[[], PollingSession], chunks: list[Stream]
) -> None:
    session = make()
    for stream, chunk in chunks:
        over, polling = session.phase == Phase.OVER, session.polling
        events = session.receive_http(chunk) if stream == "http" else session.receive(chunk)
        assert all(isinstance(event, Event) for event in events)
        assert not (over and events)
        assert not (stream == "websocket" and polling and events)
        assert sum(isinstance(event, Dropped | Broken | Refused | Rejected) for event in events) == (
            not over and session.phase == Phase.OVER
        )
        assert (Upgraded() in events) is (polling and not session.polling)


# -- cookies ----------------------------------------------------------------------------------------

COOKIES: dict[str, tuple[list[str], str]] = {
    "one": (["lb=pod-2; Path=/; HttpOnly"], "lb=pod-2"),
    "two": (["lb=pod-2", "stick=a=b=="], "lb=pod-2; stick=a=b=="),
    "set anew": (["lb=pod-1", "lb=pod-2"], "lb=pod-2"),
    "beside ours": (["mine=theirs; path=/socket.io"], "mine=theirs"),
    "for another path": (["lb=1; Path=/admin", "ok=1; Path=/socket.io/"], "ok=1"),
    "for a path that only begins the same": (["lb=1; Path=/socket", "ok=1"], "ok=1"),
    "taken back": (["lb=1", "lb=; Max-Age=0"], ""),
    "taken back by date": (["lb=1", "lb=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], ""),
    "an age before a date": (["lb=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "lb=1"),
    "an age and a date that mean nothing": (["lb=1; Max-Age=soon", "a=2; Expires=never"], "lb=1; a=2"),
    "no cookie": (["", "lb", "=1", ";;", "lb=\x80"], ""),
    "too long": (["lb=" + "x" * 5_000, "ok=1"], "ok=1"),
    "empty": (["lb="], "lb="),
}


@pytest.mark.parametrize(("said", "wanted"), COOKIES.values(), ids=COOKIES)
@pytest.mark.parametrize(
    "ours", [{}, {"Cookie": "sid=1"}, {"cookie": "sid=1"}], ids=["none", "some", "lower"]
)
def test_cookies_go_along_with_what_a_session_asks_for_later_and_with_the_upgrade(
    said: list[str], wanted: str, ours: dict[str, str]
) -> None:
    session = PollingSession(Upgrade("h", "/socket.io/", ours), subscription())
    server = Server(session)
    server.http()
    before = server.headers.get("cookie", "")
    assert before == "".join(ours.values())
    open_answer = response(body(open_packet("websocket")))
    head, separator, rest = open_answer.partition(b"\r\n")
    cookies = b"".join(f"Set-Cookie: {one}\r\n".encode("latin-1") for one in said)
    expected = "; ".join(filter(None, [before, wanted]))
    for answer in (head + separator + cookies + rest, OK, CONNECT):
        session.receive_http(answer)
        server.http()
        assert server.headers.get("cookie", "") == expected
    lines = session.take_to_send().decode().split("\r\n")
    assert [line for line in lines if line.lower().startswith("cookie")] == (
        [f"{next(iter(ours), 'Cookie')}: {expected}"] if expected else []
    )


def test_the_next_session_begins_without_the_cookies_of_the_one_before() -> None:
    answer = response(body(open_packet("websocket")), headers={"Set-Cookie": "lb=1"})
    polling_session(answer)
    server = Server(PollingSession(UPGRADE, subscription()))
    server.http()
    assert "cookie" not in server.headers


def test_a_gateway_cannot_fill_the_memory_with_cookies() -> None:
    session = joined_session()
    for number in range(400):
        session.receive_http(response(body(PING), headers={"Set-Cookie": f"c{number}=1"}))
        session.take_http_to_send()
        session.receive_http(response(b"ok", headers={"Set-Cookie": f"d{number}=1"}))
    assert session.take_http_to_send().count(b"=1") <= 51


@pytest.mark.parametrize("after", [b"", PROBED], ids=["alone", "before the probe is answered"])
def test_a_websocket_that_is_closed_while_it_is_sounded_out_gets_an_answer(after: bytes) -> None:
    session = joined_session()
    session.receive(switching(session.take_to_send()))
    session.take_to_send()
    assert session.receive(frame(Opcode.CLOSE, b"\x03\xe8") + after) == ()
    server = Protocol(SERVER, state=State.OPEN)
    server.receive_data(session.last_words)
    assert server.close_rcvd == Close(1000, "")
    assert (session.upgrading, session.receive_http(NOOP)) == (False, ())
