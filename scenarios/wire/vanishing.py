"""A machine that is gone says no goodbye: how the other end of a connection finds out."""

import socket
from typing import Protocol

VANISHED_S = 20
_PROBE_S = 5


class Socket(Protocol):
    """A TCP socket of whichever library."""

    def setsockopt(self, level: int, name: int, value: int, /) -> None:
        """As that of `socket.socket`."""


def notice_when_it_vanishes(connection: Socket) -> None:
    """Breaks the connection once the peer has acknowledged nothing for `VANISHED_S`; a silent peer is asked.

    Without delay for small messages, too.
    """
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _PROBE_S),
        ("TCP_KEEPINTVL", _PROBE_S),
        ("TCP_KEEPCNT", VANISHED_S // _PROBE_S - 1),
        ("TCP_USER_TIMEOUT", VANISHED_S * 1000),
    ):
        # Not every system has all of them.
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
