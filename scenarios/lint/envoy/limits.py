"""Rules about Envoy's limits, and whose address they go by."""

from collections.abc import Iterator

from scenarios.lint import effects
from scenarios.lint.envoy.site import Site, filters
from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.values import Node

_DOCS = "https://www.envoyproxy.io/docs/envoy/latest"
_LIMIT = f"{_DOCS}/configuration/http/http_filters/local_rate_limit_filter"
_NO_LIMIT_TOKENS = 1_000_000

SHARED = Rule(
    name="envoy-ratelimit-shared",
    severity=Severity.WARNING,
    happens="all clients of this Envoy take from one bucket, so a few that come again at once leave"
    " nothing for the others, and each further Envoy doubles the limit",
    change="descriptors with a token_bucket for each masked_remote_address, or the global rate limit service",
    source=f"{_LIMIT}: the bucket is shared by all workers of a process",
)
OFF = Rule(
    name="envoy-ratelimit-off",
    severity=Severity.WARNING,
    happens="the filter refuses nothing, so a storm passes a limit that seems to be there",
    change="filter_enabled and filter_enforced with default_value: {numerator: 100, denominator: HUNDRED}",
    source=f"{_LIMIT}: both are 0 % by default",
)
BY_ADDRESS = Rule(
    name="envoy-limit-behind-proxy",
    severity=Severity.WARNING,
    happens="without these settings Envoy takes the address from the X-Forwarded-For that clients send, or"
    " takes a load balancer for the client, so a limit per address has the wrong keys",
    change="use_remote_address: true, and xff_num_trusted_hops: <number of load balancers in front>",
    source=f"{_DOCS}/configuration/http/http_conn_man/headers#x-forwarded-for",
)
ADDRESS = Rule(
    name="envoy-client-address",
    severity=Severity.NOTE,
    happens="pods and logs get the address that clients state themselves, so a limit per address has the"
    " wrong keys",
    change="use_remote_address: true, and xff_num_trusted_hops: <number of load balancers in front>",
    source=f"{_DOCS}/configuration/http/http_conn_man/headers#x-forwarded-for",
)
NO_BOUND = Rule(
    name="envoy-no-connection-limit",
    severity=Severity.NOTE,
    happens="nothing bounds the number of downstream connections, so Envoy runs out of memory or"
    " descriptors instead of refusing",
    change="overload_manager with envoy.resource_monitors.global_downstream_max_connections",
    source=f"{_DOCS}/configuration/best_practices/edge",
)
NO_LIMIT = Rule(
    name="envoy-no-limit",
    severity=Severity.NOTE,
    happens=effects.NO_LIMIT,
    change="envoy.filters.http.local_ratelimit with a bucket for each masked_remote_address",
    source=_LIMIT,
)
RULES = (SHARED, OFF, BY_ADDRESS, ADDRESS, NO_BOUND, NO_LIMIT)


def check(site: Site) -> Iterator[Finding]:
    """Each connection manager of WebSockets, and the process."""
    for manager in site.managers:
        yield from _buckets(site, manager)
        yield from _addresses(site, manager)
    bounded = any(
        word in node.text
        for document in site.documents
        for node in document.inner()
        for word in (
            "downstream_max_connections",
            "connection_limit",
            "ConnectionLimit",
            "max_active_downstream_connections",
        )
    ) or any(_has_key(document, "max_active_downstream_connections") for document in site.documents)
    if site.managers and site.static.there and not bounded:
        yield NO_BOUND.at(site.static.place, "no bound on downstream connections")


def _settings(site: Site, manager: Node) -> list[Node]:
    """The local limits that apply to WebSockets: of the manager, the virtual hosts and the routes."""
    found = [one for one in filters(manager, "local_ratelimit") if one.there]
    for route in site.routes:
        if route.manager.place == manager.place:
            for holder in (route.node, route.host):
                own = holder.get("typed_per_filter_config")
                found += [
                    one
                    for one in own.inner()
                    if one.get("token_bucket").there and one.get("stat_prefix").there
                ]
    return [*{one.place: one for one in found}.values()]


def _buckets(site: Site, manager: Node) -> Iterator[Finding]:
    limited = False
    for settings in _settings(site, manager):
        bucket = settings.get("token_bucket")
        if not bucket.there:
            continue
        limited = True
        enabled, enforced = settings.get("filter_enabled"), settings.get("filter_enforced")
        if not enabled.there or not enforced.there:
            missing = [
                name
                for name, node in (("filter_enabled", enabled), ("filter_enforced", enforced))
                if not node.there
            ]
            yield OFF.at(settings.place, f"local_ratelimit without {' and '.join(missing)}")
        per_connection = settings.get("local_rate_limit_per_downstream_connection").true
        tokens = bucket.get("max_tokens").number
        if not settings.get("descriptors").items and not per_connection and (tokens or 0) < _NO_LIMIT_TOKENS:
            yield SHARED.at(bucket.place, f"local_ratelimit with one token_bucket of {tokens or '?'}")
    if not limited and not filters(manager, "envoy.filters.http.ratelimit"):
        yield NO_LIMIT.at(manager.place, "no rate limit in the http_connection_manager")


def _addresses(site: Site, manager: Node) -> Iterator[Finding]:
    if manager.get("use_remote_address").there or manager.get("xff_num_trusted_hops").there:
        return
    if manager.get("original_ip_detection_extensions").there:
        return
    tables = (manager, *(one.host for one in site.routes), *(one.node for one in site.routes))
    by_address = any(
        _has_key(table, name) for table in tables for name in ("remote_address", "masked_remote_address")
    )
    rule = BY_ADDRESS if by_address else ADDRESS
    yield rule.at(manager.place, "neither use_remote_address nor xff_num_trusted_hops")


def _has_key(node: Node, key: str) -> bool:
    return any(isinstance(one.value, dict) and key in one.value for one in node.inner())
