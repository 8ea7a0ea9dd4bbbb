"""Rules about nginx's limits on requests and connections."""

from collections.abc import Iterator

from scenarios.lint import effects
from scenarios.lint.clients import CONNECT_TIMEOUT_S, FEW_PER_ADDRESS, POLLING_REQUESTS
from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.nginx.limit_keys import Zone, zones
from scenarios.lint.nginx.site import Location, Site
from scenarios.lint.nginx.tree import Directive
from scenarios.lint.placeholders import unknown
from scenarios.lint.quantities import size, whole, written

_REQ = "https://nginx.org/en/docs/http/ngx_http_limit_req_module.html"
_CONN = "https://nginx.org/en/docs/http/ngx_http_limit_conn_module.html"
_PLACE_BYTES = 128
_FEW_PLACES = 8_000

SINGLE_KEY = Rule(
    name="nginx-limit-single-key",
    severity=Severity.WARNING,
    happens=effects.SINGLE_KEY,
    change="limit_req_zone $binary_remote_addr …, or another variable that differs between clients",
    source=f"{_REQ}#limit_req_zone",
)
FORWARDED = Rule(
    name="nginx-limit-forwarded-key",
    severity=Severity.NOTE,
    happens="a client that sends this header itself is never limited, and one without it is not counted",
    change="set_real_ip_from <networks of the load balancer>; real_ip_header X-Forwarded-For;"
    " and $binary_remote_addr as the key",
    source=f"{_REQ}#limit_req_zone: requests with an empty key are not accounted",
)
NO_BURST = Rule(
    name="nginx-limit-no-burst",
    severity=Severity.WARNING,
    happens="a rate without burst is a distance between two requests, so of clients behind a shared IP"
    " that come at the same moment all but one are refused",
    change="limit_req zone=… burst=<clients behind an address> nodelay;",
    source=f"{_REQ}#limit_req",
)
DELAY = Rule(
    name="nginx-limit-delay",
    severity=Severity.NOTE,
    happens="nginx delays requests until the rate admits them, and clients that have given up meanwhile"
    " come again and queue a second time",
    change="add nodelay to limit_req, or a smaller burst",
    source=f"{_REQ}#limit_req",
)
ALL_REQUESTS = Rule(
    name="nginx-limit-all-requests",
    severity=Severity.WARNING,
    happens=effects.ALL_REQUESTS,
    change='count new connections only: map "$request_method:$arg_sid" $new'
    ' { default ""; "GET:" $binary_remote_addr; }'
    " and limit_req_zone $new …",
    source=f"{_REQ}#limit_req_zone: requests with an empty key are not accounted",
)
STATUS = Rule(
    name="nginx-limit-status",
    severity=Severity.WARNING,
    happens=effects.LOOKS_BROKEN,
    change="limit_req_status 429;",
    source=f"{_REQ}#limit_req_status",
)
CONN_STATUS = Rule(
    name="nginx-limit-conn-status",
    severity=Severity.WARNING,
    happens=effects.LOOKS_BROKEN,
    change="limit_conn_status 429;",
    source=f"{_CONN}#limit_conn_status",
)
FEW_CONNECTIONS = Rule(
    name="nginx-limit-conn-shared-ip",
    severity=Severity.WARNING,
    happens=effects.LOCKED_OUT,
    change="a limit_conn that is larger than the largest group behind one address, or a limit on new"
    " connections",
    source=f"{_CONN}#limit_conn; skyra-project/skyra#720: taken back after problems",
)
IPV6 = Rule(
    name="nginx-limit-ipv6",
    severity=Severity.NOTE,
    happens=effects.WHOLE_IPV6,
    change="map $binary_remote_addr $client"
    ' { default $binary_remote_addr; "~(?s)^(?<network>.{8}).{8}$" $network; }',
    source="RFC 6177: a site gets at least a /64",
)
SMALL_ZONE = Rule(
    name="nginx-limit-zone-size",
    severity=Severity.WARNING,
    happens="a storm has more addresses than the zone has places: limit_conn then refuses everybody who is"
    " new, and limit_req forgets the oldest, or refuses with an error",
    change="zone=<name>:10m, which has places for 80,000 addresses",
    source=f"{_REQ}#limit_req_zone: 1 MB has 8,000 places of 128 bytes",
)
NO_LIMIT = Rule(
    name="nginx-no-limit",
    severity=Severity.NOTE,
    happens=effects.NO_LIMIT,
    change="limit_req_zone $binary_remote_addr zone=storm:10m rate=10r/s; limit_req zone=storm burst=20"
    " nodelay;",
    source=f"{_REQ}#limit_req",
)
RULES = (
    SINGLE_KEY, FORWARDED, NO_BURST, DELAY, ALL_REQUESTS, STATUS, CONN_STATUS, FEW_CONNECTIONS, IPV6,
    SMALL_ZONE, NO_LIMIT,
)  # fmt: skip


