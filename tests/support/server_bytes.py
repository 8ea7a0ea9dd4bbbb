"""What a server really sends: bytes from python-engineio, python-socketio, `websockets` and `h11`."""

from collections.abc import Iterable, Mapping
from typing import Any

import h11
from engineio import packet as engineio
from engineio.payload import Payload
from socketio import packet as socketio
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from gateway_stub.feed_schedule import FeedSchedule
from scenarios.clients.protocol.packets import Subscription
from scenarios.clients.protocol.schedule import SharedSchedule
from scenarios.clients.protocol.session import Upgrade
from scenarios.clients.protocol.ticks import Tick, TickReader
from scenarios.scenario.model import Feed

UPGRADE = Upgrade("gateway:8000", "/socket.io/")
HANDSHAKE = {"sid": "a", "upgrades": [], "pingTimeout": 20_000, "pingInterval": 25_000, "maxPayload": 10**6}


def subscription(event: str = "tick", namespace: str = "/", auth: Any = None) -> Subscription:
    """What sessions share that read the stub's ticks."""
    return Subscription(
        TickReader(Feed(), SharedSchedule(FeedSchedule.of(0, 5.0))),
        event=event,
        namespace=namespace,
        auth=auth,
    )


# -- over WebSocket ---------------------------------------------------------------------------------


def frame(opcode: Opcode, payload: bytes, *, final: bool = True) -> bytes:
    """A server's frame."""
    return Frame(opcode, payload, fin=final).serialize(mask=False)


def engine(kind: int, content: Any = None) -> bytes:
    """An Engine.IO packet in its frame."""
    encoded = engineio.Packet(kind, content).encode()
    if isinstance(encoded, bytes):
        return frame(Opcode.BINARY, encoded)
    return frame(Opcode.TEXT, encoded.encode())


def socket_parts(kind: int, content: Any = None, namespace: str = "/", ack: int | None = None) -> list[Any]:
    """A Socket.IO packet and its attachments, if it has any."""
    encoded = socketio.Packet(kind, content, namespace, ack).encode()
    return encoded if isinstance(encoded, list) else [encoded]


def socket(kind: int, content: Any = None, namespace: str = "/", ack: int | None = None) -> bytes:
    """The same in its frames."""
    parts = socket_parts(kind, content, namespace, ack)
    return b"".join(engine(engineio.MESSAGE, part) for part in parts)


def tick_content(seq: int, padding: str = "xxx") -> dict[str, Any]:
    """What a tick of the gateway stub carries."""
    return {"seq": seq, "due_ns": 10 * seq, "sent_ns": 10 * seq + 1, "pad": padding}


def tick(seq: int, event: str = "tick", padding: str = "xxx") -> bytes:
    """What the gateway stub broadcasts."""
    return socket(socketio.EVENT, [event, tick_content(seq, padding)])


def ticked(seq: int) -> Tick:
    """What a session makes of it."""
    return Tick(seq=seq, due_ns=10 * seq)


def switching(request: bytes) -> bytes:
    """The answer of a `websockets` server, which refuses a request that is not in order."""
    server = ServerProtocol()
    server.receive_data(request)
    (received,) = server.events_received()
    assert isinstance(received, Request)
    answer = server.accept(received)
    del answer.headers["Date"]  # so that equal requests have equal answers
    server.send_response(answer)
    return b"".join(server.data_to_send())


HEAD = switching(UPGRADE.request)
OPEN = engine(engineio.OPEN, HANDSHAKE)
JOIN = socket(socketio.CONNECT, {"sid": "b"})


# -- over HTTP polling ------------------------------------------------------------------------------


def body(*packets: engineio.Packet) -> bytes:
    """Packets as the answer to a poll carries them."""
    encoded: str = Payload(list(packets)).encode()
    return encoded.encode()


def socket_packets(
    kind: int, content: Any = None, namespace: str = "/", ack: int | None = None
) -> list[engineio.Packet]:
    """A Socket.IO packet as Engine.IO packets, for `body`."""
    return [engineio.Packet(engineio.MESSAGE, part) for part in socket_parts(kind, content, namespace, ack)]


def tick_packet(seq: int) -> engineio.Packet:
    """What the gateway stub broadcasts, for `body`."""
    (packet,) = socket_packets(socketio.EVENT, ["tick", tick_content(seq)])
    return packet


def open_packet(*upgrades: str, **changes: Any) -> engineio.Packet:
    """The answer to a handshake, for `body`."""
    return engineio.Packet(engineio.OPEN, {**HANDSHAKE, "upgrades": list(upgrades), **changes})


def response(
    content: bytes = b"",
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    pieces: Iterable[bytes] | None = None,
) -> bytes:
    """An HTTP server's answer; with `pieces` it is chunked, a chunk for each of them."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
    server.next_event()
    length = {"Content-Length": str(len(content))} if pieces is None else {"Transfer-Encoding": "chunked"}
    fields = [*length.items(), *(headers or {}).items()]
    parts: list[h11.Event] = [h11.Response(status_code=status, headers=fields)]
    parts += [h11.Data(data=piece) for piece in ([content] if pieces is None else pieces)]
    return b"".join(server.send(part) or b"" for part in [*parts, h11.EndOfMessage()])
