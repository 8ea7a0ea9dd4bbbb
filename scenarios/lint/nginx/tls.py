"""Rules about TLS at nginx: whether clients that come back can resume their session."""

from collections.abc import Iterator

from scenarios.lint.clients import LONG_LIFE_S
from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.nginx.site import Site, listens
from scenarios.lint.nginx.tree import Scope
from scenarios.lint.quantities import nginx_seconds, written

_SSL = "https://nginx.org/en/docs/http/ngx_http_ssl_module.html"
_DEFAULT_S = 300.0

NO_RESUMPTION = Rule(
    name="nginx-tls-no-resumption",
    severity=Severity.WARNING,
    happens="every client that comes back makes a full handshake, so nginx is out of CPU before the"
    " gateway is",
    change="ssl_session_cache shared:TLS:50m; or ssl_session_tickets on;",
    source=f"{_SSL}#ssl_session_cache",
)
NO_CACHE = Rule(
    name="nginx-tls-session-cache",
    severity=Severity.NOTE,
    happens="only clients with session tickets resume, and not after a reload, which makes new ticket keys",
    change="ssl_session_cache shared:TLS:50m; and ssl_session_ticket_key",
    source=f"{_SSL}#ssl_session_tickets",
)
SHORT_SESSION = Rule(
    name="nginx-tls-session-timeout",
    severity=Severity.NOTE,
    happens="a client whose WebSocket was open for longer makes a full handshake when it comes back, and"
    " that is nearly every client",
    change="ssl_session_timeout 1d;",
    source=f"{_SSL}#ssl_session_timeout",
)
RULES = (NO_RESUMPTION, NO_CACHE, SHORT_SESSION)


def check(site: Site) -> Iterator[Finding]:
    """Each server with WebSockets that speaks TLS."""
    for server in site.servers:
        ssl = [one for one in listens(server) if "ssl" in one.args]
        if not ssl and server.value("ssl") != "on":
            continue
        if not any(one.name == "include" for scope in server.chain for one in scope.own("include")):
            yield from _server(server)


def _server(server: Scope) -> Iterator[Finding]:
    cache = server.inherited("ssl_session_cache")
    shared = any(word.startswith("shared:") for one in cache for word in one.args)
    tickets = server.inherited("ssl_session_tickets")
    if not shared and tickets and tickets[-1].value == "off":
        yield NO_RESUMPTION.at(tickets[-1].place, "ssl_session_tickets off without ssl_session_cache shared")
        return
    if not shared:
        yield NO_CACHE.at(cache[-1].place if cache else server.place, "no ssl_session_cache shared")
    timeout = server.inherited("ssl_session_timeout")
    limit_s = nginx_seconds(timeout[-1].value) if timeout else _DEFAULT_S
    if limit_s is not None and limit_s < LONG_LIFE_S:
        place = timeout[-1].place if timeout else server.place
        yield SHORT_SESSION.at(
            place, f"ssl_session_timeout is {written(limit_s)}{'' if timeout else ' by default'}"
        )
