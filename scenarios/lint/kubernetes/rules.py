"""All rules for manifests of Kubernetes."""

from collections.abc import Iterator
from pathlib import Path

from scenarios.lint.clients import Clients
from scenarios.lint.finding import Finding, Place, Rule, nothing_checked
from scenarios.lint.kubernetes import config_map, drain, ingress, mesh
from scenarios.lint.values import read

_CHECKS = (ingress, config_map, drain, mesh)

NOT_JUDGED = ingress.NOT_JUDGED
NO_WEBSOCKET = nothing_checked(
    "kubernetes",
    "an Ingress of nginx with WebSockets, the ConfigMap of its controller, and policies of a mesh",
)
RULES: tuple[Rule, ...] = (*(rule for module in _CHECKS for rule in module.RULES), NO_WEBSOCKET)


def check(text: str, file: Path, clients: Clients) -> Iterator[Finding]:
    """What is wrong in the manifests of a text. Raises LintError."""
    documents = [
        item
        for one in read(text, file)
        for item in (one.get("items").items or [one])
        if item.get("kind").there
    ]
    said = any(clients.says_websocket(node.text) for one in documents for node in one.inner())
    concerned = [
        (module, one) for module in _CHECKS for one in documents if module.concerns(one, clients, said)
    ]
    if not concerned:
        yield NO_WEBSOCKET.at(
            Place(str(file), 1),
            "no Ingress of nginx with WebSockets, no ConfigMap of its controller, and no policy of a mesh",
        )
    for module, one in concerned:
        yield from module.check(one, clients)
