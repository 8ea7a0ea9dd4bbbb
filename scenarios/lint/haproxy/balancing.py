"""Rules about HAProxy's servers: how many sockets fit, who is taken out, who stays with whom."""

from collections.abc import Iterator

from scenarios.lint import effects
from scenarios.lint.finding import Finding, Place, Rule, Severity
from scenarios.lint.haproxy.parse import Section
from scenarios.lint.haproxy.site import Site, number, server_has, server_option, servers, several, sticky
from scenarios.lint.placeholders import unknown

_MANUAL = "HAProxy configuration manual"
_DEFAULT_RETRIES = 3

MAXCONN = Rule(
    name="haproxy-maxconn",
    severity=Severity.WARNING,
    happens="each WebSocket takes one connection for as long as it is open, and clients above that number"
    " wait in the kernel's queue until they give up and come again",
    change="maxconn <clients, and half as many again in reserve>",
    source=f"{_MANUAL}, maxconn",
)
NO_MAXCONN = Rule(
    name="haproxy-no-maxconn",
    severity=Severity.NOTE,
    happens="the number of sockets follows from the limit of open files where HAProxy is started, two for"
    " each client, and may be too small, or more than its memory holds",
    change="maxconn <number of clients × 1.5> in global",
    source=f"{_MANUAL}, maxconn (process management)",
)
SERVER_MAXCONN = Rule(
    name="haproxy-server-maxconn",
    severity=Severity.WARNING,
    happens="a WebSocket keeps its place at the server for as long as it is open, so clients above that"
    " number wait in the backend's queue and are answered 503 after timeout queue",
    change="a maxconn of each server that is larger than its share of the clients",
    source=f"{_MANUAL}, server maxconn",
)
FULLCONN = Rule(
    name="haproxy-fullconn",
    severity=Severity.WARNING,
    happens="without fullconn, the servers' limits grow from minconn to maxconn only as the load nears 10"
    " % of all frontends' maxconn, and WebSockets fill them before",
    change="fullconn <number of clients>, or no minconn",
    source=f"{_MANUAL}, fullconn",
)
RETRIES = Rule(
    name="haproxy-retries",
    severity=Severity.NOTE,
    happens="a connection that a full pod does not accept is tried again by HAProxy, while the client"
    " tries again, too",
    change="retries 1, or retries 0",
    source=f"{_MANUAL}, retries",
)
RETRY_ON = Rule(
    name="haproxy-retry-on",
    severity=Severity.WARNING,
    happens="attempts that a busy pod sheds are made again at once, so in an overload each attempt of a"
    " client is several",
    change="no retry-on, or retry-on conn-failure",
    source=f"{_MANUAL}, retry-on",
)
REDISPATCH = Rule(
    name="haproxy-redispatch",
    severity=Severity.NOTE,
    happens="an attempt that fails at one pod is made again at another one, so the others get the load of"
    " a full pod as well",
    change="no option redispatch",
    source=f"{_MANUAL}, option redispatch",
)
HEALTH = Rule(
    name="haproxy-health-check",
    severity=Severity.NOTE,
    happens="a pod that is late under load fails its checks and is taken out, and its clients go to the"
    " others, which then fail in turn",
    change="a check of something cheap, with timeout check 10s and fall 10",
    source=f"{_MANUAL}, check, fall and inter: 3 failures, 2 s apart",
)
SHUTDOWN = Rule(
    name="haproxy-shutdown-sessions",
    severity=Severity.WARNING,
    happens=effects.CUT_ON_FAILED_CHECK,
    change="no on-marked-down shutdown-sessions",
    source=f"{_MANUAL}, on-marked-down",
)
OBSERVE = Rule(
    name="haproxy-observe",
    severity=Severity.WARNING,
    happens="a pod that sheds load with 503 is counted as failing and is taken out, and its clients go to"
    " the others, which then fail in turn",
    change="no observe, or on-error fastinter",
    source=f"{_MANUAL}, observe",
)
STICKY = Rule(
    name="haproxy-sticky-missing",
    severity=Severity.ERROR,
    happens=effects.NOT_STICKY,
    change="cookie io prefix indirect nocache, with a cookie for each server (--websocket-only if no"
    " client begins with polling)",
    source="https://socket.io/docs/v4/using-multiple-nodes/",
)
SOURCE = Rule(
    name="haproxy-balance-source",
    severity=Severity.NOTE,
    happens="all clients behind one address are on one pod, and without hash-type consistent a change of"
    " the number of pods moves nearly all clients",
    change="balance leastconn with a cookie, or hash-type consistent",
    source=f"{_MANUAL}, balance",
)
ROUND_ROBIN = Rule(
    name="haproxy-balance-roundrobin",
    severity=Severity.NOTE,
    happens="a pod that starts late gets its share of new sockets only, and stays emptier than the others"
    " for as long as sockets live",
    change="balance leastconn",
    source=f"{_MANUAL}, balance: leastconn is recommended where very long sessions are expected",
)
RULES = (
    MAXCONN, NO_MAXCONN, SERVER_MAXCONN, FULLCONN, RETRIES, RETRY_ON, REDISPATCH, HEALTH, SHUTDOWN, OBSERVE,
    STICKY, SOURCE, ROUND_ROBIN,
)  # fmt: skip


