"""A session against the bytes that python-engineio, python-socketio and `websockets` really write."""

import json
from typing import Any

import pytest
from engineio import packet as engineio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from socketio import packet as socketio
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import SERVER, Protocol, State

from gateway_stub.feed_schedule import FeedSchedule
from scenarios.clients.protocol.packets import (
    Broken,
    Conversation,
    Dropped,
    Event,
    Joined,
    Opened,
    Other,
    Phase,
    Pinged,
    Refused,
    Rejected,
    Said,
    Subscription,
)
from scenarios.clients.protocol.schedule import ObservedSchedule, SharedSchedule
from scenarios.clients.protocol.session import MAX_HEAD_BYTES, Session, Upgrade
from scenarios.clients.protocol.ticks import UNNUMBERED, Tick, TickReader
from scenarios.scenario.model import Feed
from tests.support.server_bytes import (
    HANDSHAKE,
    HEAD,
    JOIN,
    OPEN,
    UPGRADE,
    engine,
    frame,
    socket,
    subscription,
    switching,
    tick,
    tick_content,
    ticked,
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


def session_in(phase: Phase, shared: Subscription | None = None) -> Session:
    """A session that has just got there and has nothing to send."""
    session = Session(UPGRADE.request, shared or subscription())
    if BEFORE[phase]:
        session.receive(BEFORE[phase])
    session.take_to_send()
    assert session.phase == phase
    return session


def joined_in(namespace: str, event: str = "tick") -> Session:
    """A session that has just joined that namespace."""
    session = session_in(Phase.JOINING, subscription(event, namespace))
    assert session.receive(socket(socketio.CONNECT, {"sid": "b"}, namespace)) == (Joined(),)
    return session


def sent(session: Session) -> list[tuple[Opcode, bytes]]:
    """What a `websockets` server reads from the session's bytes."""
    server = Protocol(SERVER, state=State.OPEN)
    server.receive_data(session.take_to_send())
    frames = [event for event in server.events_received() if isinstance(event, Frame)]
    return [(frame.opcode, bytes(frame.data)) for frame in frames]


# -- the way in -------------------------------------------------------------------------------------


def test_a_session_goes_from_the_upgrade_to_its_first_ticks() -> None:
    session = Session(UPGRADE.request, subscription())
    assert session.take_to_send() == UPGRADE.request
    assert (session.receive(HEAD), session.phase) == ((), Phase.OPENING)
    assert session.take_to_send() == b""
    assert (session.receive(OPEN), session.phase) == ((Opened(25.0, 20.0),), Phase.JOINING)
    assert sent(session) == [(Opcode.TEXT, b"40")]
    assert (session.receive(JOIN), session.phase) == ((Joined(),), Phase.JOINED)
    assert session.receive(tick(0) + tick(1)) == (ticked(0), ticked(1))
    assert session.take_to_send() == b""


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/socket.io/", b"/socket.io/?EIO=4&transport=websocket"),
        ("/ws/?room=a", b"/ws/?room=a&EIO=4&transport=websocket"),
    ],
    ids=["path", "path with a query"],
)
def test_the_upgrade_request_asks_for_engine_io_over_websocket_and_carries_headers(
    path: str, target: bytes
) -> None:
    upgrade = Upgrade("h:1", path, {"X-Forwarded-For": "127.10.10.1"})
    assert upgrade.request.startswith(b"GET " + target + b" HTTP/1.1\r\nHost: h:1\r\n")
    assert b"\r\nX-Forwarded-For: 127.10.10.1\r\n" in upgrade.request
    assert upgrade.request.endswith(b"\r\n\r\n")
    assert switching(upgrade.request) == HEAD


def test_a_clients_own_header_takes_the_place_of_everybodys() -> None:
    upgrade = Upgrade("h:1", "/", {"X-Forwarded-For": "everybody", "Cookie": "a=b"})
    own = upgrade.upgrade("sid-1", {"X-Forwarded-For": "127.10.10.1"})
    assert own.startswith(b"GET /?EIO=4&transport=websocket&sid=sid-1 HTTP/1.1\r\n")
    assert own.count(b"X-Forwarded-For: ") == own.count(b"X-Forwarded-For: 127.10.10.1\r\n") == 1
    assert b"\r\nCookie: a=b\r\n" in own


