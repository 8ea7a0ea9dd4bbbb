"""Rules about nginx's block `stream`, which passes WebSockets on without looking into them."""

from collections.abc import Iterator

from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.nginx.site import Site, Stream
from scenarios.lint.quantities import nginx_seconds
from scenarios.lint.quiet import too_short

_MODULE = "https://nginx.org/en/docs/stream/ngx_stream_proxy_module.html"

TIMEOUT = Rule(
    name="nginx-stream-timeout",
    severity=Severity.WARNING,
    happens="nginx cuts a socket on which nothing was sent either way for that long, and those that joined"
    " together are cut together and come back together",
    change="proxy_timeout 1h;",
    source=f"{_MODULE}#proxy_timeout: 10 min by default",
)
ADDRESS = Rule(
    name="nginx-stream-address",
    severity=Severity.NOTE,
    happens="what is behind sees the address of nginx only, so a limit or a balance by address there takes"
    " all clients for one",
    change="proxy_protocol on; and behind it listen … proxy_protocol; real_ip_header proxy_protocol;",
    source=f"{_MODULE}#proxy_protocol",
)
STICKY = Rule(
    name="nginx-stream-sticky-missing",
    severity=Severity.WARNING,
    happens="a polling client opens several connections, which go to different pods, and those answer 400 to"
    " a session that they do not know",
    change="hash $remote_addr consistent; (--websocket-only if no client begins with polling)",
    source="https://socket.io/docs/v4/using-multiple-nodes/",
)
RULES = (TIMEOUT, ADDRESS, STICKY)


def check(site: Site) -> Iterator[Finding]:
    """Each server of the block `stream` whose upstream or variable is named after WebSockets."""
    for stream in site.streams:
        yield from _stream(stream)


def _stream(stream: Stream) -> Iterator[Finding]:
    found = stream.scope.inherited("proxy_timeout")
    limit_s = nginx_seconds(found[-1].value) if found else None
    if limit_s is not None and (short := too_short(limit_s, engine_io=stream.engine_io)):
        yield TIMEOUT.at(
            found[-1].place, f"proxy_timeout {found[-1].value} {short.why}", severity=short.severity
        )
    if stream.scope.value("proxy_protocol") != "on" and not stream.scope.inherited("proxy_bind"):
        yield ADDRESS.at(stream.place, f"proxy_pass {stream.target} without proxy_protocol")
    upstream = stream.upstream
    if stream.polling and upstream is not None and len(upstream.servers) > 1 and not upstream.sticky:
        yield STICKY.at(upstream.place, f"upstream {upstream.name} has several servers and no hash")
