"""Rules about HAProxy's limits: stick tables, what they count by, and how a refusal looks."""

import re
from collections.abc import Iterator

from scenarios.lint import effects
from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.haproxy.parse import Line, Section
from scenarios.lint.haproxy.site import Site, limits, meaning
from scenarios.lint.quantities import haproxy_seconds, size

_MANUAL = "HAProxy configuration manual"
_FEW_KEYS = 10_000
_RATE_STORE = re.compile(r"(\w+)\((\d+(?:us|ms|[smhd])?)\)")
_COUNTS_REQUESTS = re.compile(r"http_req_(?:rate|cnt)")
_FROM_BALANCER = re.compile(
    r"(?:hdr|fhdr)\w*\(\s*(?:x-forwarded-(?:for|proto|port)|cf-connecting-ip)", re.IGNORECASE
)
_SAME_KEY = re.compile(
    r"(?:int|str|bool|hdr|req\.hdr|req\.fhdr|dst|dst_port|base|path|always_true)\b(?:\((?:host|\w*)\))?"
)
_BY_SOURCE = re.compile(r"\bsrc(?:\b|_)")

DENY_STATUS = Rule(
    name="haproxy-deny-status",
    severity=Severity.WARNING,
    happens="clients take it for a final answer or a broken gateway: some never come again, and alerts"
    " cannot tell a limit from an outage",
    change="http-request deny deny_status 429 if …",
    source=f"{_MANUAL}, http-request deny: 403 by default",
)
TARPIT = Rule(
    name="haproxy-tarpit",
    severity=Severity.WARNING,
    happens="each attempt that is refused keeps a connection open for timeout tarpit, so a storm uses up"
    " maxconn",
    change="http-request deny deny_status 429 if …",
    source=f"{_MANUAL}, http-request tarpit",
)
IPV4_TABLE = Rule(
    name="haproxy-stick-table-ipv4",
    severity=Severity.NOTE,
    happens="an IPv6 address does not fit into the table, so clients with IPv6 are not limited at all",
    change="stick-table type ipv6 …, and track src,ipmask(32,64)",
    source=f"{_MANUAL}, stick-table type",
)
WHOLE_IPV6 = Rule(
    name="haproxy-limit-ipv6",
    severity=Severity.NOTE,
    happens=effects.WHOLE_IPV6,
    change="track src,ipmask(32,64)",
    source="RFC 6177: a site gets at least a /64",
)
SMALL_TABLE = Rule(
    name="haproxy-stick-table-size",
    severity=Severity.WARNING,
    happens="a storm has more addresses than the table has places, so the oldest counts are forgotten and"
    " their clients get in again",
    change="stick-table … size 1m expire 10m …",
    source=f"{_MANUAL}, stick-table size",
)
SHORT_EXPIRY = Rule(
    name="haproxy-stick-table-expire",
    severity=Severity.WARNING,
    happens="a key is forgotten before its rate is over, so a client that waits that long starts from"
    " nothing",
    change="an expire that is at least as long as the longest rate of the table",
    source=f"{_MANUAL}, stick-table expire",
)
BEHIND = Rule(
    name="haproxy-limit-behind-proxy",
    severity=Severity.WARNING,
    happens="every client has the address of the load balancer, so a limit per address is one limit for"
    " all clients",
    change="bind … accept-proxy, or http-request set-src hdr(x-forwarded-for) before the limit",
    source=f"{_MANUAL}, src and http-request set-src",
)
SINGLE_KEY = Rule(
    name="haproxy-limit-single-key",
    severity=Severity.WARNING,
    happens=effects.SINGLE_KEY,
    change="track src,ipmask(32,64), or another value that differs between clients",
    source=f"{_MANUAL}, http-request track-sc0",
)
ALL_REQUESTS = Rule(
    name="haproxy-limit-all-requests",
    severity=Severity.WARNING,
    happens=effects.ALL_REQUESTS,
    change="count new connections only: http-request track-sc0 src if { path_beg /socket.io/ }"
    " !{ url_param(sid) -m found }",
    source=f"{_MANUAL}, http_req_rate",
)
NO_LIMIT = Rule(
    name="haproxy-no-limit",
    severity=Severity.NOTE,
    happens=effects.NO_LIMIT,
    change="http-request track-sc0 src,ipmask(32,64) with http-request deny deny_status 429 if"
    " { sc_http_req_rate(0) gt … }",
    source=f"{_MANUAL}, stick-table",
)
RULES = (
    DENY_STATUS, TARPIT, IPV4_TABLE, WHOLE_IPV6, SMALL_TABLE, SHORT_EXPIRY, BEHIND, SINGLE_KEY, ALL_REQUESTS,
    NO_LIMIT,
)  # fmt: skip