@pytest.mark.parametrize("name", ["Host", "host"])
def test_a_targets_own_host_header_takes_the_place_of_the_urls(name: str) -> None:
    request = Upgrade("127.0.0.1:8000", "/", {name: "gateway"}).request
    assert request.lower().count(b"\r\nhost: ") == request.lower().count(b"\r\nhost: gateway\r\n") == 1
    assert switching(request) == HEAD


@pytest.mark.parametrize("namespace", ["/", "/feed", "/a-1/b"])
@pytest.mark.parametrize("auth", [None, {}, {"token": 'ß"\n'}], ids=["no auth", "empty auth", "auth"])
def test_the_join_is_one_that_python_socketio_understands(namespace: str, auth: Any) -> None:
    session = session_in(Phase.OPENING, subscription(namespace=namespace, auth=auth))
    session.receive(OPEN)
    ((_, payload),) = sent(session)
    packet = socketio.Packet(encoded_packet=engineio.Packet(encoded_packet=payload.decode()).data)
    assert (packet.packet_type, packet.namespace or "/", packet.data) == (socketio.CONNECT, namespace, auth)


@pytest.mark.parametrize("namespace", ["/feed", "/a-1/b", "/größe"])
def test_a_session_hears_its_own_namespace_and_no_other(namespace: str) -> None:
    session = session_in(Phase.JOINING, subscription(namespace=namespace))
    assert session.receive(JOIN) == (Other(),)
    session = joined_in(namespace)
    tick_of = {
        name: socket(socketio.EVENT, ["tick", tick_content(seq)], name)
        for seq, name in enumerate([namespace, namespace + "?token=a", "/", namespace + "2"])
    }
    assert [session.receive(data) for data in tick_of.values()] == [
        (ticked(0),),
        (ticked(1),),
        (Other(),),
        (Other(),),
    ]
    assert session.receive(socket(socketio.DISCONNECT)) == (Other(),)
    assert session.receive(socket(socketio.CONNECT_ERROR, "no")) == (Other(),)
    assert session.receive(socket(socketio.DISCONNECT, None, namespace)) == (Dropped(),)


def test_the_query_of_a_namespace_goes_with_the_join_and_is_no_part_of_its_name() -> None:
    session = session_in(Phase.OPENING, subscription(namespace="/feed?token=a"))
    session.receive(OPEN)
    ((_, payload),) = sent(session)
    join = socketio.Packet(encoded_packet=engineio.Packet(encoded_packet=payload.decode()).data)
    assert payload == b"40/feed?token=a,"
    assert session.receive(socket(socketio.CONNECT, {"sid": "b"}, join.namespace)) == (Joined(),)
    assert session.receive(socket(socketio.EVENT, ["tick", tick_content(1)], "/feed")) == (ticked(1),)


# -- splitting --------------------------------------------------------------------------------------

