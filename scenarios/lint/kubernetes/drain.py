"""Rules about what ends Envoy's WebSockets on a deploy: drain time and grace period, which manifests hold."""

from collections.abc import Iterator

from scenarios.lint.clients import Clients
from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.quantities import envoy_seconds, written
from scenarios.lint.values import Node

_DOCS = "https://www.envoyproxy.io/docs/envoy/latest"
_SHORT_S = 300.0
_OPTION = "--drain-time-s"
_DEFAULT_GRACE_S = 30.0

SHORT = Rule(
    name="kubernetes-drain-time",
    severity=Severity.NOTE,
    happens="Envoy does not ask WebSockets to go while it drains: those that are open when the time is over"
    " close at once, and their clients come back together",
    change="a gateway that closes its clients evenly before that, or a longer drain time (and grace period)",
    source=f"{_DOCS}/intro/arch_overview/operations/draining; envoyproxy/envoy#45250, #34500",
)
GRACE = Rule(
    name="kubernetes-grace-period",
    severity=Severity.WARNING,
    happens="Kubernetes kills Envoy before its drain time is over, and all its WebSockets close then",
    change="terminationGracePeriodSeconds above the drain time",
    source="https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination:"
    " 30 s by default",
)
RULES = (SHORT, GRACE)


def concerns(document: Node, _clients: Clients, _said: bool) -> bool:
    """Whether it says how long Envoy drains."""
    return next(_times(document), None) is not None


def check(document: Node, _clients: Clients) -> Iterator[Finding]:
    """The drain times of a manifest."""
    for pod, node, limit_s in _times(document):
        if limit_s <= _SHORT_S:
            yield SHORT.at(node.place, f"the drain time is {written(limit_s)}")
        grace = pod.get("termination_grace_period_seconds")
        grace_s = float(grace.number) if grace.number is not None else _DEFAULT_GRACE_S
        if pod.get("containers").there and grace_s < limit_s and not (grace.there and grace.number is None):
            yield GRACE.at(
                grace.place if grace.there else node.place,
                f"terminationGracePeriodSeconds is {written(grace_s)}{'' if grace.there else ' by default'},"
                f" and the drain time {written(limit_s)}",
            )


def _times(document: Node) -> Iterator[tuple[Node, Node, float]]:
    """Pod (or what takes its place), the value, and the drain time in seconds."""
    shutdown = document.get("spec", "shutdown", "drain_timeout")
    if document.get("kind").text == "EnvoyProxy" and (limit_s := envoy_seconds(shutdown.text)) is not None:
        yield document, shutdown, limit_s
    for pod in document.inner():
        for container in pod.get("containers").items:
            words = [*container.get("command").items, *container.get("args").items]
            for word, after in zip(words, [*words[1:], Node(None, pod.place)], strict=False):
                name, _, value = word.text.partition("=")
                given = value or after.text
                for part in (
                    [given] if name == _OPTION else [word.text.partition(f"{_OPTION} ")[2].split(" ")[0]]
                ):
                    if part.isdecimal():
                        yield pod, word, float(part)
