"""What has happened to a client since its policy was last asked for a delay."""

from enum import StrEnum
from typing import Literal

from msgspec import Struct

Reset = Literal["open", "joined", "never"] | float
"""When the iterator of a policy starts anew: at the transport's open, once joined, never, or once a session
has lasted so many seconds."""


class OutcomeKind(StrEnum):
    """How an attempt or a session ended."""

    REFUSED = "refused"
    """No connection."""
    TIMEOUT = "timeout"
    """No answer in time."""
    HTTP_STATUS = "http-status"
    """An HTTP status instead of the upgrade."""
    CONNECT_ERROR = "connect-error"
    """The transport opened; the application's handshake was refused."""
    CLOSED = "closed"
    """The transport closed."""
    NAMESPACE_DISCONNECT = "namespace-disconnect"
    """The server disconnected a joined client in the application's protocol."""


class Outcome(Struct, frozen=True, kw_only=True):
    """The end of an attempt or of a session, as far as the client can see it."""

    kind: OutcomeKind
    status: int | None = None
    """HTTP status; None where there was none, or where the client cannot read it."""
    retry_after_s: float | None = None
    close_code: int | None = None
    """Close code of the WebSocket."""
    reason: str = ""
    session_s: float = 0.0
    """How long the session was joined; 0 where none was."""
