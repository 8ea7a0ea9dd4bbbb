"""A session against the bytes that python-engineio, python-socketio and `websockets` really write."""

import json
from typing import Any

import pytest
from engineio import packet as engineio
from hypothesis import given, settings
from hypothesis import strategies as st
from server_bytes import HEAD, JOIN, OPEN, UPGRADE, engine, frame, socket, tick, ticked
from socketio import packet as socketio
from websockets.frames import Frame, Opcode
from websockets.protocol import SERVER, Protocol, State

from scenarios.clients.session import (
    Broken,
    Decoded,
    Dropped,
    Event,
    Joined,
    Opened,
    Other,
    Phase,
    Pinged,
    Refused,
    Rejected,
    Session,
    Upgrade,
)

moderate = settings(max_examples=100, deadline=None)
BEFORE = {
    Phase.UPGRADING: b"",
    Phase.OPENING: HEAD,
    Phase.JOINING: HEAD + OPEN,
    Phase.JOINED: HEAD + OPEN + JOIN,
    Phase.OVER: HEAD + OPEN + JOIN + engine(engineio.CLOSE),
}
LIVE = [phase for phase in Phase if phase != Phase.OVER]


def session_in(phase: Phase, decoded: Decoded | None = None) -> Session:
    """A session that has just got there and has nothing to send."""
    session = Session(UPGRADE, decoded or Decoded())
    if BEFORE[phase]:
        session.receive(BEFORE[phase])
    session.take_to_send()
    assert session.phase == phase
    return session


def sent(session: Session) -> list[tuple[Opcode, bytes]]:
    """What a `websockets` server reads from the session's bytes."""
    server = Protocol(SERVER, state=State.OPEN)
    server.receive_data(session.take_to_send())
    frames = [event for event in server.events_received() if isinstance(event, Frame)]
    return [(frame.opcode, bytes(frame.data)) for frame in frames]


def test_a_session_goes_from_the_upgrade_to_its_first_ticks() -> None:
    session = Session(UPGRADE, Decoded())
    assert session.take_to_send() == UPGRADE.request
    assert (session.receive(HEAD), session.phase) == ((), Phase.OPENING)
    assert session.take_to_send() == b""
    assert (session.receive(OPEN), session.phase) == ((Opened(25.0, 20.0),), Phase.JOINING)
    assert sent(session) == [(Opcode.TEXT, b"40")]
    assert (session.receive(JOIN), session.phase) == ((Joined(),), Phase.JOINED)
    assert session.receive(tick(0) + tick(1)) == (ticked(0), ticked(1))
    assert session.take_to_send() == b""


def test_the_upgrade_request_asks_for_engine_io_over_websocket_and_carries_headers() -> None:
    request = Upgrade("h:1", "/ws/?room=a", {"X-Forwarded-For": "127.10.10.1"}).request
    assert request.startswith(b"GET /ws/?room=a&EIO=4&transport=websocket HTTP/1.1\r\nHost: h:1\r\n")
    assert b"\r\nX-Forwarded-For: 127.10.10.1\r\n" in request
    assert request.endswith(b"\r\n\r\n")


CONVERSATION = (
    BEFORE[Phase.JOINED]
    + socket(socketio.EVENT, ["snapshot", "s" * 130])
    + tick(3)
    + frame(Opcode.TEXT, tick(4)[2:30], final=False)
    + frame(Opcode.PING, b"ws")
    + frame(Opcode.CONT, tick(4)[30:])
    + socket(socketio.EVENT, ["image", b"\0\1"])
    + engine(engineio.PING)
    + engine(engineio.NOOP)
    + tick(5)
)
EVENTS = [Opened(25.0, 20.0), Joined(), Other(), ticked(3), Pinged(), ticked(4), Other(), Other(), Pinged()]

ENDINGS: dict[str, tuple[bytes, tuple[Event, ...]]] = {
    "goes on": (b"", ()),
    "close frame": (frame(Opcode.CLOSE, b"\x03\xe9") + tick(6), (Dropped(),)),
    "engine close": (engine(engineio.CLOSE) + b"\xff\xff", (Dropped(),)),
    "namespace left": (socket(socketio.DISCONNECT) + tick(6), (Dropped(),)),
    "breach in a frame": (b"\x8f\x00" + tick(6), (Broken("unknown opcode 0xf"),)),
    "breach in a packet": (
        frame(Opcode.TEXT, b"5"),
        (Broken("unexpected Engine.IO packet b'5' while JOINED"),),
    ),
}


