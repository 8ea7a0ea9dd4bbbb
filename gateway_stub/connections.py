"""Which TCP connections belong to which client: to end them, to see who has left, and who has waited.

A WebSocket client has one connection. A polling client makes as many as it likes, two at a time, until a
WebSocket takes over; behind a proxy each of its requests may come on another one.
"""

import asyncio
import random
import select
import socket
import struct
from collections.abc import Sequence

from aiohttp import web

_LEFT = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR

_LAST_DATA_RECV = struct.Struct("=52xI")
"""In Linux's `struct tcp_info`: milliseconds since the latest data came in."""

_CLOSE_FRAME = struct.Struct("!BBH")
"""Of a WebSocket server: the last fragment of opcode 8, two bytes of payload, the close code."""


class Connections:
    """The connections of one pod's clients, by session."""

    def __init__(self) -> None:
        self._joined: dict[str, tuple[str, asyncio.Transport | None]] = {}
        """Engine.IO session and connection of those who joined; no connection where they came by polling."""
        self._polls: dict[str, asyncio.Transport] = {}
        self._posts: dict[str, asyncio.Transport] = {}
        self._upgraded: dict[str, asyncio.Transport] = {}
        """By Engine.IO session: where the latest poll and the latest packets came, and who took over."""

    def __len__(self) -> int:
        return len(self._joined)

    def note(self, request: web.Request) -> None:
        """Remembers the connection of a request that names its Engine.IO session."""
        if request.transport is None or "sid" not in request.query:
            return
        if request.method == "POST":
            connections = self._posts
        else:
            connections = self._upgraded if "upgrade" in request.headers else self._polls
        connections[request.query["sid"]] = request.transport

    def senders(self, engine_sid: str) -> list[asyncio.Transport]:
        """The connections on which packets of a polling client may have come last."""
        return [
            connections[engine_sid]
            for connections in (self._posts, self._upgraded)
            if engine_sid in connections
        ]

    def join(self, sid: str, engine_sid: str, transport: asyncio.Transport | None) -> None:
        """Session `sid` has joined; transport: its WebSocket's, None where it came by polling."""
        self._joined[sid] = (engine_sid, transport)

    def leave(self, sid: str) -> None:
        """Session `sid` has ended."""
        engine_sid, _ = self._joined.pop(sid, ("", None))
        for connections in (self._polls, self._posts, self._upgraded):
            connections.pop(engine_sid, None)

    def forget_closed(self) -> None:
        """Forgets connections that have closed; from any thread."""
        for connections in (self._polls, self._posts, self._upgraded):
            for sid, transport in list(connections.items()):
                if transport.is_closing():
                    connections.pop(sid, None)

    def drop(self, share: float, rng: random.Random) -> int:
        """Cuts a share of the joined clients off, as a dying load balancer would; returns how many.

        Exactly round(share · clients). All of them means polling clients that have not joined yet, too.
        """
        chosen = self.sample(share, rng)
        for sid in chosen:
            engine_sid, transport = self._joined[sid]
            others = (c.get(engine_sid) for c in (self._polls, self._posts, self._upgraded))
            _abort(transport, *others)
        if share == 1:
            for connections in (self._polls, self._posts, self._upgraded):
                _abort(*connections.values())
        return len(chosen)

    def sample(self, share: float, rng: random.Random) -> list[str]:
        """Exactly round(share · clients) of the sessions that have joined, in an order of `rng`."""
        return rng.sample(list(self._joined), round(share * len(self._joined)))

    async def drain(self, sids: Sequence[str], window_s: float, close_code: int | None) -> None:
        """Closes these sessions one by one, evenly over the window: number k of n at k/n of it.

        A process that stood still closes at once what was due meanwhile. See `close`.
        """
        clock = asyncio.get_running_loop().time
        began_s = clock()
        for number, sid in enumerate(sids):
            wait_s = began_s + window_s * number / len(sids) - clock()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self.close(sid, close_code)

    def close(self, sid: str, close_code: int | None) -> None:
        """Closes the connections of a session, if it has not ended; what was written before goes out.

        close_code: of the Close frame that a WebSocket gets; None: it gets none.
        """
        engine_sid, transport = self._joined.get(sid, ("", None))
        for websocket in (transport, self._upgraded.get(engine_sid)):
            if websocket is not None and not websocket.is_closing():
                if close_code is not None:
                    websocket.write(_CLOSE_FRAME.pack(0x88, 2, close_code))
                websocket.close()
        _abort(self._polls.get(engine_sid), self._posts.get(engine_sid))


def has_left(transport: asyncio.BaseTransport | None) -> bool:
    """Whether the peer has closed its end, even where the event loop has not come to see that yet.

    The kernel is asked, because a loop that is behind learns of it too late; what else the peer may have
    sent before is left where it is.
    """
    if transport is None or transport.is_closing():
        return True
    poller = select.poll()
    poller.register(transport.get_extra_info("socket").fileno(), _LEFT)
    return bool(poller.poll(0))


def waited_ms(transport: asyncio.BaseTransport | None) -> float:
    """How long the latest data of a connection has been here, to the few milliseconds of the kernel's clock.

    For a request that is just being looked at, this is the time that it had to wait, in the accept queue
    and elsewhere. 0 where the kernel does not tell, or the connection has gone.
    """
    if transport is None or transport.is_closing():
        return 0.0
    try:
        described = transport.get_extra_info("socket").getsockopt(
            socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECV.size
        )
        return float(_LAST_DATA_RECV.unpack(described)[0])
    except (AttributeError, OSError, struct.error):  # the option is Linux's
        return 0.0


def _abort(*transports: asyncio.Transport | None) -> None:
    for transport in transports:
        if transport is not None:
            transport.abort()
