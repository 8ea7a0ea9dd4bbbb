"""Rules about whose address nginx sees: the client's, or that of a load balancer in front of it."""

import re
from collections.abc import Iterator

from scenarios.lint.finding import Finding, Place, Rule, Severity
from scenarios.lint.nginx.limit_keys import zones
from scenarios.lint.nginx.site import Location, Site, listens
from scenarios.lint.nginx.tree import Directive, Scope

_REAL_IP = "https://nginx.org/en/docs/http/ngx_http_realip_module.html"
_SET_BY_A_BALANCER = re.compile(
    r"\$\{?http_(x_forwarded_(?:for|proto|port|host)|cf_connecting_ip|x_amzn?_\w+)"
)
_SAYS_NOTHING = {
    "log_format",
    "proxy_set_header",
    "add_header",
    "fastcgi_param",
    "limit_req_zone",
    "limit_conn_zone",
}
"""Directives that name such a header in many examples, whether or not there is a load balancer."""

BEHIND = Rule(
    name="nginx-limit-behind-proxy",
    severity=Severity.WARNING,
    happens="every client has the address of the load balancer, so a limit per address is one limit for"
    " all clients, and a balance by address sends all of them to one server",
    change="set_real_ip_from <networks of the load balancer>; real_ip_header X-Forwarded-For;"
    " real_ip_recursive on; (real_ip_header proxy_protocol where it speaks that)",
    source=f"{_REAL_IP}#real_ip_header",
)
RULES = (BEHIND,)


def check(site: Site) -> Iterator[Finding]:
    """Each limit, and each balance, that goes by the address of a client."""
    by_name = {"limit_req": zones(site, "limit_req_zone"), "limit_conn": zones(site, "limit_conn_zone")}
    for location in site.locations:
        uses: list[Directive] = []
        for name, known in by_name.items():
            for limit in location.scope.inherited(name):
                zone = known.get(limit.option("zone") or limit.value)
                if zone is not None and zone.key.by_address:
                    uses.append(limit)
        if location.upstream is not None:
            uses += [
                one
                for one in location.upstream.scope.own("ip_hash", "hash")
                if one.name == "ip_hash" or "remote_addr" in one.value
            ]
        if uses and (found := _why(site, location)):
            why, severity = found
            for one in uses:
                yield BEHIND.at(
                    one.place, f"{one.name} goes by the client's address, and {why}", severity=severity
                )


def _why(site: Site, location: Location) -> tuple[str, Severity] | None:
    """Why the address is that of a load balancer, and how sure that is; None where nothing says so."""
    scope = location.scope
    header = scope.value("real_ip_header")
    trusted = scope.inherited("set_real_ip_from")
    spoken = (
        [one for one in listens(location.server) if "proxy_protocol" in one.args] if location.server else []
    )
    if scope.unsure_of("real_ip_header"):
        return None
    if spoken and header != "proxy_protocol":
        return (
            f"listen has proxy_protocol without real_ip_header proxy_protocol (line {spoken[0].place.line})",
            Severity.ERROR,
        )
    if header is not None and not trusted:
        return "real_ip_header has no effect without set_real_ip_from", Severity.ERROR
    if trusted and header is None:
        return (
            "set_real_ip_from without real_ip_header reads X-Real-IP, which few load balancers send",
            Severity.NOTE,
        )
    if header is not None:
        return None
    sign = _sign(site.root)
    return (f"line {sign.line} reads a header that a load balancer sets", Severity.WARNING) if sign else None


def _sign(root: Scope) -> Place | None:
    """Where a decision depends on a header that a load balancer sets."""
    for one in root.everything():
        if one.name not in _SAYS_NOTHING and _SET_BY_A_BALANCER.search(" ".join(one.args)):
            return one.place
        if one.name == "proxy_set_header" and re.fullmatch(
            r"\$http_x_forwarded_proto", one.args[-1] if one.args else ""
        ):
            return one.place
    return None
