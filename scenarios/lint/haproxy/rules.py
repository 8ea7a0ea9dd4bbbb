"""All rules for HAProxy."""

from collections.abc import Iterator
from pathlib import Path

from scenarios.lint.clients import Clients
from scenarios.lint.finding import Finding, Place, Rule, nothing_checked
from scenarios.lint.haproxy import balancing, limits, timeouts, tls
from scenarios.lint.haproxy.parse import read
from scenarios.lint.haproxy.site import site

_CHECKS = (timeouts, balancing, limits, tls)

NO_WEBSOCKET = nothing_checked("haproxy", "backends of WebSockets")
RULES: tuple[Rule, ...] = (*(rule for module in _CHECKS for rule in module.RULES), NO_WEBSOCKET)


def check(file: Path, clients: Clients) -> Iterator[Finding]:
    """What is wrong in a file. Raises LintError."""
    found = site(read(file), clients)
    if not found.backs:
        yield NO_WEBSOCKET.at(
            Place(str(file), 1), "no backend with timeout tunnel, or a rule about WebSockets"
        )
    for module in _CHECKS:
        yield from module.check(found)
