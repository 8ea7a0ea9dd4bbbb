"""The frame reader and the client's frames, with the `websockets` package as the oracle."""

import sys
import tracemalloc
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, SERVER, Protocol
from websockets.utils import accept_key as oracle_accept_key

from scenarios.clients.protocol.frames import (
    BINARY,
    CLOSE,
    MAX_MESSAGE_BYTES,
    PING,
    PONG,
    TEXT,
    FrameError,
    FrameReader,
    Message,
    accept_key,
    client_frame,
)

moderate = settings(max_examples=150, deadline=None)

# Around the two places where the length field changes its size, and ordinary sizes.
sizes = st.one_of(st.integers(0, 300), st.sampled_from([125, 126, 127, 65_535, 65_536, 70_000]))
payloads = st.one_of(st.binary(max_size=40), sizes.map(bytes))
control = st.builds(Message, st.sampled_from([PING, PONG]), st.binary(max_size=125))


def server_frame(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """One unmasked frame, written by `websockets`."""
    return Frame(Opcode(opcode), payload, fin=final).serialize(mask=False)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[Message]]:
    """A server's bytes, fragmented anyhow with control frames in between, and the messages they carry."""
    written, messages = b"", []
    for _ in range(draw(st.integers(0, 5))):
        opcode, payload = draw(st.sampled_from([TEXT, BINARY])), draw(payloads)
        inner = draw(st.lists(st.integers(0, len(payload)), max_size=3))
        cuts = sorted([0, *inner, len(payload)])
        for number, (start, end) in enumerate(pairwise(cuts)):
            final = number == len(cuts) - 2
            written += server_frame(opcode if number == 0 else 0, payload[start:end], final=final)
            if final:
                messages.append(Message(opcode, payload))
            for message in draw(st.lists(control, max_size=1)):
                written += server_frame(message.opcode, message.payload)
                messages.append(message)
    return written, messages


