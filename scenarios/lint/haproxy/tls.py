"""Rules about TLS at HAProxy: whether clients that come back can resume their session."""

from collections.abc import Iterator

from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.haproxy.site import Site

_MANUAL = "HAProxy configuration manual"

NO_RESUMPTION = Rule(
    name="haproxy-tls-no-resumption",
    severity=Severity.NOTE,
    happens="clients resume only from a cache of 20,000 sessions and 5 min by default, so most of those"
    " that come back make a full handshake",
    change="no-tls-tickets removed, or tune.ssl.cachesize and tune.ssl.lifetime for all clients",
    source=f"{_MANUAL}, no-tls-tickets, tune.ssl.cachesize and tune.ssl.lifetime",
)
RULES = (NO_RESUMPTION,)


def check(site: Site) -> Iterator[Finding]:
    """Frontends of WebSockets that speak TLS."""
    process = site.process
    default = process.found("ssl-default-bind-options") if process else None
    if (
        process is not None
        and process.found("tune.ssl.cachesize")
        and process.value("tune.ssl.cachesize") != "0"
    ):
        return
    for front in site.fronts:
        for bind in front.own("bind"):
            if "ssl" not in bind.words:
                continue
            off = bind if "no-tls-tickets" in bind.words else default
            if off is not None and "no-tls-tickets" in off.words:
                none = process is not None and process.value("tune.ssl.cachesize") == "0"
                yield NO_RESUMPTION.at(
                    off.place, "no-tls-tickets", severity=Severity.WARNING if none else None
                )
