"""When the run's epoch was on this machine's clock, where pods and generator do not share one.

A pod says how many nanoseconds ago the epoch was. It said so at some moment between question and answer;
taking the middle is wrong by half of that time at the most, so the quickest of many exchanges counts:

    local epoch = (asked + answered) / 2 − since epoch      error = (answered − asked) / 2

That holds for the moment of asking. Two clocks that are kept by NTP drift apart by some µs a second.
"""

import http.client
import socket
from collections.abc import Iterable
from time import monotonic_ns
from urllib.parse import urlsplit

from msgspec import Struct

EXCHANGES = 20
_TIMEOUT_S = 5.0


class ClockError(ValueError):
    """Nobody could be asked; the message says whom and why."""


class Exchange(Struct, frozen=True):
    """A question and its answer."""

    asked_ns: int
    since_epoch_ns: int
    answered_ns: int


class LocalEpoch(Struct, frozen=True):
    """When the epoch was, on the clock of this process, and how far that may be off."""

    epoch_ns: int
    error_ns: int


def local_epoch(exchanges: Iterable[Exchange]) -> LocalEpoch:
    """By the quickest of at least one exchange."""
    best = min(exchanges, key=lambda exchange: exchange.answered_ns - exchange.asked_ns)
    middle_ns = (best.asked_ns + best.answered_ns) // 2
    # Rounded up: the bound has to hold.
    return LocalEpoch(middle_ns - best.since_epoch_ns, -((best.asked_ns - best.answered_ns) // 2))


def ask(url: str, *, preamble: bytes = b"", exchanges: int = EXCHANGES) -> list[Exchange]:
    """Asks so many times, over one connection. Raises ClockError.

    preamble: what has to be said on a new connection before HTTP begins, such as a PROXY header.
    """
    parts = urlsplit(url)
    found = []
    try:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
        try:
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sock.sendall(preamble)
            for _ in range(exchanges):
                asked_ns = monotonic_ns()
                connection.request("GET", parts.path)
                answer = connection.getresponse()
                text = answer.read(100)
                answered_ns = monotonic_ns()
                if answer.status != http.HTTPStatus.OK:
                    raise ClockError(f"{url}: answered with status {answer.status}")
                found.append(Exchange(asked_ns, int(text), answered_ns))
        finally:
            connection.close()
    except ClockError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ClockError(f"{url}: cannot read the gateway's clock: {error}") from None
    return found