CONVERSATION = (
    BEFORE[Phase.JOINED]
    + socket(socketio.EVENT, ["snapshot", "s" * 130])
    + tick(3)
    + frame(Opcode.TEXT, tick(4)[2:30], final=False)
    + frame(Opcode.PING, b"ws")
    + frame(Opcode.CONT, b"", final=False)
    + frame(Opcode.CONT, tick(4)[30:])
    + socket(socketio.EVENT, ["image", b"\0\1", b"\2"])
    + engine(engineio.PING)
    + engine(engineio.NOOP)
    + tick(5)
)
EVENTS = [Opened(25.0, 20.0), Joined(), Other(), ticked(3), ticked(4), Other(), Pinged()]

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
    "breach among attachments": (
        socket(socketio.EVENT, ["image", b"\0"])[:-3] + tick(6),
        (Broken('Socket.IO packet b\'42["tick",{"seq"\' instead of an attachment'),),
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
        session = Session(UPGRADE.request, subscription())
        events = [event for chunk in chunks for event in session.receive(chunk)]
        assert events == [*EVENTS, ticked(5), *last]
        answers.add(session.take_to_send())
    assert len(answers) == 1


# -- the shared table -------------------------------------------------------------------------------

PING = engine(engineio.PING)
IMAGE = socket(socketio.EVENT, ["image", b"\0"])
HARMLESS = [
    *(tick(1), tick(1) + tick(2), tick(2), PING, tick(1) + PING, JOIN),
    *(frame(Opcode.PING, b"x"), frame(Opcode.PONG, b""), IMAGE, frame(Opcode.BINARY, b"\0")),
]
# Each half is followed by whatever comes next, which makes a message, waits for more or breaks.
HALVES = [
    tick(1)[:20],
    tick(1)[20:],
    tick(2)[:-1],
    tick(2)[-1:],
    frame(Opcode.TEXT, b"42", final=False),
    b"\x81",
    IMAGE[:-3],
    tick(1) + IMAGE[:-3],
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
    shared = subscription()
    sharing = [session_in(phase, shared) for phase in phases]
    own = [subscription() for _ in phases]
    alone = [session_in(phase, table) for phase, table in zip(phases, own, strict=True)]
    for who, chunk in steps:
        index = who % len(phases)
        own[index].chunks.clear()
        assert sharing[index].receive(chunk) == alone[index].receive(chunk)
        assert sharing[index].to_send == alone[index].to_send
        assert sharing[index].phase == alone[index].phase


@pytest.mark.parametrize(
    ("phase", "chunks"),
    [
        (Phase.JOINING, [tick(1)]),
        (Phase.JOINED, [tick(1)[:-1], tick(1)[-1:]]),
        (Phase.JOINED, [tick(1)[:-1], tick(1)[-1:] + tick(2)]),
        (Phase.JOINED, [tick(1) + PING]),
        (Phase.JOINED, [tick(1) + IMAGE[:-3]]),
        (Phase.JOINED, [IMAGE[:-3], IMAGE[-3:]]),
    ],
    ids=[
        "what comes before the join",
        "the end of a message",
        "the end of a message and another",
        "what asks for an answer",
        "what waits for an attachment",
        "an attachment",
    ],
)
def test_what_is_one_sessions_own_is_not_remembered(phase: Phase, chunks: list[bytes]) -> None:
    shared = subscription()
    session = session_in(phase, shared)
    session.receive(tick(0))
    shared.chunks.clear()
    for chunk in chunks:
        session.receive(chunk)
    assert not shared.chunks


@pytest.mark.parametrize(
    ("chunk", "events"),
    [
        (tick(1), (ticked(1),)),
        (tick(1) + tick(2), (ticked(1), ticked(2))),
        (tick(1) + IMAGE, (ticked(1), Other())),
        (socket(socketio.EVENT, ["tick", tick_content(1)], ack=7), (ticked(1),)),
    ],
    ids=["a tick", "two ticks", "a tick and a binary event", "a tick that asks for an acknowledgement"],
)
def test_a_whole_chunk_is_remembered_for_the_next_session(chunk: bytes, events: tuple[Event, ...]) -> None:
    shared = subscription()
    assert session_in(Phase.JOINED, shared).receive(chunk) == events
    assert shared.chunks == {chunk: events}
    assert session_in(Phase.JOINED, shared).receive(chunk) is shared.chunks[chunk]


def test_nothing_is_remembered_of_a_feed_whose_ticks_have_neither_number_nor_time() -> None:
    shared = Subscription(
        TickReader(Feed(due_field="", seq_field=""), SharedSchedule(FeedSchedule.of(0, 5.0)))
    )
    assert session_in(Phase.JOINED, shared).receive(tick(1), 60) == (Tick(UNNUMBERED, 60),)
    assert session_in(Phase.JOINED, shared).receive(tick(1), 70) == (Tick(UNNUMBERED, 60),)
    # The same content much later is another tick, which a table could not tell.
    assert session_in(Phase.JOINED, shared).receive(tick(1), 10**12) == (Tick(UNNUMBERED, 10**12),)
    assert not shared.chunks


def test_the_table_stays_small() -> None:
    shared = subscription()
    session = session_in(Phase.JOINED, shared)
    session.receive(tick(1, padding="x" * 70_000))
    assert not shared.chunks
    for seq in range(600):
        assert session.receive(tick(seq)) == (ticked(seq),)
    assert 0 < len(shared.chunks) <= 256


# -- ticks and other messages -----------------------------------------------------------------------

names = st.text(min_size=1, max_size=12)
namespaces = st.sampled_from(["/", "/feed", "/a-1/b"])
acks = st.none() | st.integers(0, 10**9)
contents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@moderate
@given(names, namespaces, acks, st.integers(0, 2**59), st.text(max_size=300))
def test_a_tick_is_read_whatever_its_name_and_ack_id_and_however_its_letters_are_escaped(
    name: str, namespace: str, ack: int | None, seq: int, padding: str
) -> None:
    content = [name, {"pad": padding, "seq": seq, "due_ns": 10 * seq}]
    start = socketio.Packet(socketio.EVENT, None, namespace, ack).encode()
    unescaped = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    for data in (
        socket(socketio.EVENT, content, namespace, ack),
        frame(Opcode.TEXT, f"4{start}{unescaped}".encode()),  # As a JS server writes it.
    ):
        assert joined_in(namespace, name).receive(data) == (ticked(seq),)


@moderate
@given(names.filter(lambda name: name != "tick"), st.lists(contents, max_size=3), namespaces, acks)
def test_any_other_event_or_acknowledgement_is_other(
    name: str, arguments: list[Any], namespace: str, ack: int | None
) -> None:
    session = joined_in(namespace)
    assert session.receive(socket(socketio.EVENT, [name, *arguments], namespace, ack)) == (Other(),)
    assert session.receive(socket(socketio.ACK, arguments, namespace, ack)) == (Other(),)


parts = st.lists(st.binary(max_size=20), min_size=1, max_size=3)


@moderate
@given(st.sampled_from([socketio.EVENT, socketio.ACK]), parts, namespaces, acks)
def test_a_binary_message_has_arrived_with_its_last_attachment(
    kind: int, attachments: list[bytes], namespace: str, ack: int | None
) -> None:
    packet = socketio.Packet(kind, ["image", *attachments], namespace, ack, binary=True)
    pieces = [engine(engineio.MESSAGE, part) for part in packet.encode()]
    session = joined_in(namespace)
    events = [session.receive(piece) for piece in pieces]
    assert events == [*[()] * len(attachments), (Other(),)]
    assert joined_in(namespace).receive(b"".join(pieces)) == (Other(),)


@moderate
@given(parts, namespaces, acks, st.integers(0, 2**59))
def test_a_tick_with_attachments_is_a_tick(
    attachments: list[bytes], namespace: str, ack: int | None, seq: int
) -> None:
    content = ["tick", {"seq": seq, "due_ns": 10 * seq, "image": attachments}]
    pieces = [
        engine(engineio.MESSAGE, part)
        for part in socketio.Packet(socketio.EVENT, content, namespace, ack).encode()
    ]
    session = joined_in(namespace)
    between = PING + frame(Opcode.PING, b"x")
    for piece in pieces[:-1]:
        assert session.receive(piece + between) == (Pinged(),)
    assert session.receive(pieces[-1] + tick(1)) == (
        (ticked(seq), ticked(1) if namespace == "/" else Other())
    )


@pytest.mark.parametrize("phase", [Phase.OPENING, Phase.JOINING, Phase.JOINED], ids=lambda phase: phase.name)
def test_a_binary_message_that_nothing_announced_is_other(phase: Phase) -> None:
    assert session_in(phase).receive(frame(Opcode.BINARY, b"\0")) == (Other(),)


SEQ = '{"seq":%s,"due_ns":2}'
TEXTS: dict[str, tuple[Phase, str | bytes, tuple[Event, ...] | str]] = {
    "another event": (Phase.JOINED, '42["snapshot","x"]', (Other(),)),
    "tick without content": (Phase.JOINED, '42["tick"]', (Other(),)),
    "longer name": (Phase.JOINED, '42["ticker",{}]', (Other(),)),
    "second join": (Phase.JOINED, '40{"sid":"b"}', (Other(),)),
    "noop": (Phase.JOINED, "6", ()),
    "pong": (Phase.JOINED, "3probe", ()),
    "server leaves the namespace": (Phase.JOINED, "41", (Dropped(),)),
    "server closes": (Phase.JOINED, "1", (Dropped(),)),
    "server closes before the open": (Phase.OPENING, "1", (Dropped(),)),
    "namespace refused late": (Phase.JOINED, '44{"message":"no"}', (Rejected(),)),
    "binary event without attachments": (Phase.JOINED, f'450-["tick",{SEQ % 1}]', (Tick(1, 2),)),
    "more attachments than a number holds": (Phase.JOINED, f'45{"9" * 20}-["tick",{SEQ % 1}]', (Other(),)),
    "namespace without an end": (Phase.JOINED, f'42/["tick" {SEQ % 1}]', (Other(),)),
    "tick with a null": (Phase.JOINED, '42["tick",{"seq":null,"due_ns":2}]', (Tick(UNNUMBERED, 2),)),
    "tick cut off": (Phase.JOINED, f'42["tick",{SEQ % 1}', "tick: "),
    "tick in another encoding": (
        Phase.JOINED,
        b'42["tick",{"seq":1,"due_ns":2,"a":"\xfc"}]',
        "tick: ",
    ),
    "tick with half a surrogate pair": (Phase.JOINED, '42["tick",{"due_ns":2,"a":"\\ud800"}]', "tick: "),
    "number that is text": (
        Phase.JOINED,
        '42["tick",{"seq":"1","due_ns":2}]',
        "tick: no whole number at 0.seq",
    ),
    "negative number": (Phase.JOINED, f'42["tick",{SEQ % -1}]', "tick: "),
    "number beyond 64 bits": (Phase.JOINED, f'42["tick",{SEQ % 2**63}]', "tick: "),
    "time beyond 64 bits": (Phase.JOINED, f'42["tick",{{"seq":1,"due_ns":{2**63}}}]', "tick: "),
    "time that is a table": (Phase.JOINED, '42["tick",{"seq":1,"due_ns":{}}]', "tick: no number at 0.due_ns"),
    "nested without end": (Phase.JOINED, '42["tick",{"a":' + "[" * 50_000, "tick: "),
    "empty text": (Phase.JOINED, "", "unexpected Engine.IO packet"),
    "engine upgrade": (Phase.JOINED, "5", "unexpected Engine.IO packet"),
    "plain text": (Phase.JOINED, "hello", "unexpected Engine.IO packet"),
    "second open": (Phase.JOINED, "0{}", "unexpected Engine.IO packet"),
    "no packet type": (Phase.JOINED, "4", "unexpected Socket.IO packet"),
    "unknown packet type": (Phase.JOINED, "47[]", "unexpected Socket.IO packet"),
    "namespace refused": (Phase.JOINING, '44{"message":"no"}', (Rejected(),)),
    "namespace left before it was joined": (Phase.JOINING, "41", (Dropped(),)),
    "event before the join": (Phase.JOINING, '42["tick",5]', (Other(),)),
    "join before the open": (Phase.OPENING, "40", "unexpected Socket.IO packet"),
    "ping before the open": (Phase.OPENING, "2", "unexpected Engine.IO packet"),
    "open without content": (Phase.OPENING, "0", "Engine.IO open: "),
    "open without session": (Phase.OPENING, '0{"pingTimeout":1,"pingInterval":1}', "Engine.IO open: "),
    "open without time-out": (Phase.OPENING, '0{"sid":"a","pingInterval":1}', "Engine.IO open: "),
    "open in another encoding": (
        Phase.OPENING,
        b'0{"sid":"\xfc","pingTimeout":1,"pingInterval":1}',
        "Engine.IO open: ",
    ),
    "endless ping interval": (
        Phase.OPENING,
        '0{"sid":"a","pingTimeout":1,"pingInterval":' + "9" * 99 + "}",
        "Engine.IO open: ",
    ),
    "negative ping interval": (
        Phase.OPENING,
        '0{"sid":"a","pingTimeout":1,"pingInterval":-1}',
        "Engine.IO open: ",
    ),
    "open nested without end": (Phase.OPENING, '0{"a":' + "[" * 50_000, "Engine.IO open: "),
}


@pytest.mark.parametrize(("phase", "text", "expected"), TEXTS.values(), ids=TEXTS)
def test_a_text_message_means(phase: Phase, text: str | bytes, expected: tuple[Event, ...] | str) -> None:
    session = session_in(phase)
    events = session.receive(frame(Opcode.TEXT, text.encode() if isinstance(text, str) else text))
    if isinstance(expected, str):
        (broken,) = events
        assert isinstance(broken, Broken)
        assert broken.reason.startswith(expected)
    else:
        assert events == expected
    ended = isinstance(expected, str) or any(isinstance(event, Dropped | Rejected) for event in events)
    assert (session.phase == Phase.OVER) is ended


TICK = b'42["tick",{"seq":1,"due_ns":2,"pad":"%s"}]'
FILLED = TICK % (b"x" * (127 - len(TICK) + 2))
LOOK_ALIKES = {
    "length of 64 bits": (b"\x81\x7f" + FILLED, "frame of "),
    "mask": (b"\x81\x81" + TICK % (b"x" * (129 - len(TICK) + 2)), "masked frame from a server"),
}


@pytest.mark.parametrize(("data", "reason"), LOOK_ALIKES.values(), ids=LOOK_ALIKES)
def test_a_frame_that_only_looks_like_a_tick_breaks_the_protocol(data: bytes, reason: str) -> None:
    (broken,) = session_in(Phase.JOINED).receive(data)
    assert isinstance(broken, Broken)
    assert broken.reason.startswith(reason)


# -- signs of life, and the end ---------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.JOINING, Phase.JOINED], ids=lambda phase: phase.name)
def test_every_engine_io_ping_gets_its_pong_and_is_told(phase: Phase) -> None:
    session = session_in(phase)
    assert session.receive(PING) == (Pinged(),)
    assert sent(session) == [(Opcode.TEXT, b"3")]
    assert session.receive(engine(engineio.PING, "probe")) == (Pinged(),)
    assert sent(session) == [(Opcode.TEXT, b"3probe")]


@pytest.mark.parametrize("phase", [Phase.OPENING, Phase.JOINING, Phase.JOINED], ids=lambda phase: phase.name)
def test_every_websocket_ping_gets_its_pong_and_is_no_event(phase: Phase) -> None:
    session = session_in(phase)
    assert session.receive(frame(Opcode.PING, b"are you there")) == ()
    assert sent(session) == [(Opcode.PONG, b"are you there")]
    assert session.receive(frame(Opcode.PONG, b"")) == ()
    assert session.take_to_send() == b""


def test_empty_fragments_without_end_keep_nobody_from_answering_pings() -> None:
    session = session_in(Phase.JOINED)
    assert session.receive(frame(Opcode.TEXT, b"", final=False)) == ()
    for _ in range(1_000):
        assert session.receive(frame(Opcode.CONT, b"", final=False)) == ()
    assert session.receive(frame(Opcode.PING, b"")) == ()
    assert sent(session) == [(Opcode.PONG, b"")]
    assert session.receive(frame(Opcode.CONT, tick(1)[2:])) == (ticked(1),)


@pytest.mark.parametrize("phase", LIVE, ids=lambda phase: phase.name)
def test_a_connection_closed_at_any_stage_is_a_drop_and_nothing_comes_after(phase: Phase) -> None:
    session = session_in(phase)
    assert session.receive(b"") == (Dropped(),)
    assert [session.receive(data) for data in (b"", tick(1), b"\xff\xff")] == [()] * 3
    assert session.closing() == b""


@pytest.mark.parametrize("cut", [1, 9, -1], ids=["in its header", "in its payload", "in its last byte"])
def test_a_connection_closed_in_the_middle_of_a_frame_is_a_drop(cut: int) -> None:
    session = session_in(Phase.JOINED)
    assert (session.receive(tick(1)[:cut]), session.receive(b"")) == ((), (Dropped(),))


@pytest.mark.parametrize("phase", LIVE, ids=lambda phase: phase.name)
def test_a_client_that_leaves_says_so_once_the_upgrade_is_through(phase: Phase) -> None:
    session = session_in(phase)
    session.to_send = session.closing()
    assert sent(session) == ([] if phase == Phase.UPGRADING else [(Opcode.CLOSE, b"\x03\xe8")])
    assert session.receive(tick(1)) == ()


# -- what is said with the end ---------------------------------------------------------------------

SAID: dict[str, tuple[bytes, Said]] = {
    "nothing": (b"", Said()),
    "an Engine.IO close": (engine(engineio.CLOSE), Said()),
    "a DISCONNECT": (socket(socketio.DISCONNECT), Said(namespace=True)),
    "a CONNECT_ERROR": (socket(socketio.CONNECT_ERROR, {"message": "no"}), Said(reason="no")),
    "a CONNECT_ERROR with more": (
        frame(Opcode.TEXT, b'44{"message":"no","data":{"code":7}}'),
        Said(reason="no"),
    ),
    "a CONNECT_ERROR of text": (socket(socketio.CONNECT_ERROR, "no"), Said(reason="no")),
    "a CONNECT_ERROR without a message": (frame(Opcode.TEXT, b"44{}"), Said()),
    "a CONNECT_ERROR with a number": (frame(Opcode.TEXT, b'44{"message":7}'), Said()),
    "a CONNECT_ERROR without content": (frame(Opcode.TEXT, b"44"), Said()),
    "a CONNECT_ERROR nested without end": (frame(Opcode.TEXT, b'44{"a":' + b"[" * 50_000), Said()),
    "a Close frame": (frame(Opcode.CLOSE, b"\x03\xf5later"), Said(close_code=1013, reason="later")),
    "a Close frame without a code": (frame(Opcode.CLOSE, b""), Said(close_code=1005)),
    "a Close frame in another encoding": (
        frame(Opcode.CLOSE, b"\x0f\xa0\xfc"),
        Said(close_code=4000, reason="\N{REPLACEMENT CHARACTER}"),
    ),
}


@pytest.mark.parametrize(("ending", "said"), SAID.values(), ids=SAID)
def test_a_session_keeps_what_the_server_said_with_its_end(ending: bytes, said: Said) -> None:
    session = Session(UPGRADE.request, subscription())
    session.receive(HEAD + OPEN + JOIN)
    assert session.said == Said()
    session.receive(ending)
    assert session.said == said


@pytest.mark.parametrize(("header", "said"), [("Retry-After: 7\r\n", 7.0), ("", None)], ids=["one", "none"])
def test_a_refusal_may_say_when_to_come_back(header: str, said: float | None) -> None:
    session = session_in(Phase.UPGRADING)
    session.receive(f"HTTP/1.1 503 No\r\n{header}Content-Length: 0\r\n\r\n".encode())
    assert session.said == Said(retry_after_s=said)


# -- answers to the upgrade -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503, 502, 400, 403, 302, 200])
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


def test_an_endless_head_is_given_up_at_its_limit_however_it_comes() -> None:
    session = session_in(Phase.UPGRADING)
    assert session.receive(HEAD[:-2]) == ()
    for _ in range(MAX_HEAD_BYTES - len(HEAD[:-2])):
        assert session.receive(b"x") == ()
    assert session.receive(b"x") == (Broken("HTTP response head without an end"),)


def test_header_names_and_blanks_do_not_matter() -> None:
    head = HEAD.replace(b"Sec-WebSocket-Accept: ", b"SEC-WEBSOCKET-ACCEPT:\t ")
    assert session_in(Phase.UPGRADING).receive(head + OPEN) == (Opened(25.0, 20.0),)


# -- anything at all --------------------------------------------------------------------------------

texts = st.builds(
    lambda start, rest: frame(Opcode.TEXT, start + rest),
    st.sampled_from(
        [
            *(b"", b"0", b'0{"pingInterval":', b"2", b"4", b"40", b"42", b"451-", b"461-", b"45"),
            *(b'42["tick",', b'42["tick",{"seq":', b'42["tick",{"seq":1,"due_ns":', b'451-["tick",'),
            *(b"0" + json.dumps(HANDSHAKE).encode()[:-1] + b',"a":"', b'42["tick",{"seq":1,"due_ns":"'),
        ]
    ),
    st.binary(max_size=30) | st.sampled_from([b"[]}]", b"1e300}]", b'"}]', b'-"}]', b'\xfc"}', b'\xfc"}]']),
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(list(Phase)),
    st.lists(
        st.one_of(
            st.binary(max_size=40), texts, st.binary(max_size=9).map(lambda b: frame(Opcode.BINARY, b))
        ),
        max_size=6,
    ),
)
@example(Phase.JOINED, [frame(Opcode.TEXT, b'42["tick","\xfc"]')])
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


def test_a_conversation_needs_a_transport() -> None:
    with pytest.raises(NotImplementedError):
        Conversation(subscription())._send_packet(b"3")


@pytest.mark.parametrize("together", [1, 2], ids=["one by one", "two in a chunk"])
def test_a_feed_of_numbers_alone_that_starts_over_is_due_anew(together: int) -> None:
    shared = Subscription(TickReader(Feed(due_field=""), ObservedSchedule()))
    sessions = [Session(UPGRADE.request, shared) for _ in range(3)]
    for session in sessions:
        session.receive(HEAD + OPEN + JOIN)
    numbers = range(0, 20, together)

    def due(begin_ns: int) -> list[int]:
        """By which times the ticks of one feed are due that begins then, as all sessions see it."""
        found = []
        for number in numbers:
            chunk = b"".join(tick(seq) for seq in range(number, number + together))
            for late_ns, session in enumerate(sessions):
                events = session.receive(chunk, begin_ns + number * 200_000_000 + late_ns)
                found += [event.due_ns - begin_ns for event in events if isinstance(event, Tick)]
        return found

    first = due(10**9)
    assert len(first) == 60
    assert first == due(600 * 10**9) == due(1200 * 10**9)


ANSWERED: dict[str, tuple[bytes, bytes]] = {
    "normally": (b"\x03\xe8", b"\x03\xe8"),
    "with a reason": (b"\x03\xe9going away", b"\x03\xe9"),
    "with a code of its own": (b"\x0f\xa0", b"\x0f\xa0"),
    "without a code": (b"", b""),
    "with half a code": (b"\x03", b"\x03\xea"),
    "with a code that no frame may have": (b"\x03\xee", b"\x03\xea"),
    "with a code that nobody knows": (b"\0\1", b"\x03\xea"),
}


@pytest.mark.parametrize(("said", "answer"), ANSWERED.values(), ids=ANSWERED)
@pytest.mark.parametrize("before", [b"", tick(1)], ids=["alone", "after a tick"])
def test_a_close_frame_is_answered_with_one(before: bytes, said: bytes, answer: bytes) -> None:
    session = Session(UPGRADE.request, subscription())
    session.receive(HEAD + OPEN + JOIN)
    session.take_to_send()
    events = session.receive(before + frame(Opcode.CLOSE, said) + tick(2))
    assert events[-1] == Dropped()
    server = Protocol(SERVER, state=State.OPEN)
    server.receive_data(session.take_to_send())
    (sent,) = server.events_received()
    assert isinstance(sent, Frame)
    assert (sent.opcode, bytes(sent.data)) == (Opcode.CLOSE, answer)
    assert (session.receive(frame(Opcode.CLOSE, b"")), session.take_to_send()) == ((), b"")


@pytest.mark.parametrize(
    "ending", [socket(socketio.DISCONNECT), engine(engineio.CLOSE)], ids=["Socket.IO", "Engine.IO"]
)
def test_a_packet_that_ends_a_session_leaves_it_to_the_client_to_close_the_websocket(ending: bytes) -> None:
    session = Session(UPGRADE.request, subscription())
    session.receive(HEAD + OPEN + JOIN)
    assert session.last_words == b""
    assert session.receive(ending) == (Dropped(),)
    server = Protocol(SERVER, state=State.OPEN)
    server.receive_data(session.last_words)
    assert server.close_rcvd == Close(1000, "")


def test_a_connection_that_is_just_closed_is_told_nothing() -> None:
    session = Session(UPGRADE.request, subscription())
    session.receive(HEAD + OPEN + JOIN)
    session.take_to_send()
    assert session.receive(b"") == (Dropped(),)
    assert (session.take_to_send(), session.last_words) == (b"", b"")
