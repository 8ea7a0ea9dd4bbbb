"""One non-blocking TCP connection, plain or TLS, on the hub's own I/O watchers.

Its owner is told of data and of the end by callbacks, never from inside `open` or `send`.

Data comes with the time at which the kernel received it, where the system tells (Linux does): what the
process was busy with before it came to read does not count as latency of the server.
"""

import errno
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from gevent.monkey import get_original
from msgspec import Struct

from scenarios.clients.clock import Clock

# The plain socket: gevent's own would bring a hub watcher and a greenlet switch to every call.
_plain_socket: Any = get_original("socket", "socket")

_RECEIVE_BYTES = 65_536
# More than a socket buffer holds: a peer that sends on and on must not keep the process reading for ever.
_MOST_READS_AT_ONCE = 256
_MOST_UNSENT_BYTES = 1_000_000
_IP_BIND_ADDRESS_NO_PORT = 24
_SO_TIMESTAMPNS = 35
_STAMP = struct.Struct("qq")
_STAMP_BYTES = 64
_STAMPED = sys.platform.startswith("linux") and _STAMP.size == 16
_READ = 1
_WRITE = 2
EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM))


OnData = Callable[[bytes, int], None]


class TlsMemory:
    """The TLS session that a client keeps from one connection to the next, as a browser does.

    resumes: whether it keeps one; without, every handshake is a full one. on_handshake(resumed): called after
    each handshake.
    """

    __slots__ = ("on_handshake", "resumes", "session")

    def __init__(self, *, resumes: bool, on_handshake: Callable[[bool], None]) -> None:
        self.resumes = resumes
        self.on_handshake = on_handshake
        self.session: ssl.SSLSession | None = None


class Dial(Struct, frozen=True):
    """What it takes to open a connection."""

    loop: Any
    """gevent's event loop."""
    family: int
    address: tuple[str, int]
    clock: Clock
    bind: str | None = None
    preamble: bytes = b""
    """Goes out before everything else, TLS included."""
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    memory: TlsMemory | None = None


class Connection:
    """A connection that is being opened, is open, or is closed.

    on_open(): it is established, and `send` may be called. on_data(data, received_ns): some bytes, or none at
    the end, and when they came in by the monotonic clock. on_error(errno): it could not be opened, or broke;
    0 for a TLS failure.
    """

    __slots__ = (
        *("_clock", "_connecting", "_io", "_on_bytes", "_on_data", "_on_error", "_on_open"),
        *("_send_error", "_socket", "_unsent", "is_open"),
    )

    def __init__(self, on_open: Callable[[], None], on_data: OnData, on_error: Callable[[int], None]) -> None:
        self._on_open = on_open
        self._on_data = self._on_bytes = on_data
        self._on_error = on_error
        self._socket: Any = None
        self._io: Any = None
        self._unsent = b""
        self._send_error = 0
        self._connecting = True
        self.is_open = False

    def open(self, dial: Dial) -> int:
        """Begins to connect; returns an errno if that failed at once, else 0."""
        try:
            self._socket = sock = _plain_socket(dial.family, socket.SOCK_STREAM)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if _STAMPED:
                sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            if dial.bind is not None:
                sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((dial.bind, 0))
            error: int = sock.connect_ex(dial.address)
        except OSError as problem:
            error = problem.errno or errno.EIO
        if error not in {0, errno.EINPROGRESS}:
            return error
        self._unsent = dial.preamble
        self._clock = dial.clock
        self._io = dial.loop.io(sock.fileno(), _WRITE)
        self._io.start(self._on_connected)
        return 0

    def send(self, data: bytes) -> None:
        """Sends now what fits, and the rest when it does."""
        self._send_raw(data)

    def drain(self) -> None:
        """Tells its owner now what the kernel has received, or found out, and nobody has looked at yet.

        Whoever is about to give a connection up by its own clock asks for this first: where the process was
        late, the answer may be there already. Not to be called while its owner handles what it was told.
        """
        if self._connecting:
            error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if self._socket else 0
            if error:
                self._on_error(error)
            return
        for _ in range(_MOST_READS_AT_ONCE):
            if self._socket is None or not self._receive():
                return

    def close(self, *, reset: bool = False) -> None:
        """Closes at once; what was not sent is not sent any more. reset: as a lost network would."""
        self.is_open = False
        if self._io is not None:
            self._io.close()
            self._io = None
        if self._socket is not None:
            if reset:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self._socket.close()
            self._socket = None

    def _on_connected(self) -> None:
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._on_error(error)
            return
        self._connecting = False
        loop = self._io.loop
        self._io.close()
        self._io = loop.io(self._socket.fileno(), _READ)
        self._io.start(self._on_readable)
        preamble, self._unsent = self._unsent, b""
        if preamble:
            self._send_raw(preamble)
        self._established()

    def _established(self) -> None:
        self.is_open = True
        self._on_open()

    def _on_readable(self) -> None:
        self._receive()

    def _receive(self) -> bool:
        """Reads once; returns whether there may be more to read."""
        try:
            data, ancillary, _, _ = self._socket.recvmsg(_RECEIVE_BYTES, _STAMP_BYTES)
        except BlockingIOError:
            return False
        except OSError as problem:
            self._on_error(problem.errno or errno.EIO)
            return False
        if not data and self._send_error == errno.ECONNRESET:
            self._on_error(self._send_error)
            return False
        if ancillary:
            # Asked for is nothing else; in a batch it is the stamp of the last packet.
            seconds, nanoseconds = _STAMP.unpack(ancillary[0][2])
            received_ns = seconds * 1_000_000_000 + nanoseconds + self._clock.wall_offset_ns
        else:
            received_ns = monotonic_ns()
        self._on_bytes(data, received_ns)
        return bool(data)

    def _send_raw(self, data: bytes) -> None:
        if self._socket is None:
            return
        if self._unsent:
            # A peer that asks and never reads gets no more answers.
            if len(self._unsent) < _MOST_UNSENT_BYTES:
                self._unsent += data
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as problem:
            # The reading side finds out, and says so; but the kernel tells an error only once.
            self._send_error = self._send_error or problem.errno or errno.EIO
            return
        if sent < len(data):
            self._unsent = data[sent:]
            self._watch(_READ | _WRITE, self._on_either)

    def _on_either(self) -> None:
        unsent, self._unsent = self._unsent, b""
        self._watch(_READ, self._on_readable)
        self._send_raw(unsent)
        if self._socket is not None:
            self._on_readable()

    def _watch(self, events: int, callback: Callable[[], None]) -> None:
        loop = self._io.loop
        self._io.close()
        self._io = loop.io(self._socket.fileno(), events)
        self._io.start(callback)