@pytest.mark.parametrize(("ending", "last"), ENDINGS.values(), ids=ENDINGS)
def test_a_whole_conversation_means_the_same_however_its_bytes_are_split(
    ending: bytes, last: tuple[Event, ...]
) -> None:
    whole = CONVERSATION + ending
    splits = [[whole[:cut], whole[cut:]] for cut in range(1, len(whole))]
    splits.append([whole[place : place + 1] for place in range(len(whole))])
    answers = set()
    for chunks in [[whole], *splits]:
        session = Session(UPGRADE, Decoded())
        events = [event for chunk in chunks for event in session.receive(chunk)]
        assert events == [*EVENTS, ticked(5), *last]
        answers.add(session.take_to_send())
    assert len(answers) == 1


PING = engine(engineio.PING)
HARMLESS = [
    *(tick(1), tick(1) + tick(2), tick(2), PING, tick(1) + PING, JOIN),
    *(frame(Opcode.PING, b"x"), frame(Opcode.PONG, b""), socket(socketio.EVENT, ["image", b"\0"])),
]
# Each half is followed by whatever comes next, which makes a message, waits for more or breaks.
HALVES = [
    tick(1)[:20],
    tick(1)[20:],
    tick(2)[:-1],
    tick(2)[-1:],
    frame(Opcode.TEXT, b"42", final=False),
    b"\x81",
]
ENDS = [
    tick(1) + engine(engineio.CLOSE),
    tick(1) + socket(socketio.DISCONNECT),
    frame(Opcode.CLOSE, b""),
    b"",
]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([Phase.JOINING, Phase.JOINED]), min_size=2, max_size=3),
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(6 * HARMLESS + 3 * HALVES + ENDS)),
        min_size=8,
        max_size=30,
    ),
)
def test_sessions_that_share_a_table_see_what_sessions_without_one_see(
    phases: list[Phase], steps: list[tuple[int, bytes]]
) -> None:
    shared = Decoded()
    sharing = [session_in(phase, shared) for phase in phases]
    tables = [Decoded() for _ in phases]
    alone = [session_in(phase, table) for phase, table in zip(phases, tables, strict=True)]
    for who, chunk in steps:
        index = who % len(phases)
        tables[index].chunks.clear()
        assert sharing[index].receive(chunk) == alone[index].receive(chunk)
        assert sharing[index].to_send == alone[index].to_send
        assert sharing[index].phase == alone[index].phase


@pytest.mark.parametrize(
    ("phase", "chunks"),
    [
        (Phase.JOINING, [tick(1)]),
        (Phase.JOINED, [tick(1)[:-1], tick(1)[-1:]]),
        (Phase.JOINED, [tick(1) + PING]),
    ],
    ids=["what comes before the join", "the end of a message", "what asks for an answer"],
)
def test_what_is_one_sessions_own_is_not_remembered(phase: Phase, chunks: list[bytes]) -> None:
    decoded = Decoded()
    session = session_in(phase, decoded)
    for chunk in chunks:
        session.receive(chunk)
    assert not decoded.chunks


def test_a_whole_tick_is_remembered_for_the_next_session() -> None:
    decoded = Decoded()
    session_in(Phase.JOINED, decoded).receive(tick(1))
    assert decoded.chunks == {tick(1): (ticked(1),)}
    assert session_in(Phase.JOINED, decoded).receive(tick(1)) is decoded.chunks[tick(1)]


def test_the_table_stays_small() -> None:
    decoded = Decoded()
    session = session_in(Phase.JOINED, decoded)
    session.receive(tick(1, padding="x" * 70_000))
    assert not decoded.chunks
    for seq in range(600):
        assert session.receive(tick(seq)) == (ticked(seq),)
    assert 0 < len(decoded.chunks) <= 256


names = st.text(min_size=1, max_size=12)
addresses = st.tuples(st.sampled_from(["/", "/feed", "/a-1/b"]), st.none() | st.integers(0, 10**9))
contents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@moderate
@given(names, addresses, st.integers(0, 2**59), st.text(max_size=20))
def test_a_tick_is_read_whatever_its_name_and_ack_id_and_however_its_letters_are_escaped(
    name: str, address: tuple[str, int | None], seq: int, padding: str
) -> None:
    content = [name, {"pad": padding, "seq": seq, "due_ns": 10 * seq, "sent_ns": 10 * seq + 1}]
    start = socketio.Packet(socketio.EVENT, None, *address).encode()
    unescaped = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    for data in (
        socket(socketio.EVENT, content, *address),
        frame(Opcode.TEXT, f"4{start}{unescaped}".encode()),  # As a JS server writes it.
    ):
        assert session_in(Phase.JOINED, Decoded(name)).receive(data) == (ticked(seq),)


