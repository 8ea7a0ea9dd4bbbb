"""Rules about nginx's upstreams: who is taken out, who is asked again, and who stays with whom."""

from collections.abc import Iterator

from scenarios.lint import effects
from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.nginx.site import Location, Site, Upstream
from scenarios.lint.quantities import nginx_seconds

_UPSTREAM = "https://nginx.org/en/docs/http/ngx_http_upstream_module.html"
_PROXY = "https://nginx.org/en/docs/http/ngx_http_proxy_module.html"

MAX_FAILS = Rule(
    name="nginx-max-fails",
    severity=Severity.WARNING,
    happens="a pod that is late under load is taken for dead, and its clients go to the others, which then"
    " fail in turn",
    change="max_fails=0 on each server of the upstream, where readiness probes take a dead pod out; without"
    " them, its clients go on coming to it, so rather a larger max_fails",
    source=f"{_UPSTREAM}#max_fails; mattermost/mattermost-load-test-ng#719",
)
NEXT = Rule(
    name="nginx-next-upstream",
    severity=Severity.WARNING,
    happens="an attempt that fails at one pod is made again at the next ones, so in an overload each"
    " attempt of a client is several; the GET that opens a WebSocket is repeated as well",
    change="proxy_next_upstream error; with proxy_next_upstream_tries 2; (or off, where readiness"
    " probes take a dead pod out)",
    source=f"{_PROXY}#proxy_next_upstream",
)
STICKY = Rule(
    name="nginx-sticky-missing",
    severity=Severity.ERROR,
    happens=effects.NOT_STICKY,
    change="hash $remote_addr consistent; or sticky cookie …; (--websocket-only if no client begins with"
    " polling)",
    source="https://socket.io/docs/v4/using-multiple-nodes/; socketio/socket.io#3539",
)
IP_HASH = Rule(
    name="nginx-ip-hash",
    severity=Severity.NOTE,
    happens="it looks at three octets of an IPv4 address, so all clients of one network or carrier are on"
    " one pod, and a restart of that pod brings all of them back to it at once",
    change="hash $binary_remote_addr consistent; or sticky cookie …;",
    source=f"{_UPSTREAM}#ip_hash",
)
SINGLE = Rule(
    name="nginx-single-server",
    severity=Severity.NOTE,
    happens="a restart of the only server closes every WebSocket at once, and nothing else can take the"
    " clients",
    change="add a server to the upstream",
    source=f"{_UPSTREAM}#server",
)
ZONE = Rule(
    name="nginx-upstream-zone",
    severity=Severity.NOTE,
    happens="each worker counts connections and failures for itself, so least_conn spreads clients over"
    " pods unevenly",
    change="zone <name> 64k; in the upstream",
    source=f"{_UPSTREAM}#zone",
)
RULES = (MAX_FAILS, NEXT, STICKY, IP_HASH, SINGLE, ZONE)


def check(site: Site) -> Iterator[Finding]:
    """Each upstream of WebSockets, and the locations that lead to it."""
    for upstream in site.upstreams:
        yield from _upstream(site, upstream)
    for location in site.locations:
        if location.upstream is not None and len(location.upstream.servers) > 1:
            yield from _retries(location)
            if location.polling and not location.upstream.sticky:
                yield STICKY.at(
                    location.upstream.place,
                    f"upstream {location.upstream.name} has {len(location.upstream.servers)} servers and no"
                    f" stickiness, and {location.name} is polled",
                )


def _upstream(site: Site, upstream: Upstream) -> Iterator[Finding]:
    servers = upstream.servers
    if len(servers) == 1 and upstream.sure:
        yield SINGLE.at(servers[0].place, f"upstream {upstream.name} has one server")
    if len(servers) < 2:
        return
    ejected = [
        one
        for one in servers
        if one.option("max_fails") != "0" and nginx_seconds(one.option("fail_timeout") or "10s") != 0
    ]
    if ejected:
        written = ejected[0].option("max_fails")
        what = f"max_fails={written}" if written else "max_fails is 1 and fail_timeout 10 s by default"
        yield MAX_FAILS.at(ejected[0].place, f"{what} in upstream {upstream.name}")
    if found := upstream.scope.own("ip_hash"):
        yield IP_HASH.at(found[-1].place, "ip_hash")
    if site.workers != 1 and upstream.scope.own("least_conn") and not upstream.scope.own("zone"):
        yield ZONE.at(upstream.place, f"upstream {upstream.name} has least_conn and no zone")


def _retries(location: Location) -> Iterator[Finding]:
    found = location.scope.inherited("proxy_next_upstream")
    if (found and "off" in found[-1].args) or location.scope.value("proxy_next_upstream_tries") in {"1", "2"}:
        return
    if location.scope.unsure_of("proxy_next_upstream"):
        return
    if found and not {*found[-1].args} - {"error"}:
        return
    what = " ".join(found[-1].args) if found else "error timeout by default"
    yield NEXT.at(
        found[-1].place if found else location.place,
        f"proxy_next_upstream is {what} in {location.name}",
        severity=None if found else Severity.NOTE,
    )
