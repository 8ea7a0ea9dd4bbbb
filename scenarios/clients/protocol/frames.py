"""WebSocket frames, sans-I/O: cuts a server's byte stream into messages, and builds a client's frames.

Only what a client of a trusted gateway needs: no extensions, so a reserved bit is an error.
Source of the format: RFC 6455, section 5.
"""

import base64
import hashlib
import struct
from collections.abc import Iterator

from msgspec import Struct

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_CONTINUATION = 0x0
_KNOWN = frozenset((_CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

MAX_MESSAGE_BYTES = 16_000_000


class FrameError(Exception):
    """The server sent bytes that are no frames, or too large a message."""


class Message(Struct, frozen=True):
    """A whole message: its opcode (fragments carry that of the first one) and its payload."""

    opcode: int
    payload: bytes


class FrameReader:
    """Collects bytes and hands out whole messages; keeps what is not complete yet.

    Raises FrameError, after which the stream cannot be used any more.
    """

    __slots__ = (
        "_fragment_bytes",
        "_fragment_opcode",
        "_fragments",
        "_have",
        "_max_bytes",
        "_need",
        "_partial",
    )

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        # Pieces are joined once there are enough of them for a frame: a peer that sends byte by byte must
        # not make us copy what has come so far each time.
        self._partial: list[bytes] = []
        self._have = 0
        self._need = 0
        self._fragments: list[bytes] | None = None
        self._fragment_opcode = 0
        self._fragment_bytes = 0
        self._max_bytes = max_message_bytes

    @property
    def between_messages(self) -> bool:
        """Whether nothing is left over, so that the next byte begins a message."""
        return not self._partial and self._fragments is None

    def receive(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes, in order; those before a breach come before the error.

        Exhaust it before the next call.
        """
        if self._partial:
            self._partial.append(data)
            self._have += len(data)
            if self._have < self._need:
                return
            data = b"".join(self._partial)
            self._partial = []
        position = 0
        while (frame := self._next_frame(data, position)) is not None:
            first_byte, payload, position = frame
            message = self._accept(first_byte, payload)
            if message is not None:
                yield message
        self._have = len(data) - position
        if self._have:
            self._partial = [data[position:]]

    def _next_frame(self, buffer: bytes, start: int) -> tuple[int, bytes, int] | None:
        """(first byte, payload, end), or None where bytes are missing; `_need` is how many it takes."""
        available = len(buffer) - start
        self._need = 2
        if available < 2:
            return None
        first_byte, length = buffer[start], buffer[start + 1]
        self._check_header(first_byte, length)
        head = 2
        if length >= 126:
            self._need = head = 4 if length == 126 else 10
            if available < head:
                return None
            length = int.from_bytes(buffer[start + 2 : start + head], "big")
        if length > self._max_bytes:
            raise FrameError(f"frame of {length} bytes, more than {self._max_bytes}")
        self._need = head + length
        if available < self._need:
            return None
        end = start + self._need
        return first_byte, buffer[start + head : end], end

    def _check_header(self, first_byte: int, length: int) -> None:
        opcode = first_byte & 0x0F
        if first_byte & 0x70:
            raise FrameError("reserved bit set, though no extension was agreed on")
        if opcode not in _KNOWN:
            raise FrameError(f"unknown opcode {opcode:#x}")
        if length & 0x80:
            raise FrameError("masked frame from a server")
        if opcode >= CLOSE and (not first_byte & 0x80 or length > 125):
            raise FrameError("control frame that is fragmented or too long")

    def _accept(self, first_byte: int, payload: bytes) -> Message | None:
        opcode, final = first_byte & 0x0F, bool(first_byte & 0x80)
        if opcode >= CLOSE:
            return Message(opcode, payload)
        if opcode == _CONTINUATION:
            if self._fragments is None:
                raise FrameError("continuation of nothing")
        elif self._fragments is not None:
            raise FrameError("new message in the middle of a fragmented one")
        elif final:
            return Message(opcode, payload)
        else:
            self._fragment_opcode, self._fragments, self._fragment_bytes = opcode, [], 0
        if payload:  # Empty fragments may come without end; they must not pile up.
            self._fragments.append(payload)
            self._fragment_bytes += len(payload)
        if self._fragment_bytes > self._max_bytes:
            raise FrameError(f"message of more than {self._max_bytes} bytes")
        if not final:
            return None
        message = Message(self._fragment_opcode, b"".join(self._fragments))
        self._fragments = None
        return message


def client_frame(opcode: int, payload: bytes) -> bytes:
    """One whole frame, masked with zeros.

    A client must mask; with a zero key the payload stays as it is, and equal frames are equal bytes.
    The mask protects proxies against a hostile page, which a load generator is not.
    """
    length = len(payload)
    if length < 126:
        header = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
    elif length < 65_536:
        header = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
    else:
        header = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
    return header + b"\0\0\0\0" + payload


def accept_key(key: bytes) -> bytes:
    """The `Sec-WebSocket-Accept` value that belongs to a `Sec-WebSocket-Key`."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
