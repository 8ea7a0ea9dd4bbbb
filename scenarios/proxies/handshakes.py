"""What a TLS handshake costs the proxy of a run, measured at that proxy before the clients come."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator

from msgspec import Struct

from reports.rundir.proxy_log import TlsCosts

VISITS = 300
"""Connections of each kind: the kernel counts the CPU of a process in steps of 10 ms."""

_PATIENCE_S = 5.0
_SETTLED_S = 0.1
_MOST_FAILED = 0.05
_REQUEST = b"GET / HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"


class Visitor(Struct, frozen=True, kw_only=True):
    """Who connects to the proxy. header: sent before anything else, such as that of the PROXY protocol."""

    port: int
    context: ssl.SSLContext
    host: str
    header: bytes = b""

    def plain(self) -> None:
        """Connects, and hangs up."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE_S) as connection:
            connection.sendall(self.header)

    def handshake(self, session: ssl.SSLSession | None = None) -> bool:
        """Makes a handshake, and hangs up; returns whether it resumed the session."""
        with self._connected(session) as tls:
            return bool(tls.session_reused)

    def session(self) -> ssl.SSLSession | None:
        """What can be resumed after a request that the proxy itself answers; None where nothing can.

        In TLS 1.3 it comes after the handshake, at Envoy only with an answer.
        """
        with self._connected(None) as tls:
            tls.sendall(_REQUEST)
            while tls.recv(4_096):
                pass
            return tls.session if tls.session and (tls.session.has_ticket or tls.session.id) else None

    @contextlib.contextmanager
    def _connected(self, session: ssl.SSLSession | None) -> Iterator[ssl.SSLSocket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE_S) as connection:
            connection.sendall(self.header)
            with self.context.wrap_socket(connection, server_hostname=self.host, session=session) as tls:
                yield tls


def handshake_costs(visitor: Visitor, spent_s: Callable[[], float], visits: int = VISITS) -> TlsCosts | None:
    """CPU-seconds of the proxy for a full handshake and for a resumed one, without those of the connection.

    spent_s: CPU-seconds that the proxy has used so far. None where it cannot be reached in this way.
    """
    reused = 0

    def resume() -> None:
        nonlocal reused
        reused += visitor.handshake(session)

    try:
        plain_s = _used(visitor.plain, spent_s, visits)
        full_s = _used(visitor.handshake, spent_s, visits)
        session = visitor.session()
        resumed_s = _used(resume, spent_s, visits) if session else 0.0
    except OSError:
        return None
    resumes = reused > (1 - _MOST_FAILED) * visits
    return TlsCosts(
        full_cpu_s=max(0.0, full_s - plain_s) / visits,
        resumed_cpu_s=max(0.0, resumed_s - plain_s) / visits if resumes else None,
    )


def _used(visit: Callable[[], object], spent_s: Callable[[], float], visits: int) -> float:
    """CPU-seconds that the proxy uses for so many visits, one after the other."""
    before_s = spent_s()
    for _ in range(visits):
        visit()
    time.sleep(_SETTLED_S)
    return spent_s() - before_s
