"""Rules about Envoy's connection managers and routes: upgrades, time-outs, retries."""

from collections.abc import Iterator

from scenarios.lint.clients import PING_INTERVAL_S
from scenarios.lint.envoy.site import Route, Site, upgrades
from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.quantities import written
from scenarios.lint.quiet import MOST_QUIET_S, too_short
from scenarios.lint.values import Node

_DOCS = "https://www.envoyproxy.io/docs/envoy/latest"
_MANAGER = (
    f"{_DOCS}/api-v3/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto"
)
_ROUTE = f"{_DOCS}/api-v3/config/route/v3/route_components.proto"
_DEFAULT_IDLE_S = 300.0
_DEFAULT_ROUTE_S = 15.0

UPGRADE = Rule(
    name="envoy-upgrade-missing",
    severity=Severity.ERROR,
    happens="Envoy answers a request to open a WebSocket with 403, so each attempt fails",
    change="upgrade_configs: [{upgrade_type: websocket}] in the http_connection_manager, or in the route",
    source=f"{_DOCS}/intro/arch_overview/http/upgrades",
)
IDLE = Rule(
    name="envoy-idle-timeout",
    severity=Severity.WARNING,
    happens="Envoy cuts a WebSocket on which nothing was sent for that long, and those that joined"
    " together are cut together and come back together",
    change="stream_idle_timeout: 0s in the http_connection_manager, or idle_timeout: 3600s in the route",
    source=f"{_DOCS}/faq/configuration/timeouts",
)
ROUTE_TIMEOUT = Rule(
    name="envoy-route-timeout",
    severity=Severity.WARNING,
    happens="a long poll that waits for the next ping ends with 504, and the polling client starts again;"
    " WebSockets are not affected",
    change="timeout: 0s in the route",
    source=f"{_ROUTE}: 15 s by default; observed: a WebSocket outlives it, a request that has been sent"
    " does not",
)
LIFETIME = Rule(
    name="envoy-max-duration",
    severity=Severity.WARNING,
    happens="each WebSocket ends at one age, so clients that joined together come back together, again and"
    " again",
    change="no max_stream_duration for this route, and no max_connection_duration",
    source=f"{_DOCS}/faq/configuration/timeouts",
)
RETRY = Rule(
    name="envoy-retry-policy",
    severity=Severity.WARNING,
    happens="attempts that a busy pod refuses are made again by Envoy, so in an overload each attempt of a"
    " client is several",
    change="no retry_policy for this route, or retry_on: connect-failure with num_retries: 1",
    source=f"{_DOCS}/configuration/http/http_filters/router_filter",
)
RULES = (UPGRADE, IDLE, ROUTE_TIMEOUT, LIFETIME, RETRY)


def check(site: Site) -> Iterator[Finding]:
    """Each route of WebSockets."""
    for route in site.routes:
        yield from _upgrade(route)
        yield from _idle(route)
        yield from _lifetime(route)
        yield from _retry(route)
        timeout = route.action.get("timeout")
        limit_s = timeout.seconds if timeout.there else _DEFAULT_ROUTE_S
        if route.polling and limit_s and limit_s <= PING_INTERVAL_S:
            place = timeout.place if timeout.there else route.place
            yield ROUTE_TIMEOUT.at(
                place,
                f"timeout is {written(limit_s)}{'' if timeout.there else ' by default'} in {route.name}",
            )


def _upgrade(route: Route) -> Iterator[Finding]:
    own = upgrades(route.action)
    if own is False:
        yield UPGRADE.at(
            route.action.get("upgrade_configs").place, f"{route.name} has websocket with enabled: false"
        )
    elif (
        own is None
        and route.manager.there
        and not upgrades(route.manager)
        and not route.action.get("use_websocket").true
    ):
        yield UPGRADE.at(
            route.place, f"no upgrade_configs for websocket, and {route.name} is one of WebSockets"
        )


def _idle(route: Route) -> Iterator[Finding]:
    own, shared = route.action.get("idle_timeout"), route.manager.get("stream_idle_timeout")
    given = own if own.there else shared
    if given.there and given.seconds:
        if short := too_short(given.seconds, engine_io=route.engine_io):
            name = "idle_timeout" if own.there else "stream_idle_timeout"
            yield IDLE.at(given.place, f"{name} {given.text} {short.why}", severity=short.severity)
    elif not given.there and route.manager.there and _DEFAULT_IDLE_S > MOST_QUIET_S:
        yield IDLE.at(route.place, "stream_idle_timeout is 5 min by default", severity=Severity.NOTE)


def _lifetime(route: Route) -> Iterator[Finding]:
    options = route.manager.get("common_http_protocol_options")
    found: list[tuple[str, Node]] = [
        ("max_connection_duration", options.get("max_connection_duration")),
        ("max_stream_duration", route.action.get("max_stream_duration", "max_stream_duration")),
    ]
    if not found[-1][1].there:
        found.append(("max_stream_duration", options.get("max_stream_duration")))
    for name, node in found:
        if node.seconds:
            yield LIFETIME.at(node.place, f"{name} {node.text or written(node.seconds)}")


def _retry(route: Route) -> Iterator[Finding]:
    own, shared = route.action.get("retry_policy"), route.host.get("retry_policy")
    policy = own if own.there else shared
    conditions = policy.get("retry_on").text
    times = policy.get("num_retries")
    once = conditions in {"connect-failure", "refused-stream"} and (not times.there or times.number == 1)
    if policy.there and conditions and not once and times.number != 0:
        yield RETRY.at(policy.place, f"retry_on {conditions} for {route.name}")
