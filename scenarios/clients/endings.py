"""How attempts and sessions end: as the recorder counts them, and as a policy is told.

An ending is one of `OUTCOMES` for an attempt, and one of `DISCONNECTS` for a session. Endings are made once:
one that a policy does not look at costs nothing.
"""

from functools import lru_cache

from msgspec import Struct

from scenarios.clients.protocol.packets import Said
from scenarios.policies.outcome import Outcome, OutcomeKind, Transport
from scenarios.wire.interval import outcome_of_status

_REMEMBERED = 256


class Ending(Struct, frozen=True):
    """One way in which an attempt, or a session, can end."""

    attempt: str
    session: str
    outcome: Outcome
    """The whole truth, without length and time."""


def _ending(attempt: str, session: str, kind: OutcomeKind) -> Ending:
    return Ending(attempt, session, Outcome(kind=kind))


TIMED_OUT = _ending("timeout", "reset", OutcomeKind.TIMEOUT)
REFUSED = _ending("refused", "reset", OutcomeKind.REFUSED)
RESET = _ending("reset", "reset", OutcomeKind.CLOSED)
CUT = _ending("reset", "cut", OutcomeKind.CLOSED)
TLS_FAILED = _ending("tls", "broken", OutcomeKind.TLS)
EXHAUSTED = _ending("exhausted", "reset", OutcomeKind.REFUSED)
NO_CREDENTIALS = _ending("no_credentials", "reset", OutcomeKind.REFUSED)
BROKEN = _ending("broken", "broken", OutcomeKind.PROTOCOL_ERROR)
STALE = _ending("reset", "stale", OutcomeKind.STALE)
PING_TIMEOUT = _ending("reset", "ping_timeout", OutcomeKind.PING_TIMEOUT)
ABANDONED = _ending("abandoned", "reset", OutcomeKind.ABANDONED)


@lru_cache(_REMEMBERED)
def answered(status: int, retry_after_s: float | None, transport: Transport) -> Ending:
    """The server answered a request that the session needs with this HTTP status."""
    outcome = Outcome(
        kind=OutcomeKind.HTTP_STATUS, status=status, retry_after_s=retry_after_s, transport=transport
    )
    return Ending(outcome_of_status(status), "refused", outcome)


@lru_cache(_REMEMBERED)
def rejected(said: Said) -> Ending:
    """The server refused the namespace."""
    return Ending("rejected", "dropped", Outcome(kind=OutcomeKind.CONNECT_ERROR, reason=said.reason))


@lru_cache(_REMEMBERED)
def dropped(said: Said) -> Ending:
    """The server ended the session in an orderly way."""
    kind = OutcomeKind.NAMESPACE_DISCONNECT if said.namespace else OutcomeKind.CLOSED
    return Ending("reset", "dropped", Outcome(kind=kind, close_code=said.close_code, reason=said.reason))
