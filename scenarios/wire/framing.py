"""Messages as bytes: MessagePack behind a four-byte length."""

import struct
from collections.abc import Iterator

import msgspec

from scenarios.wire.orders import Message, decode, encode

LONGEST_MESSAGE = 1 << 28

_LENGTH = struct.Struct("!I")
_HTTP = b"HTTP"


def frame(message: Message) -> bytes:
    """`message` ready to be sent."""
    body = encode(message)
    return _LENGTH.pack(len(body)) + body


class FrameError(ValueError):
    """Bytes that are no message, or one that is longer than allowed."""


class Unframer:
    """Collects bytes and hands out whole messages.

    longest: how many bytes a message may have; whoever has not said who it is gets little room.
    """

    def __init__(self, longest: int = LONGEST_MESSAGE) -> None:
        self.longest = longest
        self._buffer = bytearray()

    def receive(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes. Raises FrameError."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if self._buffer.startswith(_HTTP):
                raise FrameError(
                    "an answer in HTTP: expected the port of the channel, not that of a web page"
                )
            if length > self.longest:
                raise FrameError(f"a message of {length} bytes: expected at most {self.longest}")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            try:
                message = decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise FrameError(str(error)) from None
            yield message
