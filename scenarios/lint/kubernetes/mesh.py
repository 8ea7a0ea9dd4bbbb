"""Rules about policies of a service mesh or of Envoy Gateway: bounds, ejections, lifetimes, buckets."""

from collections.abc import Iterator

from scenarios.lint.clients import Clients
from scenarios.lint.envoy.clusters import BREAKERS, EJECTS_ALL, MANY_PERCENT
from scenarios.lint.envoy.limits import SHARED
from scenarios.lint.envoy.routes import LIFETIME
from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.quantities import nginx_seconds, written
from scenarios.lint.values import Node

_ISTIO = "https://istio.io/latest/docs/reference/config/networking/destination-rule/"
_GATEWAY = "https://gateway.envoyproxy.io/docs/api/extension_types/"
_BOUNDS = (
    "max_connections", "http2_max_requests", "http1_max_pending_requests", "max_parallel_requests",
    "max_pending_requests",
)  # fmt: skip
_KINDS = {"DestinationRule", "BackendTrafficPolicy", "ClientTrafficPolicy"}

CONNECTIONS = Rule(
    name="kubernetes-mesh-connections",
    severity=Severity.WARNING,
    happens=BREAKERS.happens,
    change="connectionPool (Istio) or circuitBreaker (Envoy Gateway) with numbers above that of the clients",
    source=f"{_ISTIO}#ConnectionPoolSettings; {_GATEWAY}#circuitbreaker: 1,024 by default",
)
EJECTION = Rule(
    name="kubernetes-mesh-ejection",
    severity=Severity.WARNING,
    happens=EJECTS_ALL.happens,
    change="maxEjectionPercent: 10, and consecutive5xxErrors far above what a busy pod sheds",
    source=f"{_ISTIO}#OutlierDetection",
)
AGE = Rule(
    name="kubernetes-mesh-lifetime",
    severity=Severity.WARNING,
    happens=LIFETIME.happens,
    change="no maxConnectionDuration",
    source=f"{_ISTIO}#ConnectionPoolSettings-TCPSettings; {_GATEWAY}#httptimeout",
)
BUCKET = Rule(
    name="kubernetes-mesh-ratelimit-shared",
    severity=Severity.WARNING,
    happens=SHARED.happens,
    change="clientSelectors with sourceCIDR of type Distinct, in a limit of type Global",
    source=f"{_GATEWAY}#localratelimit",
)
RULES = (CONNECTIONS, EJECTION, AGE, BUCKET)


def concerns(document: Node, clients: Clients, said: bool) -> bool:
    """Whether it is a policy for WebSockets; said: whether the file speaks of them."""
    return document.get("kind").text in _KINDS and (said or clients.described)


def check(document: Node, clients: Clients) -> Iterator[Finding]:
    """Every part of a policy, also those for single ports and subsets."""
    for node in document.get("spec").inner():
        for name in _BOUNDS:
            bound = node.get(name)
            if bound.number is not None and not clients.fit(bound.number):
                severity = None if clients.number is None else Severity.ERROR
                yield CONNECTIONS.at(bound.place, f"{_camel(name)} is {bound.number:,}", severity=severity)
        most = node.get("max_ejection_percent")
        if most.number is not None and most.number > MANY_PERCENT:
            yield EJECTION.at(most.place, f"maxEjectionPercent {most.number}")
        age = node.get("max_connection_duration")
        age_s = nginx_seconds(age.text)
        if age_s:
            yield AGE.at(age.place, f"maxConnectionDuration is {written(age_s)}")
        local = node.get("rate_limit", "local")
        for rule in local.get("rules").items:
            if not rule.get("client_selectors").items:
                yield BUCKET.at(rule.place, "a local rateLimit without clientSelectors")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