def check(site: Site) -> Iterator[Finding]:
    """Each frontend of WebSockets, and the backends that limit for themselves."""
    sections = {one.place: one for one in (*site.fronts, *site.backs)}.values()
    limited = False
    for section in sections:
        refusals = [*limits(section)]
        limited = limited or bool(refusals) or section.found("rate-limit", "sessions") is not None
        for line in refusals:
            yield from _refusal(section, line)
        if refusals:
            yield from _keys(site, section, refusals)
            yield from _tables(site, section)
    if site.backs and not limited:
        place = site.fronts[0].place if site.fronts else site.backs[0].place
        yield NO_LIMIT.at(place, "no rule refuses by a rate")


def _refusal(section: Section, line: Line) -> Iterator[Finding]:
    if "tarpit" in line.words:
        yield TARPIT.at(line.place, f"http-request tarpit in {section.kind} {section.name}")
    elif "deny" in line.words:
        status = line.after("deny_status") or line.after("status")
        if status is None or status in {"403", "500", "502", "503", "504"}:
            yield DENY_STATUS.at(line.place, f"http-request deny with {status or '403, the default'}")


def _tracked(section: Section) -> list[Line]:
    """The lines that say what is counted."""
    return [line for line in section.lines if any(word.startswith("track-sc") for word in line.words[:3])]


def _key(line: Line) -> str:
    where = next(index for index, word in enumerate(line.words) if word.startswith("track-sc"))
    return line.words[where + 1] if where + 1 < len(line.words) else ""


def _keys(site: Site, section: Section, refusals: list[Line]) -> Iterator[Finding]:
    tracked = _tracked(section)
    by_source = [line for line in tracked if _BY_SOURCE.match(_key(line))]
    by_source += [line for line in refusals if not tracked and _BY_SOURCE.search(meaning(section, line))]
    for line in tracked:
        if _SAME_KEY.fullmatch(_key(line).split(",", maxsplit=1)[0]):
            yield SINGLE_KEY.at(line.place, f"counts by {_key(line)}")
    sign = _balancer(section)
    if by_source and sign is not None:
        yield BEHIND.at(
            by_source[0].place, f"counts by src, and line {sign.place.line} reads a header of a load balancer"
        )
    six = any(
        "::" in line.text or "v6only" in line.words or "v4v6" in line.words for line in section.own("bind")
    )
    whole = [line for line in by_source if "ipmask" not in line.text]
    if six and whole:
        yield WHOLE_IPV6.at(whole[0].place, "counts whole addresses, and the frontend listens on IPv6")
    everything = [
        line
        for line in tracked
        if "sid" not in meaning(section, line) and "websocket" not in meaning(section, line).lower()
    ]
    counted = any(_COUNTS_REQUESTS.search(meaning(section, line)) for line in refusals)
    if (
        site.polling
        and everything
        and counted
        and not any("sid" in meaning(section, line) for line in refusals)
    ):
        yield ALL_REQUESTS.at(everything[0].place, "http_req_rate counts every request of a polling client")


def _balancer(section: Section) -> Line | None:
    """A line that reads what a load balancer sets, unless the section takes the client's address from it."""
    for line in section.lines:
        if "accept-proxy" in line.words or "set-src" in line.words or "expect-proxy" in line.words:
            return None
    return next(
        (
            line
            for line in section.lines
            if _FROM_BALANCER.search(line.text) and not line.starts("http-request", "del-header")
        ),
        None,
    )


def _tables(site: Site, section: Section) -> Iterator[Finding]:
    """The stick tables that the section counts in: its own, and those that it names."""
    names = {name for line in section.lines for name in [line.after("table")] if name}
    named = re.findall(
        r"sc_?\w*\(\d+,([\w.-]+)\)|src_\w+\(([\w.-]+)\)", " ".join(line.text for line in section.lines)
    )
    names |= {name for pair in named for name in pair if name}
    for owner in site.sections:
        if owner.place != section.place and owner.name not in names:
            continue
        for line in owner.own("stick-table"):
            yield from _table(section, line)


def _table(section: Section, line: Line) -> Iterator[Finding]:
    kind = line.after("type")
    places = size(line.after("size") or "")
    if kind == "ip":
        six = any("::" in one.text or "v4v6" in one.words for one in section.own("bind"))
        yield IPV4_TABLE.at(line.place, "stick-table type ip", severity=Severity.WARNING if six else None)
    if places is not None and places < _FEW_KEYS and kind in {"ip", "ipv6"}:
        yield SMALL_TABLE.at(line.place, f"stick-table size {line.after('size')}")
    expire_s = haproxy_seconds(line.after("expire") or "")
    periods = [
        value for _, text in _RATE_STORE.findall(line.text) if (value := haproxy_seconds(text)) is not None
    ]
    if expire_s is not None and periods and expire_s < max(periods):
        yield SHORT_EXPIRY.at(
            line.place, f"stick-table expire {line.after('expire')} with a rate over a longer time"
        )
