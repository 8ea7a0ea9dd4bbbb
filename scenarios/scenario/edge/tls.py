"""TLS between the clients and the proxy."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

TlsVersion = Literal["1.2", "1.3"]


class Tls(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """TLS at the proxy; clients connect with `wss`. Left out: plain TCP.

    A certificate is made for each run, and clients trust its issuer. The private key is in no run directory.
    """

    versions: Annotated[tuple[TlsVersion, ...], Meta(min_length=1, max_length=2)] = ("1.2", "1.3")
    """Protocol versions that the proxy accepts. Clients choose the highest one."""
    key: Literal["ecdsa-p256", "rsa-2048"] = "ecdsa-p256"
    """Key of the certificate. A full handshake signs with it: at the proxy, RSA costs several times the CPU
    of ECDSA."""
    session_cache: bool = True
    """Whether the proxy keeps sessions, so that clients may resume them with a shorter handshake. Envoy keeps
    those of TLS 1.2 alone."""
    session_tickets: bool = True
    """Whether the proxy gives clients tickets, by which they may resume a session that it does not keep."""