def check(site: Site) -> Iterator[Finding]:
    """The limits of each location with WebSockets."""
    requests, connections = zones(site, "limit_req_zone"), zones(site, "limit_conn_zone")
    for location in site.locations:
        limits = location.scope.inherited("limit_req")
        caps = location.scope.inherited("limit_conn")
        for limit in limits:
            zone = requests.get(limit.option("zone") or "")
            yield from _key(site, location, limit, zone)
            yield from _rate(location, limit, zone)
        for cap in caps:
            zone = connections.get(cap.value)
            yield from _key(site, location, cap, zone)
            yield from _cap(cap, zone)
        yield from _status(location, limits, STATUS)
        yield from _status(location, caps, CONN_STATUS)
        if not limits and not caps and not location.scope.unsure_of("limit_req"):
            yield NO_LIMIT.at(location.place, f"{location.name} has no limit_req and no limit_conn")


def _key(site: Site, location: Location, limit: Directive, zone: Zone | None) -> Iterator[Finding]:
    if zone is None or unknown(zone.key.text):
        return
    key, place = zone.key, zone.directive.place
    if key.single:
        # A map that makes one word for all has been written for that.
        meant = "$" in key.text and not key.identity
        most = f", and limit_conn admits {limit.args[-1]} in all" if limit.name == "limit_conn" else ""
        yield SINGLE_KEY.at(
            place,
            f"{zone.directive.name} counts by {key.text}{most}",
            severity=Severity.NOTE if meant else None,
        )
    elif key.forwarded and not key.by_address:
        yield FORWARDED.at(place, f"{zone.directive.name} counts by {key.text}")
    size_bytes = size(zone.size)
    places = None if size_bytes is None else size_bytes // _PLACE_BYTES
    if places is not None and not key.single and places < max(_FEW_PLACES, site.clients.number or 0):
        yield SMALL_ZONE.at(place, f"zone={zone.name}:{zone.size} has places for {places:,} addresses")
    server = location.server
    six = server is not None and any("[" in one.value for one in server.own("listen"))
    if six and key.by_address and not key.masked:
        yield IPV6.at(place, f"{limit.name} counts whole addresses, and the server listens on IPv6")


def _rate(location: Location, limit: Directive, zone: Zone | None) -> Iterator[Finding]:
    if any(map(unknown, limit.args)):
        return
    burst = whole(limit.option("burst") or "0") or 0
    counts_all = zone is not None and zone.key.by_address and not zone.key.only_new
    if location.polling and counts_all:
        yield ALL_REQUESTS.at(
            limit.place,
            f"limit_req with {f'burst={burst}' if burst else 'no burst'} counts every request of"
            f" {location.name}",
            severity=Severity.ERROR if burst < POLLING_REQUESTS - 1 else None,
        )
    elif not burst:
        yield NO_BURST.at(limit.place, "limit_req without burst")
    delayed = burst - (whole(limit.option("delay") or "0") or 0)
    if burst and "nodelay" not in limit.args and zone is not None and zone.rate_hz:
        longest_s = delayed / zone.rate_hz
        yield DELAY.at(
            limit.place,
            f"limit_req with a burst of {burst} and without nodelay delays up to"
            f" {written(round(longest_s, 1))}",
            severity=Severity.WARNING if longest_s >= CONNECT_TIMEOUT_S else None,
        )


def _cap(cap: Directive, zone: Zone | None) -> Iterator[Finding]:
    number = whole(cap.args[-1])
    if number is not None and number < FEW_PER_ADDRESS and zone is not None and zone.key.by_address:
        yield FEW_CONNECTIONS.at(cap.place, f"limit_conn admits {number} open sockets per address")


def _status(location: Location, limits: list[Directive], rule: Rule) -> Iterator[Finding]:
    if not limits:
        return
    name = f"{limits[0].name}_status"
    status = location.scope.value(name)
    if status is None and not location.scope.unsure_of(name):
        yield rule.at(limits[0].place, f"no {name}, which is 503 by default")
    elif status is not None and status.startswith("5"):
        yield rule.at(location.scope.inherited(name)[-1].place, f"{name} {status}")
