"""Rules about HAProxy's time-outs, and about what a reload does to WebSockets."""

from collections.abc import Iterator

from scenarios.lint import effects
from scenarios.lint.clients import CONNECT_TIMEOUT_S, LONG_LIFE_S
from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.haproxy.parse import Section
from scenarios.lint.haproxy.site import Site, seconds
from scenarios.lint.quantities import haproxy_seconds, written
from scenarios.lint.quiet import too_short

_MANUAL = "HAProxy configuration manual"

TUNNEL = Rule(
    name="haproxy-tunnel-timeout",
    severity=Severity.WARNING,
    happens="HAProxy cuts a WebSocket on which nothing was sent for that long, and those that joined"
    " together are cut together and come back together",
    change="timeout tunnel 1h",
    source=f"{_MANUAL}, timeout tunnel: without it, timeout client and timeout server apply to WebSockets",
)
NONE_SET = Rule(
    name="haproxy-no-timeouts",
    severity=Severity.WARNING,
    happens="clients that have gone without a word keep their slots for ever, until maxconn is used up",
    change="timeout client 1m, timeout server 1m and timeout tunnel 1h",
    source=f"{_MANUAL}, timeout client: an unspecified timeout is an infinite one",
)
CONNECT = Rule(
    name="haproxy-connect-timeout",
    severity=Severity.NOTE,
    happens="HAProxy goes on waiting for a full pod after the client has given up and come again",
    change="timeout connect 5s",
    source=f"{_MANUAL}, timeout connect; socket.io-client gives up after {CONNECT_TIMEOUT_S:g} s",
)
HARD_STOP = Rule(
    name="haproxy-hard-stop-after",
    severity=Severity.WARNING,
    happens="that long after each reload, the old process closes all its sockets at once: frequent reloads"
    " are as many small storms",
    change="hard-stop-after 4h",
    source=f"{_MANUAL}, hard-stop-after",
)
NO_HARD_STOP = Rule(
    name="haproxy-no-hard-stop",
    severity=Severity.NOTE,
    happens="old processes stay until their last WebSocket closes, so with each reload more of them hold"
    " memory and sockets",
    change="hard-stop-after 4h",
    source=f"{_MANUAL}, hard-stop-after; haproxy/haproxy#155, openshift/origin#9640",
)
HALF_CLOSED = Rule(
    name="haproxy-client-fin",
    severity=Severity.NOTE,
    happens="a socket that one side has closed keeps its place until timeout tunnel is over, and after a"
    " storm there are many",
    change="timeout client-fin 30s and timeout server-fin 30s",
    source=f"{_MANUAL}, timeout client-fin",
)
KEEPALIVE = Rule(
    name="haproxy-keepalive-off",
    severity=Severity.WARNING,
    happens=effects.NO_KEEPALIVE,
    change="no option httpclose",
    source=f"{_MANUAL}, option httpclose",
)
RULES = (TUNNEL, NONE_SET, CONNECT, HALF_CLOSED, KEEPALIVE, HARD_STOP, NO_HARD_STOP)


def check(site: Site) -> Iterator[Finding]:
    """Each backend of WebSockets, and the process."""
    for back in site.backs:
        front = _entrance(site, back)
        yield from _quiet(site, front, back)
        yield from _half_closed(front, back)
        closing = back.option("httpclose") or back.option("forceclose")
        if closing is not None and back.name in site.polling:
            yield KEEPALIVE.at(closing.place, f"{closing.text}, and {back.name} is polled")
        connect_s = seconds(back, "connect")
        line = back.found("timeout", "connect")
        if line is not None and connect_s is not None and connect_s > CONNECT_TIMEOUT_S:
            yield CONNECT.at(line.place, f"timeout connect is {written(connect_s)}")
    # A part of a configuration has no section global, and says nothing about the process.
    if site.backs and site.process is not None:
        yield from _reload(site.process)


def _entrance(site: Site, back: Section) -> Section:
    """The frontend whose time-out applies: that of the backend itself, or one that leads to it."""
    if back.kind == "listen":
        return back
    leads = (
        front
        for front in site.fronts
        if any(
            line.words[0] in {"use_backend", "default_backend"} and line.after(line.words[0]) == back.name
            for line in front.lines
        )
    )
    return next(leads, back)


def _quiet(site: Site, front: Section, back: Section) -> Iterator[Finding]:
    tunnel = back.found("timeout", "tunnel")
    if tunnel is not None:
        limit_s = seconds(back, "tunnel")
        what, place = f"timeout tunnel {tunnel.words[-1]}", tunnel.place
    else:
        given = [
            (value, line)
            for section, name in ((front, "client"), (back, "server"))
            if (line := section.found("timeout", name)) is not None
            and (value := seconds(section, name)) is not None
        ]
        if not given:
            if not any(
                section.found("timeout", name) for section, name in ((front, "client"), (back, "server"))
            ):
                yield NONE_SET.at(
                    back.place, f"{back.kind} {back.name} has no timeout client, server or tunnel"
                )
            return
        limit_s, line = min(given, key=lambda one: one[0])
        what, place = f"no timeout tunnel in {back.kind} {back.name}: {line.text}", back.place
    if limit_s and (short := too_short(limit_s, engine_io=back.name in site.engine_io)):
        yield TUNNEL.at(place, f"{what} {short.why}", severity=short.severity)


def _half_closed(front: Section, back: Section) -> Iterator[Finding]:
    tunnel = back.found("timeout", "tunnel")
    limit_s = seconds(back, "tunnel")
    fins = front.found("timeout", "client-fin") or back.found("timeout", "client-fin")
    if tunnel is not None and limit_s is not None and limit_s >= LONG_LIFE_S and fins is None:
        yield HALF_CLOSED.at(tunnel.place, f"timeout tunnel {tunnel.words[-1]} without timeout client-fin")


def _reload(process: Section) -> Iterator[Finding]:
    line = process.found("hard-stop-after")
    if line is None:
        yield NO_HARD_STOP.at(process.place, "no hard-stop-after")
        return
    limit_s = haproxy_seconds(line.words[-1])
    if limit_s is not None and limit_s < LONG_LIFE_S:
        yield HARD_STOP.at(line.place, line.text)
