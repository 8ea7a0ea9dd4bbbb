"""Rules about nginx's time-outs and buffers on the way of a WebSocket or a long poll."""

from collections.abc import Iterator

from scenarios.lint import effects
from scenarios.lint.clients import CONNECT_TIMEOUT_S
from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.nginx.site import Location, Site
from scenarios.lint.quantities import nginx_seconds, whole, written
from scenarios.lint.quiet import too_short

_PROXY = "https://nginx.org/en/docs/http/ngx_http_proxy_module.html"
_CORE = "https://nginx.org/en/docs/http/ngx_http_core_module.html"
_DEFAULT_S = 60.0
_SHORT_ANSWER_BYTES = 256

READ = Rule(
    name="nginx-read-timeout",
    severity=Severity.WARNING,
    happens=effects.NGINX_CUTS,
    change="proxy_read_timeout 1h;",
    source=f"{_PROXY}#proxy_read_timeout; socketio/socket.io#3025",
)
CONNECT = Rule(
    name="nginx-connect-timeout",
    severity=Severity.NOTE,
    happens="nginx goes on waiting for a full pod after the client has given up and come again",
    change=f"proxy_connect_timeout {CONNECT_TIMEOUT_S / 4:g}s;",
    source=f"{_PROXY}#proxy_connect_timeout; socket.io-client gives up after {CONNECT_TIMEOUT_S:g} s",
)
BUFFERING = Rule(
    name="nginx-buffering",
    severity=Severity.NOTE,
    happens="nginx collects the answers to long polls and event streams before it sends them on: clients"
    " get data late, and each poll takes buffers",
    change="proxy_buffering off;",
    source=f"{_PROXY}#proxy_buffering",
)
KEEPALIVE = Rule(
    name="nginx-keepalive-off",
    severity=Severity.WARNING,
    happens=effects.NO_KEEPALIVE,
    change="keepalive_timeout 75s;",
    source=f"{_CORE}#keepalive_timeout",
)
GZIP = Rule(
    name="nginx-gzip",
    severity=Severity.NOTE,
    happens="nginx compresses the answer to each poll and handshake, a few hundred bytes that hardly shrink,"
    " and has less CPU for the storm; WebSockets are not affected",
    change="gzip off; in this location",
    source="https://nginx.org/en/docs/http/ngx_http_gzip_module.html: polls are answered with text/plain",
)
ACCESS_LOG = Rule(
    name="nginx-access-log",
    severity=Severity.NOTE,
    happens="nginx writes to disk once per attempt, when attempts are most frequent",
    change="access_log <file> combined buffer=64k flush=1s;",
    source="https://nginx.org/en/docs/http/ngx_http_log_module.html#access_log",
)
RULES = (READ, CONNECT, BUFFERING, KEEPALIVE, GZIP, ACCESS_LOG)


def check(site: Site) -> Iterator[Finding]:
    """Each location with WebSockets."""
    for location in site.locations:
        yield from _read(location)
        yield from _connect(location)
        if location.polling:
            yield from _polling(location)
        yield from _log(location)


def _read(location: Location) -> Iterator[Finding]:
    found = location.scope.inherited("proxy_read_timeout")
    if not found and location.scope.unsure_of("proxy_read_timeout"):
        return
    limit_s = nginx_seconds(found[-1].value) if found else _DEFAULT_S
    if limit_s is not None and (short := too_short(limit_s, engine_io=location.engine_io)):
        what = (
            f"proxy_read_timeout {found[-1].value}"
            if found
            else f"no proxy_read_timeout in {location.name}, and the default of 60 s"
        )
        place = found[-1].place if found else location.place
        yield READ.at(place, f"{what} {short.why}", severity=short.severity)


def _connect(location: Location) -> Iterator[Finding]:
    found = location.scope.inherited("proxy_connect_timeout")
    limit_s = nginx_seconds(found[-1].value) if found else _DEFAULT_S
    if (
        limit_s is not None
        and limit_s > CONNECT_TIMEOUT_S
        and (found or not location.scope.unsure_of("proxy_connect_timeout"))
    ):
        place = found[-1].place if found else location.place
        yield CONNECT.at(
            place, f"proxy_connect_timeout is {written(limit_s)}{'' if found else ' by default'}"
        )


def _polling(location: Location) -> Iterator[Finding]:
    buffering = location.scope.value("proxy_buffering")
    if buffering == "on" or (buffering is None and not location.scope.unsure_of("proxy_buffering")):
        yield BUFFERING.at(location.place, f"proxy_buffering is on{'' if buffering else ' by default'}")
    gzip = location.scope.inherited("gzip")
    types = [word for one in location.scope.inherited("gzip_types") for word in one.args]
    smallest = whole(location.scope.value("gzip_min_length") or "20")
    if (
        gzip
        and gzip[-1].value == "on"
        and {"text/plain", "*"} & {*types}
        and (smallest is None or smallest < _SHORT_ANSWER_BYTES)
    ):
        yield GZIP.at(gzip[-1].place, f"gzip on with gzip_types text/plain in {location.name}")
    found = location.scope.inherited("keepalive_timeout")
    if found and nginx_seconds(found[-1].value) == 0:
        yield KEEPALIVE.at(found[-1].place, f"keepalive_timeout {found[-1].value}")


def _log(location: Location) -> Iterator[Finding]:
    logs = [one for one in location.scope.inherited("access_log") if one.value != "off"]
    for log in logs:
        if log.option("buffer") is None and not log.value.startswith(("syslog:", "/dev/")):
            yield ACCESS_LOG.at(log.place, f"access_log {log.value} without buffer")
