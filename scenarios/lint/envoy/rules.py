"""All rules for Envoy."""

from collections.abc import Iterator
from pathlib import Path

from scenarios.lint.clients import Clients
from scenarios.lint.envoy import clusters, limits, routes, unknown
from scenarios.lint.envoy.site import site
from scenarios.lint.finding import Finding, Place, Rule, nothing_checked
from scenarios.lint.values import read

_CHECKS = (routes, clusters, limits, unknown)

NOT_JUDGED = unknown.NOT_JUDGED
NO_WEBSOCKET = nothing_checked("envoy", "routes of WebSockets")
RULES: tuple[Rule, ...] = (*(rule for module in _CHECKS for rule in module.RULES), NO_WEBSOCKET)


def check(text: str, file: Path, clients: Clients) -> Iterator[Finding]:
    """What is wrong in the text of a file. Raises LintError."""
    found = site(read(text, file), clients)
    if not found.routes and not [*unknown.check(found)]:
        yield NO_WEBSOCKET.at(Place(str(file), 1), "no route with upgrade_configs or a path of WebSockets")
    for module in _CHECKS:
        yield from module.check(found)
