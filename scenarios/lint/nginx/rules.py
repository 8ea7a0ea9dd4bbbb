"""All rules for nginx."""

from collections.abc import Iterator
from pathlib import Path

from scenarios.lint.clients import Clients
from scenarios.lint.finding import Finding, Place, Rule, nothing_checked
from scenarios.lint.nginx import (
    balancing,
    client_address,
    limits,
    stream,
    timeouts,
    tls,
    unknown,
    upgrade,
    workers,
)
from scenarios.lint.nginx.read import read
from scenarios.lint.nginx.site import site

_CHECKS = (upgrade, timeouts, limits, client_address, balancing, workers, tls, stream, unknown)

NOT_JUDGED = unknown.NOT_JUDGED
NO_WEBSOCKET = nothing_checked("nginx", "locations with WebSockets")
RULES: tuple[Rule, ...] = (*(rule for module in _CHECKS for rule in module.RULES), NO_WEBSOCKET)


def check(text: str, file: Path, clients: Clients) -> Iterator[Finding]:
    """What is wrong in the text of a file and in those that it includes. Raises LintError."""
    found = site(read(text, file), clients)
    if not found.locations and not found.streams and not unknown.unsure(found):
        yield NO_WEBSOCKET.at(
            Place(str(file), 1), "no location with an Upgrade header or a path of WebSockets"
        )
    for module in _CHECKS:
        yield from module.check(found)
