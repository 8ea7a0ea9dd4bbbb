"""Rules about the way of a request: which backend it goes to, and what is spoken there."""

import re
from collections.abc import Iterator

from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.haproxy.parse import Line, Section
from scenarios.lint.haproxy.site import Site, definitions, meaning, server_option, servers

_UPGRADE = re.compile(r"hdr\w*\(\s*(?:upgrade|connection)\s*\)", re.IGNORECASE)

ELSEWHERE = Rule(
    name="haproxy-polling-elsewhere",
    severity=Severity.ERROR,
    happens="a client that begins with polling sends no Upgrade at first, so its handshake goes to another"
    " backend and fails",
    change="use_backend … if { path_beg /socket.io/ } without a condition on Upgrade (--websocket-only if no"
    " client begins with polling)",
    source="https://socket.io/docs/v4/how-it-works/#upgrade-mechanism",
)
HTTP2 = Rule(
    name="haproxy-http2-server",
    severity=Severity.WARNING,
    happens="HAProxy opens a WebSocket with an extended CONNECT of HTTP/2 at the server, which Socket.IO"
    " servers do not know, so each attempt fails",
    change="ws h1 on each server",
    source="HAProxy configuration manual, server ws; haproxy/haproxy#3355",
)
PROCESSES = Rule(
    name="haproxy-nbproc",
    severity=Severity.WARNING,
    happens="each process counts connections and limits for itself, checks the servers by itself, and may"
    " send a client elsewhere; HAProxy 2.5 and later do not start with it",
    change="nbthread, or neither",
    source="HAProxy configuration manual 2.4, nbproc",
)
RULES = (ELSEWHERE, HTTP2, PROCESSES)


def check(site: Site) -> Iterator[Finding]:
    """Each use_backend for the path of Engine.IO, the servers of WebSockets, and the process."""
    for front in site.fronts:
        for line in front.own("use_backend"):
            polled = site.clients.says_polling(meaning(front, line))
            if polled and _needs_upgrade(front, line) and not _also_without(site, front, line):
                yield ELSEWHERE.at(line.place, f"{line.text} needs an Upgrade header")
    for back in site.backs:
        for server in servers(back):
            spoken = server_option(back, server, "proto") or server_option(back, server, "alpn") or ""
            if spoken.startswith("h2") and server_option(back, server, "ws") != "h1":
                yield HTTP2.at(server.place, f"a server of {back.name} with HTTP/2")
    processes = site.process.found("nbproc") if site.process and site.backs else None
    if processes is not None and processes.words[-1] != "1":
        yield PROCESSES.at(processes.place, processes.text)


def _needs_upgrade(front: Section, line: Line) -> bool:
    """Whether each alternative of a condition has a part that only requests with Upgrade meet."""
    condition = " ".join(line.words[3:])
    known = definitions(front)
    alternatives = re.split(r"\s(?:or|\|\|)\s", condition)
    return bool(condition) and all(
        any(
            all(_UPGRADE.search(text) for text in known.get(word, [word if "hdr" in word else ""]))
            for word in alternative.split()
        )
        for alternative in alternatives
    )


def _also_without(site: Site, front: Section, line: Line) -> bool:
    """Whether polls reach the same backend another way."""
    name = line.after("use_backend")
    if front.value("default_backend") == name:
        return True
    others = (one for one in front.own("use_backend") if one is not line and one.after("use_backend") == name)
    return any(
        site.clients.says_polling(meaning(front, one)) and not _needs_upgrade(front, one) for one in others
    )
