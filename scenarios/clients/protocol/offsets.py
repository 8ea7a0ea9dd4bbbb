"""What connection state recovery adds to packets: the id of a session, and the offset of an event.

Source: socket.io-parser 4.2 and socket.io-client 4.8, `lib/socket.ts`.
"""

import msgspec
from msgspec import Struct

from scenarios.clients.protocol.ticks import Tick


class _Connected(Struct):
    pid: str = ""


_decode_connected = msgspec.json.Decoder(_Connected).decode


def pid_of(content: bytes) -> str:
    """The `pid` in the payload of a CONNECT packet; empty where the server told none."""
    try:
        return _decode_connected(content).pid
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def offset_of(arguments: bytes) -> str:
    """The last argument of an event, name included, if it is a text: clients take that as its offset."""
    try:
        values = msgspec.json.decode(arguments)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return values[-1] if isinstance(values, list) and values and isinstance(values[-1], str) else ""


def with_offset(tick: Tick, arguments: bytes) -> Tick:
    """The tick with the offset of its event."""
    return msgspec.structs.replace(tick, offset=offset_of(arguments))