@moderate
@given(names.filter(lambda name: name != "tick"), st.lists(contents, max_size=3), addresses)
def test_any_other_event_or_acknowledgement_is_other(
    name: str, arguments: list[Any], address: tuple[str, int | None]
) -> None:
    session = session_in(Phase.JOINED)
    assert session.receive(socket(socketio.EVENT, [name, *arguments], *address)) == (Other(),)
    assert session.receive(socket(socketio.ACK, arguments, *address)) == (Other(),)


@moderate
@given(
    st.sampled_from(["tick", "image"]), st.lists(st.binary(max_size=20), min_size=1, max_size=3), addresses
)
def test_a_binary_event_and_its_attachments_are_other(
    name: str, parts: list[bytes], address: tuple[str, int | None]
) -> None:
    events = session_in(Phase.JOINED).receive(socket(socketio.EVENT, [name, *parts], *address))
    assert events == (Other(),) * (1 + len(parts))


SEQ = '{"seq":%s,"due_ns":2,"sent_ns":3}'
TEXTS: dict[str, tuple[Phase, str, tuple[Event, ...] | str]] = {
    "another event": (Phase.JOINED, '42["snapshot","x"]', (Other(),)),
    "tick without content": (Phase.JOINED, '42["tick"]', (Other(),)),
    "longer name": (Phase.JOINED, '42["ticker",{}]', (Other(),)),
    "second join": (Phase.JOINED, '40{"sid":"b"}', (Other(),)),
    "noop": (Phase.JOINED, "6", ()),
    "pong": (Phase.JOINED, "3probe", ()),
    "server leaves the namespace": (Phase.JOINED, "41", (Dropped(),)),
    "server closes": (Phase.JOINED, "1", (Dropped(),)),
    "namespace refused late": (Phase.JOINED, '44{"message":"no"}', (Rejected(),)),
    "tick that is a number": (Phase.JOINED, '42["tick",5]', "tick: "),
    "tick without times": (Phase.JOINED, '42["tick",{"seq":1}]', "tick: "),
    "tick cut off": (Phase.JOINED, f'42["tick",{SEQ % 1}', "tick: "),
    "negative number": (Phase.JOINED, f'42["tick",{SEQ % -1}]', "tick: "),
    "number beyond 64 bits": (Phase.JOINED, f'42["tick",{SEQ % 2**63}]', "tick: "),
    "nested without end": (Phase.JOINED, '42["tick",{"a":' + "[" * 50_000, "tick: "),
    "empty text": (Phase.JOINED, "", "unexpected Engine.IO packet"),
    "engine upgrade": (Phase.JOINED, "5", "unexpected Engine.IO packet"),
    "plain text": (Phase.JOINED, "hello", "unexpected Engine.IO packet"),
    "second open": (Phase.JOINED, "0{}", "unexpected Engine.IO packet"),
    "no packet type": (Phase.JOINED, "4", "unexpected Socket.IO packet"),
    "unknown packet type": (Phase.JOINED, "47[]", "unexpected Socket.IO packet"),
    "namespace refused": (Phase.JOINING, '44{"message":"no"}', (Rejected(),)),
    "event before the join": (Phase.JOINING, '42["tick",5]', (Other(),)),
    "join before the open": (Phase.OPENING, "40", "unexpected Socket.IO packet"),
    "open without content": (Phase.OPENING, "0", "Engine.IO open: "),
    "open without time-out": (Phase.OPENING, '0{"pingInterval":1}', "Engine.IO open: "),
    "endless ping interval": (
        Phase.OPENING,
        '0{"pingTimeout":1,"pingInterval":' + "9" * 99 + "}",
        "Engine.IO open: ",
    ),
    "open nested without end": (Phase.OPENING, '0{"a":' + "[" * 50_000, "Engine.IO open: "),
}


@pytest.mark.parametrize(("phase", "text", "expected"), TEXTS.values(), ids=TEXTS)
def test_a_text_message_means(phase: Phase, text: str, expected: tuple[Event, ...] | str) -> None:
    session = session_in(phase)
    events = session.receive(frame(Opcode.TEXT, text.encode()))
    if isinstance(expected, str):
        (broken,) = events
        assert isinstance(broken, Broken)
        assert broken.reason.startswith(expected)
    else:
        assert events == expected
    ended = isinstance(expected, str) or any(isinstance(event, Dropped | Rejected) for event in events)
    assert (session.phase == Phase.OVER) is ended


