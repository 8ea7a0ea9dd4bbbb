"""All rules for nginx."""

from collections.abc import Iterator
from pathlib import Path

from scenarios.lint.clients import Clients
from scenarios.lint.finding import Finding, Place, Rule, nothing_checked, path_unused, polling_unknown
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
POLLING_UNKNOWN = polling_unknown("nginx")
PATH_UNUSED = path_unused("nginx")
RULES: tuple[Rule, ...] = (
    *(rule for module in _CHECKS for rule in module.RULES), NO_WEBSOCKET, POLLING_UNKNOWN, PATH_UNUSED,
)  # fmt: skip


def check(text: str, file: Path, clients: Clients) -> Iterator[Finding]:
    """What is wrong in the text of a file and in those that it includes. Raises LintError."""
    found = site(read(text, file), clients)
    if not found.locations and not found.streams and not unknown.unsure(found):
        yield NO_WEBSOCKET.at(
            Place(str(file), 1), "no location with an Upgrade header or a path of WebSockets"
        )
    if found.locations and not clients.websocket_only and not any(one.polling for one in found.locations):
        first = found.locations[0]
        yield POLLING_UNKNOWN.at(first.place, f"nothing says that clients of {first.name} begin with polling")
    for path in found.unused_paths:
        yield PATH_UNUSED.at(Place(str(file), 1), f"--path {path} leads to no proxy_pass of this file")
    for module in _CHECKS:
        yield from module.check(found)
