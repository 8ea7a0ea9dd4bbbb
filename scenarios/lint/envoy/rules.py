"""All rules for Envoy."""

from collections.abc import Iterator
from pathlib import Path

from scenarios.lint.clients import Clients
from scenarios.lint.envoy import clusters, limits, routes
from scenarios.lint.envoy.site import site
from scenarios.lint.envoy.tree import read
from scenarios.lint.finding import Finding, Place, Rule, nothing_checked

_CHECKS = (routes, clusters, limits)

NO_WEBSOCKET = nothing_checked("envoy", "routes of WebSockets")
RULES: tuple[Rule, ...] = (*(rule for module in _CHECKS for rule in module.RULES), NO_WEBSOCKET)


def check(file: Path, clients: Clients) -> Iterator[Finding]:
    """What is wrong in a file. Raises LintError."""
    found = site(read(file), clients)
    if not found.routes:
        yield NO_WEBSOCKET.at(Place(str(file), 1), "no route with upgrade_configs or a path of WebSockets")
    for module in _CHECKS:
        yield from module.check(found)