@pytest.mark.parametrize("phase", [Phase.OPENING, Phase.JOINING, Phase.JOINED], ids=lambda phase: phase.name)
def test_every_ping_gets_its_pong(phase: Phase) -> None:
    session = session_in(phase)
    assert session.receive(engine(engineio.PING)) == (Pinged(),)
    assert sent(session) == [(Opcode.TEXT, b"3")]
    assert session.receive(frame(Opcode.PING, b"are you there")) == (Pinged(),)
    assert sent(session) == [(Opcode.PONG, b"are you there")]
    assert session.receive(frame(Opcode.PONG, b"")) == ()
    assert session.take_to_send() == b""


@pytest.mark.parametrize("phase", LIVE, ids=lambda phase: phase.name)
def test_a_connection_closed_at_any_stage_is_a_drop_and_nothing_comes_after(phase: Phase) -> None:
    session = session_in(phase)
    assert session.receive(b"") == (Dropped(),)
    assert [session.receive(data) for data in (b"", tick(1), b"\xff\xff")] == [()] * 3
    assert session.closing() == b""


def test_a_connection_closed_in_the_middle_of_a_frame_is_a_drop() -> None:
    session = session_in(Phase.JOINED)
    assert (session.receive(tick(1)[:9]), session.receive(b"")) == ((), (Dropped(),))


@pytest.mark.parametrize("phase", LIVE, ids=lambda phase: phase.name)
def test_a_client_that_leaves_says_so_once_the_upgrade_is_through(phase: Phase) -> None:
    session = session_in(phase)
    session.to_send = session.closing()
    assert sent(session) == ([] if phase == Phase.UPGRADING else [(Opcode.CLOSE, b"\x03\xe8")])
    assert session.receive(tick(1)) == ()


@pytest.mark.parametrize("status", [429, 503, 502, 400, 403])
def test_another_status_than_101_is_a_refusal(status: int) -> None:
    answer = f"HTTP/1.1 {status} No\r\nServer: nginx\r\nContent-Length: 5\r\n\r\n"
    for chunks in ([answer + "sorry"], [answer[:11], answer[11:], "sorry"]):
        session = session_in(Phase.UPGRADING)
        events = [event for chunk in chunks for event in session.receive(chunk.encode())]
        assert events == [Refused(status)]
        assert session.phase == Phase.OVER


NO_UPGRADE = {
    "wrong accept key": (HEAD.replace(b"N9", b"M9"), "wrong Sec-WebSocket-Accept"),
    "no accept key": (HEAD.replace(b"-Accept", b"-Reject"), "wrong Sec-WebSocket-Accept"),
    "endless head": (b"HTTP/1.1 101 OK\r\n" + b"X: y\r\n" * 3_000, "HTTP response head without an end"),
    "empty head": (b"\r\n\r\n", "not an HTTP/1.1 response"),
    "another protocol": (b"SSH-2.0-OpenSSH\r\n\r\n", "not an HTTP/1.1 response"),
    "HTTP/2": (b"HTTP/2 200\r\n\r\n", "not an HTTP/1.1 response"),
    "no status": (b"HTTP/1.1 fine\r\n\r\n", "not an HTTP/1.1 response"),
    "endless status": (b"HTTP/1.1 " + b"9" * 5_000 + b"\r\n\r\n", "not an HTTP/1.1 response"),
}


@pytest.mark.parametrize(("data", "reason"), NO_UPGRADE.values(), ids=NO_UPGRADE)
def test_an_answer_that_is_no_upgrade_is_broken(data: bytes, reason: str) -> None:
    session = session_in(Phase.UPGRADING)
    assert session.receive(data) == (Broken(reason),)
    assert session.receive(OPEN) == ()


def test_header_names_and_blanks_do_not_matter() -> None:
    head = HEAD.replace(b"Sec-WebSocket-Accept: ", b"SEC-WEBSOCKET-ACCEPT:\t ")
    assert session_in(Phase.UPGRADING).receive(head + OPEN) == (Opened(25.0, 20.0),)


texts = st.builds(
    lambda start, rest: frame(Opcode.TEXT, start + rest),
    st.sampled_from(
        [b"", b"0", b'0{"pingInterval":', b"2", b"4", b"42", b'42["tick",', b'42["tick",{"seq":', b"451-"]
    ),
    st.binary(max_size=30),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(Phase)), st.lists(st.one_of(st.binary(max_size=40), texts), max_size=6))
def test_no_bytes_make_a_session_raise(phase: Phase, chunks: list[bytes]) -> None:
    session = session_in(phase)
    for chunk in chunks:
        over = session.phase == Phase.OVER
        events = session.receive(chunk)
        assert all(isinstance(event, Event) for event in events)
        assert not (over and events)
        assert sum(isinstance(event, Dropped | Broken | Refused | Rejected) for event in events) == (
            not over and session.phase == Phase.OVER
        )
