"""What a server really sends: bytes from python-engineio, python-socketio and `websockets`."""

from typing import Any

from engineio import packet as engineio
from socketio import packet as socketio
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from scenarios.clients.session import Tick, Upgrade

UPGRADE = Upgrade("gateway:8000", "/socket.io/")


def frame(opcode: Opcode, payload: bytes, *, final: bool = True) -> bytes:
    """A server's frame."""
    return Frame(opcode, payload, fin=final).serialize(mask=False)


def engine(kind: int, content: Any = None) -> bytes:
    """An Engine.IO packet in its frame."""
    encoded = engineio.Packet(kind, content).encode()
    if isinstance(encoded, bytes):
        return frame(Opcode.BINARY, encoded)
    return frame(Opcode.TEXT, encoded.encode())


def socket(kind: int, content: Any = None, namespace: str = "/", ack: int | None = None) -> bytes:
    """A Socket.IO packet, with its attachments if it has any, in its frames."""
    encoded = socketio.Packet(kind, content, namespace, ack).encode()
    parts = encoded if isinstance(encoded, list) else [encoded]
    return b"".join(engine(engineio.MESSAGE, part) for part in parts)


def tick(seq: int, event: str = "tick", padding: str = "xxx") -> bytes:
    """What the gateway stub broadcasts."""
    content = {"seq": seq, "due_ns": 10 * seq, "sent_ns": 10 * seq + 1, "pad": padding}
    return socket(socketio.EVENT, [event, content])


def ticked(seq: int) -> Tick:
    """What a session makes of it."""
    return Tick(seq=seq, due_ns=10 * seq, sent_ns=10 * seq + 1)


def switching(upgrade: Upgrade) -> bytes:
    """The answer of a `websockets` server, which refuses a request that is not in order."""
    server = ServerProtocol()
    server.receive_data(upgrade.request)
    (request,) = server.events_received()
    assert isinstance(request, Request)
    server.send_response(server.accept(request))
    return b"".join(server.data_to_send())


HEAD = switching(UPGRADE)
OPEN = engine(
    engineio.OPEN,
    {"sid": "a", "upgrades": [], "pingTimeout": 20_000, "pingInterval": 25_000, "maxPayload": 1_000_000},
)
JOIN = socket(socketio.CONNECT, {"sid": "b"})
