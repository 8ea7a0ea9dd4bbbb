"""All rules for nginx."""

from collections.abc import Iterator
from pathlib import Path

from scenarios.lint.clients import Clients
from scenarios.lint.finding import Finding, Place, Rule, nothing_checked
from scenarios.lint.nginx import balancing, client_address, limits, timeouts, tls, upgrade, workers
from scenarios.lint.nginx.read import read
from scenarios.lint.nginx.site import site

_CHECKS = (upgrade, timeouts, limits, client_address, balancing, workers, tls)

NO_WEBSOCKET = nothing_checked("nginx", "locations with WebSockets")
RULES: tuple[Rule, ...] = (*(rule for module in _CHECKS for rule in module.RULES), NO_WEBSOCKET)


def check(file: Path, clients: Clients) -> Iterator[Finding]:
    """What is wrong in a file and those that it includes. Raises LintError."""
    found = site(read(file), clients)
    if not found.locations:
        yield NO_WEBSOCKET.at(
            Place(str(file), 1), "no location with an Upgrade header or a path of WebSockets"
        )
    for module in _CHECKS:
        yield from module.check(found)