class TlsConnection(Connection):
    """The same behind TLS."""

    __slots__ = ("_incoming", "_memory", "_outgoing", "_tls")

    def open(self, dial: Dial) -> int:
        """Begins to connect; returns an errno if that failed at once, else 0."""
        assert dial.tls is not None  # noqa: S101
        self._on_bytes = self._on_ciphertext
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._memory = memory = dial.memory
        self._tls = dial.tls.wrap_bio(
            self._incoming,
            self._outgoing,
            server_hostname=dial.server_name,
            session=memory.session if memory else None,
        )
        return super().open(dial)

    def close(self, *, reset: bool = False) -> None:
        """Closes at once; the client remembers the session.

        Not before: in TLS 1.3 the server sends what it takes to resume a session after the handshake.
        """
        if self.is_open and self._memory is not None and self._memory.resumes:
            self._memory.session = self._tls.session
        super().close(reset=reset)

    def send(self, data: bytes) -> None:
        """Sends now what fits, and the rest when it does."""
        try:
            self._tls.write(data)
        except ssl.SSLError:
            return  # the reading side finds out, and says so
        self._flush()

    def _established(self) -> None:
        self._advance(b"", monotonic_ns())

    def _on_ciphertext(self, data: bytes, received_ns: int) -> None:
        if data:
            self._advance(data, received_ns)
        elif self.is_open:
            self._on_data(b"", received_ns)
        else:
            self._on_error(errno.ECONNRESET)

    def _advance(self, ciphertext: bytes, received_ns: int) -> None:
        self._incoming.write(ciphertext)
        try:
            if not self.is_open:
                self._tls.do_handshake()
                self.is_open = True
                if self._memory is not None:
                    self._memory.on_handshake(bool(self._tls.session_reused))
                self._flush()
                self._on_open()
            while self._socket is not None:
                data = self._tls.read(_RECEIVE_BYTES)
                self._on_data(data, received_ns)
                if not data:
                    return
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLZeroReturnError:
            self._on_data(b"", received_ns)
        except ssl.SSLError:
            self._flush()  # the alert that tells the peer why
            self._on_error(0)

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._send_raw(self._outgoing.read())
