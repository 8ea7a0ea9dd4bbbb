"""Rules about the headers that a WebSocket needs, and about those that nginx no longer sends on."""

from collections.abc import Iterator

from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.nginx.site import Location, Site

_PROXY_MODULE = "https://nginx.org/en/docs/http/ngx_http_proxy_module.html"
_WEBSOCKET = "https://nginx.org/en/docs/http/websocket.html"
_FORWARDED = ("x-forwarded-for", "x-real-ip", "forwarded")

HEADERS = Rule(
    name="nginx-websocket-headers",
    severity=Severity.ERROR,
    happens="no WebSocket can be opened: each attempt fails, or clients go on polling with several"
    " requests for each message",
    change="proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection"
    " $connection_upgrade;"
    ' with map $http_upgrade $connection_upgrade { default upgrade; "" close; }',
    source=_WEBSOCKET,
)
VERSION = Rule(
    name="nginx-http-version",
    severity=Severity.ERROR,
    happens="a request with HTTP/1.0 cannot become a WebSocket, so each attempt fails",
    change="proxy_http_version 1.1;",
    source=f"{_PROXY_MODULE}#proxy_http_version; 1.1 is the default since nginx 1.29.7",
)
LOST = Rule(
    name="nginx-headers-not-inherited",
    severity=Severity.WARNING,
    happens="one proxy_set_header in a block replaces all that it would inherit, so pods take every client"
    " for the same address, and a limit per address becomes a limit for all clients together",
    change="repeat the inherited proxy_set_header directives in the block",
    source=f"{_PROXY_MODULE}#proxy_set_header; cases: a cap of 10 per address that became a cap of 10 for"
    " everybody",
)
NO_ADDRESS = Rule(
    name="nginx-no-client-address",
    severity=Severity.NOTE,
    happens="pods see the address of nginx only, so a limit per address in the gateway is a limit for all"
    " clients together",
    change="proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
    source=f"{_PROXY_MODULE}#proxy_set_header",
)
RULES = (HEADERS, VERSION, LOST, NO_ADDRESS)


def check(site: Site) -> Iterator[Finding]:
    """Each location with WebSockets."""
    for location in site.locations:
        yield from _upgrade(location)
        yield from _addresses(location)


def _upgrade(location: Location) -> Iterator[Finding]:
    headers = location.scope.headers()
    missing = []
    for name, wanted in (("Upgrade", _is_upgrade), ("Connection", _is_connection)):
        found = headers.get(name.lower())
        if found is None:
            missing.append(f"no proxy_set_header {name}")
        elif not wanted(found.args[-1]):
            yield HEADERS.at(
                found.place, f"proxy_set_header {name} {found.args[-1] or chr(34) * 2} in {location.name}"
            )
    if missing and not location.scope.unsure_of("proxy_set_header"):
        yield HEADERS.at(location.place, f"{' and '.join(missing)} in {location.name}")
    version = location.scope.inherited("proxy_http_version")
    if version and version[-1].value == "1.0":
        yield VERSION.at(version[-1].place, "proxy_http_version 1.0")
    elif not version and not missing and not location.scope.unsure_of("proxy_http_version"):
        yield VERSION.at(
            location.place, f"no proxy_http_version in {location.name}, which is 1.0 before nginx 1.29.7"
        )


def _is_upgrade(value: str) -> bool:
    return "$" in value or value.lower() == "websocket"


def _is_connection(value: str) -> bool:
    return "$" in value or "upgrade" in value.lower()


def _addresses(location: Location) -> Iterator[Finding]:
    if location.scope.unsure_of("proxy_set_header"):
        return
    headers = location.scope.headers()
    if any(name in headers for name in _FORWARDED):
        return
    own = next((scope for scope in location.scope.chain if scope.own("proxy_set_header")), None)
    outer = own.outer.headers() if own and own.outer else {}
    lost = [outer[name].value for name in _FORWARDED if name in outer]
    if lost:
        yield LOST.at(
            location.place,
            f"{location.name} has proxy_set_header directives of its own, and not {', '.join(lost)}",
        )
    else:
        yield NO_ADDRESS.at(location.place, f"{location.name} does not send X-Forwarded-For")
