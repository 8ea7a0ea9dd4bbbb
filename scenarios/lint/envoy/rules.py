"""All rules for Envoy."""

from collections.abc import Iterator
from pathlib import Path

from scenarios.lint.clients import Clients
from scenarios.lint.envoy import clusters, limits, routes, unknown
from scenarios.lint.envoy.site import site
from scenarios.lint.finding import Finding, Place, Rule, nothing_checked, path_unused, polling_unknown
from scenarios.lint.values import read

_CHECKS = (routes, clusters, limits, unknown)

NOT_JUDGED = unknown.NOT_JUDGED
NO_WEBSOCKET = nothing_checked("envoy", "routes of WebSockets")
POLLING_UNKNOWN = polling_unknown("envoy")
PATH_UNUSED = path_unused("envoy")
RULES: tuple[Rule, ...] = (
    *(rule for module in _CHECKS for rule in module.RULES), NO_WEBSOCKET, POLLING_UNKNOWN, PATH_UNUSED,
)  # fmt: skip


def check(text: str, file: Path, clients: Clients) -> Iterator[Finding]:
    """What is wrong in the text of a file. Raises LintError."""
    found = site(read(text, file), clients)
    if not found.routes and not [*unknown.check(found)]:
        yield NO_WEBSOCKET.at(Place(str(file), 1), "no route with upgrade_configs or a path of WebSockets")
    if found.routes and not clients.websocket_only and not any(one.polling for one in found.routes):
        first = found.routes[0]
        yield POLLING_UNKNOWN.at(first.place, f"nothing says that clients of {first.name} begin with polling")
    for path in clients.paths:
        if not any(path in one.path or (one.path and path.startswith(one.path)) for one in found.routes):
            yield PATH_UNUSED.at(Place(str(file), 1), f"--path {path} leads to no route of this file")
    for module in _CHECKS:
        yield from module.check(found)
