"""What a policy can be told: how an attempt or a session ended, as its client sees it.

Clients and simulator make the whole truth; `as_seen` takes away what a browser does not show to code. Names
of kinds are those that a policy of the user's own writes, and by which clients that stopped are counted.
"""

from enum import StrEnum
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace


class OutcomeKind(StrEnum):
    """What has happened."""

    HTTP_STATUS = "http_status"
    """An HTTP status instead of what was asked for."""
    REFUSED = "refused"
    """No connection: the port is closed, or this machine could not open one."""
    TLS = "tls"
    """The TLS handshake failed."""
    TIMEOUT = "timeout"
    """The client's own connect timeout was over."""
    CLOSED = "closed"
    """The transport ended: a Close frame, an Engine.IO close, or the connection broke."""
    PROTOCOL_ERROR = "protocol_error"
    """The server broke the protocol."""
    CONNECT_ERROR = "connect_error"
    """The server refused the namespace: packet `44`."""
    NAMESPACE_DISCONNECT = "namespace_disconnect"
    """The server disconnected the client from the namespace: packet `41`."""
    PING_TIMEOUT = "ping_timeout"
    """The server's ping was overdue."""
    STALE = "stale"
    """The client's own watchdog saw no tick for too long."""
    ABANDONED = "abandoned"
    """Another policy was pushed: the end of the old one's attempt, and the first that the new one is told."""
    JOINED = "joined"
    """The attempt made a session; told only after `Attempt()`."""
    WOKEN = "woken"
    """The time of a `Wait` is over."""


Transport = Literal["websocket", "polling"]


class Outcome(Struct, frozen=True, kw_only=True):
    """How an attempt or a session ended."""

    kind: OutcomeKind
    """What has happened, as in the table of kinds."""
    status: int | None = None
    """The HTTP status, with `http_status`."""
    retry_after_s: float | None = None
    """What its Retry-After header said, in seconds from then on."""
    close_code: int | None = None
    """Of the Close frame; without one, None, and 1006 in a browser."""
    reason: str = ""
    """Of the Close frame, or the message of a CONNECT_ERROR."""
    transport: Transport = "websocket"
    """What an HTTP status was the answer to: the upgrade, or a polling request."""
    session_s: float = 0.0
    """How long the session lasted; 0 where none was joined."""
    at_s: float = 0.0
    """When, on a clock that does not go back."""

    @property
    def had_session(self) -> bool:
        """Whether a session has ended; otherwise an attempt."""
        return self.session_s > 0


Sees = Literal["all", "browser"]
"""What a client can read of an outcome: everything, or what a browser shows to its JavaScript."""

Reset = Literal["open", "joined", "never"] | float
"""When a policy starts over: at the Engine.IO open, once joined, never, or after a session of that many
seconds."""

SHORTEST_SESSION_S = 1e-6
"""The length of a session that ended in the moment in which it was joined: 0 would mean no session."""

_ABNORMAL = 1006
_RESET_WORDS = {"open": "at the open", "joined": "once joined", "never": "never"}


def reset_in_words(reset: Reset) -> str:
    """When attempts start over: `at the open`, `after 5 s of connection`."""
    return _RESET_WORDS[reset] if isinstance(reset, str) else f"after {reset:g} s of connection"


def as_seen(outcome: Outcome, sees: Sees) -> Outcome:
    """The outcome as a client sees it.

    A WebSocket in a browser fails in one way, whether the port was closed, the certificate invalid or the
    upgrade refused. A polling request shows status and headers. Source: WHATWG WebSockets, "fail the
    WebSocket connection"; engine.io-client, `transports/polling-xhr`.
    """
    if sees == "all":
        return outcome
    match outcome.kind:
        case OutcomeKind.HTTP_STATUS if outcome.transport == "websocket":
            pass
        case OutcomeKind.REFUSED | OutcomeKind.TLS:
            pass
        case OutcomeKind.CLOSED if outcome.close_code is None:
            pass
        case _:
            return outcome
    return replace(
        outcome, kind=OutcomeKind.CLOSED, status=None, retry_after_s=None, close_code=_ABNORMAL, reason=""
    )