def chunked(data: bytes, draw: st.DrawFn) -> list[bytes]:
    """`data` cut anywhere."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]


def read(chunks: list[bytes], max_message_bytes: int = 1_000_000) -> tuple[list[Message], bool]:
    """The messages in the chunks, and whether they broke the protocol."""
    reader = FrameReader(max_message_bytes)
    messages: list[Message] = []
    try:
        for chunk in chunks:
            messages.extend(reader.receive(chunk))
    except FrameError:
        return messages, True
    return messages, False


def read_by_websockets(data: bytes, max_size: int) -> tuple[list[Message], bool]:
    """The same, as `websockets` reads it."""
    protocol = Protocol(CLIENT, state=OPEN, max_size=max_size)
    protocol.receive_data(data)
    messages: list[Message] = []
    opcode, fragments = 0, b""
    for frame in protocol.events_received():
        assert isinstance(frame, Frame)
        payload = bytes(frame.data)
        if frame.opcode >= CLOSE:
            messages.append(Message(int(frame.opcode), payload))
            continue
        opcode, fragments = (
            (opcode, fragments + payload) if frame.opcode == 0 else (int(frame.opcode), payload)
        )
        if frame.fin:
            messages.append(Message(opcode, fragments))
    return messages, protocol.parser_exc is not None


@moderate
@given(streams(), st.data())
def test_any_messages_fragmented_and_cut_anyhow_come_out_the_same(
    stream: tuple[bytes, list[Message]], data: st.DataObject
) -> None:
    written, messages = stream
    chunks = data.draw(st.composite(lambda draw: chunked(written, draw))())
    assert read(chunks) == (messages, False)
    assert read_by_websockets(written, 1_000_000) == (messages, False)


raw_frames = st.builds(
    lambda first, second, rest: bytes((first, second)) + rest,
    st.sampled_from([0x01, 0x02, 0x81, 0x82, 0x00, 0x80, 0x89, 0x8A, 0x09, 0x83, 0xC1, 0xA1, 0x91, 0x8B]),
    st.sampled_from([0, 1, 3, 20, 126, 127, 0x83]),
    st.one_of(st.binary(max_size=24), st.just(b"\x00\x05hello"), st.just(bytes(7) + b"\x03abc")),
)


@settings(max_examples=250, deadline=None)
@given(st.lists(raw_frames, max_size=6).map(b"".join))
def test_the_reader_agrees_with_websockets_on_mangled_streams(data: bytes) -> None:
    ours, ours_broke = read([data], max_message_bytes=64)
    assume(CLOSE not in {message.opcode for message in ours})  # After one, websockets stops reading.
    theirs, theirs_broke = read_by_websockets(data, max_size=64)
    if ours_broke:
        # A reader may find a breach in a header whose payload websockets waits for, or does not look at.
        assert theirs[: len(ours)] == ours
    else:
        assert (ours, ours_broke) == (theirs, theirs_broke)


@moderate
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_arbitrary_bytes_raise_a_frame_error_or_nothing(chunks: list[bytes]) -> None:
    whole, parts = read([b"".join(chunks)]), read(chunks)
    assert whole == parts


@moderate
@example(TEXT, bytes(200))
@example(TEXT, bytes(70_000))
@given(st.sampled_from([TEXT, BINARY, PING, PONG, CLOSE]), payloads)
def test_a_client_frame_is_read_back_by_a_websockets_server(opcode: int, payload: bytes) -> None:
    if opcode >= CLOSE:
        payload = payload[:125] if opcode != CLOSE else b"\x03\xe8bye"
    server = Protocol(SERVER, state=OPEN)
    server.receive_data(client_frame(opcode, payload))
    assert server.parser_exc is None
    assert len(client_frame(opcode, payload)) == len(Frame(Opcode(opcode), payload).serialize(mask=True))
    (frame,) = server.events_received()
    assert isinstance(frame, Frame)
    assert (frame.opcode, bytes(frame.data), frame.fin) == (opcode, payload, True)


def test_equal_client_frames_are_equal_bytes() -> None:
    assert client_frame(TEXT, b"40") == client_frame(TEXT, b"40") == b"\x81\x82\0\0\0\x0040"


MALFORMED = {
    "first reserved bit": (b"\xc1\x00", "reserved bit"),
    "second reserved bit": (b"\xa1\x00", "reserved bit"),
    "third reserved bit": (b"\x91\x00", "reserved bit"),
    "unknown data opcode": (b"\x83\x00", "unknown opcode 0x3"),
    "unknown control opcode": (b"\x8f\x00", "unknown opcode 0xf"),
    "masked by a server": (b"\x81\x80\0\0\0\0", "masked frame"),
    "fragmented ping": (b"\x09\x00", "control frame that is fragmented"),
    "long ping": (b"\x89\x7e\x00\x7e", "control frame that is fragmented or too long"),
    "very long close": (b"\x88\x7f", "control frame that is fragmented or too long"),
    "oversize frame": (b"\x81\x7e\x00\x65", "frame of 101 bytes, more than 100"),
    "length beyond any memory": (b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "more than 100"),
    "continuation of nothing": (b"\x80\x00", "continuation of nothing"),
    "message inside a message": (b"\x01\x01a\x81\x01b", "in the middle of a fragmented one"),
    "oversize message in fragments": (
        server_frame(TEXT, bytes(60), final=False) + server_frame(0, bytes(41)),
        "message of more than 100 bytes",
    ),
}


@pytest.mark.parametrize(("data", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_frame_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(FrameError, match=reason):
        list(FrameReader(100).receive(data))


@pytest.mark.parametrize("size", [5, 200, 70_000], ids=["of 2 bytes", "of 4 bytes", "of 10 bytes"])
def test_a_header_cut_anywhere_is_waited_for(size: int) -> None:
    frame = server_frame(BINARY, bytes(size))
    for cut in range(len(frame) - size + 1):
        assert read([frame[:cut], frame[cut:]]) == ([Message(BINARY, bytes(size))], False)


@pytest.mark.parametrize(
    ("size", "joins"),
    [(5, 1), (200, 2), (70_000, 2)],
    ids=["header of 2 bytes", "header of 4 bytes", "header of 10 bytes"],
)
def test_a_frame_that_comes_byte_by_byte_is_joined_for_its_header_and_once_more(
    size: int, joins: int
) -> None:
    stream = server_frame(BINARY, bytes(size)) + b"\x89"
    chunks = [stream[place : place + 1] for place in range(len(stream))]
    counted = 0

    def count(_frame: FrameType, event: str, called: Any) -> None:
        nonlocal counted
        counted += event == "c_call" and called.__name__ == "join"

    reader = FrameReader()
    sys.setprofile(count)
    try:
        messages = [message for chunk in chunks for message in reader.receive(chunk)]
    finally:
        sys.setprofile(None)
    assert messages == [Message(BINARY, bytes(size))]
    assert not reader.between_messages
    assert counted == 1 + joins


def test_a_large_message_that_comes_in_many_pieces_is_read() -> None:
    payload = bytes(range(256)) * 20_000
    stream = server_frame(TEXT, b"a") + server_frame(BINARY, payload) + server_frame(TEXT, b"b")
    chunks = [stream[place : place + 4_096] for place in range(0, len(stream), 4_096)]
    assert read(chunks, MAX_MESSAGE_BYTES) == (
        [Message(TEXT, b"a"), Message(BINARY, payload), Message(TEXT, b"b")],
        False,
    )


@pytest.mark.parametrize("cut", [1, 2], ids=["each cut in two", "each whole"])
def test_empty_fragments_without_end_take_no_memory_and_the_message_can_still_end(cut: int) -> None:
    reader = FrameReader(100)
    assert list(reader.receive(server_frame(TEXT, b"a", final=False))) == []
    empty = server_frame(0, b"", final=False)
    tracemalloc.start()
    try:
        for _ in range(5_000):
            for piece in (empty[:cut], empty[cut:]):
                assert list(reader.receive(piece)) == []
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 10_000
    assert list(reader.receive(server_frame(PING, b"") + server_frame(0, b"b"))) == [
        Message(PING, b""),
        Message(TEXT, b"ab"),
    ]
    assert reader.between_messages


@pytest.mark.parametrize("size", [MAX_MESSAGE_BYTES + 1, 2**63, 2**64 - 1])
def test_a_frame_above_the_limit_is_refused_by_its_header_alone(size: int) -> None:
    with pytest.raises(FrameError, match=f"frame of {size} bytes, more than 16000000"):
        list(FrameReader().receive(b"\x82\x7f" + size.to_bytes(8, "big")))


def test_a_frame_of_the_limit_is_waited_for() -> None:
    reader = FrameReader()
    assert list(reader.receive(b"\x82\x7f" + MAX_MESSAGE_BYTES.to_bytes(8, "big"))) == []
    assert not reader.between_messages


def test_messages_before_a_breach_are_handed_out_first() -> None:
    assert read([server_frame(TEXT, b"good") + b"\xff\xff"]) == ([Message(TEXT, b"good")], True)


def test_a_message_of_exactly_the_limit_is_read() -> None:
    whole = server_frame(BINARY, bytes(100))
    parts = server_frame(BINARY, bytes(60), final=False) + server_frame(0, bytes(40))
    assert read([whole + parts], max_message_bytes=100) == ([Message(BINARY, bytes(100))] * 2, False)


@pytest.mark.parametrize(
    ("data", "between"),
    [
        (b"", True),
        (server_frame(TEXT, b"a"), True),
        (server_frame(TEXT, b"a")[:1], False),
        (server_frame(TEXT, b"a", final=False), False),
        (server_frame(TEXT, b"a", final=False) + server_frame(PING, b""), False),
    ],
    ids=["nothing", "a whole message", "half a header", "a first fragment", "a ping between fragments"],
)
def test_the_reader_knows_whether_it_is_between_messages(data: bytes, between: bool) -> None:
    reader = FrameReader()
    list(reader.receive(data))
    assert reader.between_messages is between


@moderate
@given(st.binary(min_size=16, max_size=24))
def test_the_accept_key_is_that_of_websockets(key: bytes) -> None:
    text = key.hex()
    assert accept_key(text.encode()).decode() == oracle_accept_key(text)
