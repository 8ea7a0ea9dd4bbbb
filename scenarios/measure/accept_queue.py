"""The accept queue of a pod: how long it is, and how the pod empties it.

While the pod's processes are stopped, the kernel completes connections until the queue is full. Once they go
on, with a handshake waiting on each connection, the queue is empty before the first answer where the pod
accepts everything at once, and shrinks answer by answer where it accepts one connection per loop turn.
"""

import errno
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Literal

from msgspec import Struct

Accepts = Literal["all at once", "one per turn"]

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENING = "0A"
_ENOUGH_BYTES = 16_384
"""Listening sockets come first in the kernel's tables."""
_COMPLETES_WITHIN_S = 0.3
_LOOK_EVERY_S = 0.0002
_LINGER = struct.pack("ii", 1, 0)
_FROM, _TO = 0.1, 0.7
"""Shares of the answers between which the queue is judged."""
_ALL, _ONE = 0.2, 0.5
"""Of the connections without an answer, the share that waits in the queue: at the most, at the least."""


class Look(Struct, frozen=True):
    """The queue at one moment while the pod catches up."""

    waiting: int
    answered: int


def waiting(table: str, port: int) -> int | None:
    """Connections in the accept queues of this port, by a table of the kernel; None if none listens there."""
    found = None
    for line in table.splitlines()[1:]:
        cells = line.split()
        if len(cells) > 4 and cells[3] == _LISTENING and int(cells[1].rpartition(":")[2], 16) == port:
            found = (found or 0) + int(cells[4].partition(":")[2], 16)
    return found


def accepts(looks: Iterable[Look], connections: int) -> Accepts | None:
    """How a pod empties its queue of that number of connections; None where that cannot be told."""
    shares = [
        min(1.0, look.waiting / (connections - look.answered))
        for look in looks
        if _FROM * connections <= look.answered <= _TO * connections
    ]
    if not shares:
        return None
    share = fmean(shares)
    return "all at once" if share <= _ALL else "one per turn" if share >= _ONE else None


def queue_now(port: int) -> int | None:
    """Connections in the accept queues of this port now; None where the kernel shows none that listens."""
    found = []
    for table in _TABLES:
        try:
            with table.open(encoding="ascii") as stream:
                found.append(waiting(stream.read(_ENOUGH_BYTES).rpartition("\n")[0], port))
        except OSError:
            continue
    known = [count for count in found if count is not None]
    return sum(known) if known else None


class Connections:
    """Connections to a pod, to be closed by resets."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> "Connections":
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self._sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
            sock.close()

    def open(self, most: int, request: bytes = b"") -> int:
        """Opens connections until one is not completed, or `most` are open; returns their number.

        request: is sent on each.
        """
        for opened in range(most):
            sock = socket.socket()
            self._sockets.append(sock)
            sock.setblocking(False)
            if sock.connect_ex(self._address) not in {0, errno.EINPROGRESS}:
                return opened
            poller = select.poll()
            poller.register(sock, select.POLLOUT)
            if not poller.poll(_COMPLETES_WITHIN_S * 1000) or sock.getsockopt(
                socket.SOL_SOCKET, socket.SO_ERROR
            ):
                return opened
            if request:
                sock.send(request)
        return most

    def watch(self, queue: Callable[[], int | None], patience_s: float) -> Sequence[Look]:
        """Looks at the queue until each connection has an answer, or the patience is at its end."""
        poller, looks, answered = select.poll(), [], 0
        for sock in self._sockets:
            poller.register(sock, select.POLLIN)
        deadline = time.monotonic() + patience_s
        while answered < len(self._sockets) and time.monotonic() < deadline:
            # The queue first: it must not look emptier than it was when these answers came.
            now = queue()
            for descriptor, _ in poller.poll(0):
                poller.unregister(descriptor)
                answered += 1
            if now is not None:
                looks.append(Look(now, answered))
            time.sleep(_LOOK_EVERY_S)
        return looks