def check(site: Site) -> Iterator[Finding]:
    """Each backend of WebSockets, and what bounds their number."""
    if site.backs:
        yield from _room(site)
    for back in site.backs:
        yield from _server_room(site, back)
        yield from _retries(back)
        yield from _ejection(back)
        yield from _balance(site, back)


def _room(site: Site) -> Iterator[Finding]:
    severity = None if site.clients.number is None else Severity.ERROR
    process = site.process
    bounds = {
        one.place: one
        for section in (*site.fronts, *([process] if process else []))
        if (one := section.found("maxconn"))
    }
    for line in bounds.values():
        most = number(line.words[-1])
        if most and not site.clients.fit(most):
            yield MAXCONN.at(line.place, line.text, severity=severity)
    if process is not None and process.found("maxconn") is None:
        yield NO_MAXCONN.at(site.first, "no maxconn in global")


def _server_room(site: Site, back: Section) -> Iterator[Finding]:
    found = [(one, number(server_option(back, one, "maxconn"))) for one in servers(back)]
    room = sum(most or 0 for _, most in found)
    # A template makes some, and one of a loop stands for several.
    bounded = found and all(
        most and one.words[0] == "server" and not any(map(unknown, one.words)) for one, most in found
    )
    if bounded and not site.clients.fit(room):
        yield SERVER_MAXCONN.at(
            found[0][0].place,
            f"the servers of {back.name} have room for {room} sockets in all",
            severity=None if site.clients.number is None else Severity.ERROR,
        )
    dynamic = next((one for one in servers(back) if server_option(back, one, "minconn")), None)
    if dynamic is not None and back.found("fullconn") is None:
        yield FULLCONN.at(dynamic.place, f"minconn without fullconn in {back.name}")


def _retries(back: Section) -> Iterator[Finding]:
    line = back.found("retries")
    times = number(line.words[-1]) if line else _DEFAULT_RETRIES
    place = line.place if line else back.place
    if times is None or times < 1:
        return
    on = back.found("retry-on")
    if on is not None and {*on.words[1:]} - {"none", "conn-failure"}:
        yield RETRY_ON.at(on.place, on.text)
    if times > 1:
        yield RETRIES.at(place, f"retries is {times}{'' if line else ' by default'} in {back.name}")
    redispatch = back.option("redispatch")
    if redispatch is not None and several(back):
        yield REDISPATCH.at(redispatch.place, "option redispatch")


def _ejection(back: Section) -> Iterator[Finding]:
    checked = [one for one in servers(back) if server_has(back, one, "check")]
    if checked and several(back):
        fall = number(server_option(back, checked[0], "fall"))
        once = fall == 1
        yield HEALTH.at(
            checked[0].place,
            f"the servers of {back.name} are checked{', and one failure is enough' if once else ''}",
            severity=Severity.WARNING if once else None,
        )
    for rule, word, value in (
        (SHUTDOWN, "on-marked-down", "shutdown-sessions"),
        (OBSERVE, "observe", "layer7"),
    ):
        found = next((one for one in servers(back) if server_option(back, one, word) == value), None)
        if found is not None:
            yield rule.at(found.place, f"{word} {value} in {back.name}")


def _balance(site: Site, back: Section) -> Iterator[Finding]:
    if not several(back):
        return
    line = back.found("balance")
    how = line.words[1] if line and len(line.words) > 1 else "roundrobin"
    place: Place = line.place if line else back.place
    if back.name in site.polling and back.mode == "http" and not sticky(back):
        yield STICKY.at(place, f"backend {back.name} has several servers, no stickiness, and is polled")
    hashed = back.found("hash-type")
    if how == "source" and (hashed is None or "consistent" not in hashed.words):
        yield SOURCE.at(place, "balance source")
    if how in {"roundrobin", "static-rr"}:
        yield ROUND_ROBIN.at(place, f"balance is {how}{'' if line else ' by default'} in {back.name}")
