"""Which sockets a time-out cuts that counts from the last byte."""

from msgspec import Struct

from scenarios.lint.clients import PING_INTERVAL_S, PING_TIMEOUT_S
from scenarios.lint.finding import Severity

MOST_QUIET_S = 60.0
"""The usual default time-out of proxies; it is too short for a gateway that pauses for longer."""
PINGED_S = PING_INTERVAL_S + PING_TIMEOUT_S
"""After so much silence, a client with Socket.IO's defaults gives its socket up by itself."""


class TooShort(Struct, frozen=True):
    """What is wrong with such a time-out."""

    why: str
    """Completes a sentence that begins with what is written."""
    severity: Severity


def too_short(limit_s: float, *, engine_io: bool) -> TooShort | None:
    """What is wrong with a time-out; None: it cuts no socket of a healthy gateway.

    engine_io: whether the sockets are known to be those of Socket.IO, whose server pings every client.
    """
    if limit_s <= PING_INTERVAL_S:
        return TooShort(
            f"is not longer than the {PING_INTERVAL_S:g} s from one ping of Socket.IO to the next",
            Severity.ERROR,
        )
    if limit_s < PINGED_S:
        return TooShort(
            f"is shorter than ping interval and ping time-out of Socket.IO together ({PINGED_S:g} s): a late"
            " ping is enough",
            Severity.WARNING,
        )
    if limit_s > MOST_QUIET_S:
        return None
    if engine_io:
        return TooShort(
            f"is enough for the default pings of Socket.IO ({PINGED_S:g} s) and too short for longer ones",
            Severity.NOTE,
        )
    return TooShort(
        f"is enough only if the gateway sends something to each client more often than every {limit_s:g} s",
        Severity.WARNING,
    )
