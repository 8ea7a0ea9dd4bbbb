"""Why clients stopped for good, in words."""

from collections.abc import Mapping

from reports.text import units

AFTER = {
    "policy_ended": "at the end of their policy",
    "namespace_disconnect": "after a DISCONNECT (packet 41)",
    "connect_error": "after a CONNECT_ERROR (packet 44)",
    "http_status": "after an HTTP status",
    "refused": "after a refused connection",
    "tls": "after a failed TLS handshake",
    "timeout": "after a time-out",
    "closed": "after a closed connection",
    "protocol_error": "after a protocol error",
    "ping_timeout": "after an overdue ping",
    "stale": "after a stale feed",
    "abandoned": "when a policy was pushed",
}


def gave_up_after(by_reason: Mapping[str, float]) -> str:
    """`50 after a DISCONNECT (packet 41), 4 at the end of their policy`; empty where it is not known."""
    found = sorted(by_reason.items(), key=lambda item: -item[1])
    return ", ".join(f"{units.count(clients)} {AFTER[reason]}" for reason, clients in found if clients)
