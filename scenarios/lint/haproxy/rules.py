"""All rules for HAProxy."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from scenarios.lint.clients import Clients
from scenarios.lint.finding import (
    Finding,
    Place,
    Rule,
    Severity,
    nothing_checked,
    path_unused,
    polling_unknown,
)
from scenarios.lint.haproxy import balancing, limits, routing, timeouts, tls, unknown
from scenarios.lint.haproxy.parse import read
from scenarios.lint.haproxy.site import site

_CHECKS = (timeouts, routing, balancing, limits, tls, unknown)

NOT_JUDGED = unknown.NOT_JUDGED
NO_WEBSOCKET = nothing_checked("haproxy", "backends of WebSockets")
POLLING_UNKNOWN = polling_unknown("haproxy")
PATH_UNUSED = path_unused("haproxy")
RULES: tuple[Rule, ...] = (
    *(rule for module in _CHECKS for rule in module.RULES), NO_WEBSOCKET, POLLING_UNKNOWN, PATH_UNUSED,
)  # fmt: skip


def check(text: str, file: Path, clients: Clients) -> Iterator[Finding]:
    """What is wrong in the text of a file. Raises LintError."""
    found = site(read(text, file), clients)
    if not found.backs and not [*unknown.check(found)]:
        yield NO_WEBSOCKET.at(
            Place(str(file), 1), "no backend with timeout tunnel, or a rule about WebSockets"
        )
    if found.backs and not clients.websocket_only and not found.polling:
        first = found.backs[0]
        yield POLLING_UNKNOWN.at(first.place, f"nothing says that clients of {first.name} begin with polling")
    for path in found.unused_paths:
        yield PATH_UNUSED.at(Place(str(file), 1), f"--path {path} is in no line of this file")
    for module in _CHECKS:
        for one in module.check(found):
            # Whether the backend is that of the gateway is a guess, and no reason to fail.
            yield msgspec.structs.replace(one, severity=Severity.NOTE) if found.assumed else one
