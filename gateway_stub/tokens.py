"""Tokens of the stub: who may join, and until when.

A token is the time at which it was issued. Anybody can make one: the stub has no secrets, and rehearses what
expired tokens do to a fleet. It is wall-clock time, because issuer and pod may be on two hosts.
"""

import time
from collections.abc import Mapping

_BEARER = "bearer "
EXPIRED = "token expired"
"""Message of the CONNECT_ERROR."""


def issue(_client: int) -> str:
    """A token for a client, valid from now on."""
    return str(time.time_ns())


def is_valid(token: object, lifetime_s: float, now_ns: int) -> bool:
    """Whether a token of `issue` has not expired."""
    if not isinstance(token, str) or not token.isdecimal() or not token.isascii():
        return False
    # A clock that is behind the issuer's makes no token invalid.
    return now_ns - int(token) < lifetime_s * 1e9


def in_headers(headers: Mapping[str, str]) -> str | None:
    """The token of an `Authorization` header; None where there is no such header."""
    said = headers.get("Authorization")
    if said is None:
        return None
    return said[len(_BEARER) :].strip() if said.lower().startswith(_BEARER) else ""


def in_auth(auth: object) -> object:
    """The token of the payload with which a client joins; None without one."""
    return auth.get("token") if isinstance(auth, dict) else None
