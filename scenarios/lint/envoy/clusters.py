"""Rules about Envoy's clusters: how many sockets fit, who is taken out, who stays with whom."""

from collections.abc import Iterator

from scenarios.lint import effects
from scenarios.lint.envoy.site import Site, endpoints, filters
from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.values import Node

_DOCS = "https://www.envoyproxy.io/docs/envoy/latest"
_BOUNDS = ("max_connections", "max_pending_requests", "max_requests")
_DEFAULT_BOUND = 1_024
MANY_PERCENT = 50

BREAKERS = Rule(
    name="envoy-circuit-breakers",
    severity=Severity.WARNING,
    happens="each WebSocket is a connection and a request for as long as it is open, so clients above the"
    " bound are answered 503 although pods have room",
    change="circuit_breakers:"
    " {thresholds: [{max_connections: N, max_pending_requests: N, max_requests: N}]} with N above the"
    " number of clients",
    source=f"{_DOCS}/intro/arch_overview/upstream/circuit_breaking; envoyproxy/envoy#20020: 1,024 of 1,200"
    " clients joined",
)
EJECTS_ALL = Rule(
    name="envoy-outlier-ejects-all",
    severity=Severity.WARNING,
    happens="pods that shed load with 503 are taken out one after the other, and the last ones get all"
    " clients",
    change="max_ejection_percent: 10, and consecutive_5xx far above what a busy pod sheds",
    source=f"{_DOCS}/intro/arch_overview/upstream/outlier",
)
OUTLIER = Rule(
    name="envoy-outlier-detection",
    severity=Severity.NOTE,
    happens="a pod that sheds load with 503 is counted as failing and is taken out, and its clients go to"
    " the others",
    change="no outlier_detection for this cluster, or a pod that sheds with 429",
    source=f"{_DOCS}/intro/arch_overview/upstream/outlier: 5 in a row by default",
)
HEALTH = Rule(
    name="envoy-close-on-health-failure",
    severity=Severity.WARNING,
    happens=effects.CUT_ON_FAILED_CHECK,
    change="close_connections_on_host_health_failure: false",
    source=f"{_DOCS}/api-v3/config/cluster/v3/cluster.proto",
)
HTTP2 = Rule(
    name="envoy-http2-upstream",
    severity=Severity.WARNING,
    happens="Envoy opens a WebSocket with an extended CONNECT of HTTP/2 at the pod, which Socket.IO servers"
    " do not know, so each attempt fails",
    change="explicit_http_config: {http_protocol_options: {}} for a cluster of its own",
    source=f"{_DOCS}/intro/arch_overview/http/upgrades",
)
STICKY = Rule(
    name="envoy-sticky-missing",
    severity=Severity.ERROR,
    happens=effects.NOT_STICKY,
    change="lb_policy: RING_HASH with a hash_policy in the route (--websocket-only if no client begins"
    " with polling)",
    source="https://socket.io/docs/v4/using-multiple-nodes/",
)
RULES = (BREAKERS, EJECTS_ALL, OUTLIER, HEALTH, HTTP2, STICKY)


def check(site: Site) -> Iterator[Finding]:
    """Each cluster that WebSockets go to."""
    for cluster in site.clusters:
        yield from _bounds(site, cluster)
        yield from _outliers(cluster)
        closing = cluster.get("close_connections_on_host_health_failure")
        if closing.true:
            yield HEALTH.at(closing.place, "close_connections_on_host_health_failure: true")
        yield from _version(cluster)
        yield from _sticky(site, cluster)


def _bounds(site: Site, cluster: Node) -> Iterator[Finding]:
    breakers = cluster.get("circuit_breakers")
    thresholds = [
        one
        for one in breakers.get("thresholds").items
        if one.get("priority").text.upper() in {"", "DEFAULT", "0"}
    ]
    given = thresholds[0] if thresholds else Node(None, cluster.place)
    small = {}
    for name in _BOUNDS:
        bound = given.get(name)
        number = bound.number if bound.there else _DEFAULT_BOUND
        if number is not None and not site.clients.fit(number):
            small[name] = f"{name} is {number:,}{'' if bound.there else ' by default'}"
    if small:
        what = (
            f"no circuit_breakers, and all bounds are {_DEFAULT_BOUND:,}"
            if not thresholds
            else ", ".join(small.values())
        )
        yield BREAKERS.at(
            breakers.place if breakers.there else cluster.place,
            f"{what} in cluster {cluster.get('name').text}",
            severity=None if site.clients.number is None else Severity.ERROR,
        )


def _version(cluster: Node) -> Iterator[Finding]:
    holders = [cluster, *(node.get("explicit_http_config") for node in cluster.inner())]
    for holder in holders:
        settings = holder.get("http2_protocol_options")
        if settings.there and not settings.get("allow_connect").true:
            yield HTTP2.at(settings.place, f"cluster {cluster.get('name').text} speaks HTTP/2 to its pods")
            return


def _outliers(cluster: Node) -> Iterator[Finding]:
    outliers = cluster.get("outlier_detection")
    if not outliers.there:
        return
    most = outliers.get("max_ejection_percent")
    if most.number is not None and most.number > MANY_PERCENT:
        yield EJECTS_ALL.at(most.place, f"max_ejection_percent {most.number}")
    else:
        yield OUTLIER.at(outliers.place, f"outlier_detection in cluster {cluster.get('name').text}")


def _sticky(site: Site, cluster: Node) -> Iterator[Finding]:
    polled = [one for one in site.routes_of(cluster) if one.polling]
    hashing = cluster.get("lb_policy").text.upper() in {"RING_HASH", "MAGLEV"} or any(
        word in one.text
        for one in cluster.get("load_balancing_policy").inner()
        for word in ("ring_hash", "maglev")
    )
    for route in polled:
        hashed = hashing and route.action.get("hash_policy").there
        if endpoints(cluster) > 1 and not hashed and not filters(route.manager, "stateful_session"):
            yield STICKY.at(
                cluster.place,
                f"cluster {cluster.get('name').text} has {endpoints(cluster)} endpoints, and {route.name}"
                " is polled",
            )
