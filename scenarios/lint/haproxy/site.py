"""What the rules look at in HAProxy's configuration: the proxies that WebSockets pass."""

import re
from collections.abc import Iterator

from msgspec import Struct

from scenarios.lint.clients import Clients
from scenarios.lint.finding import Place
from scenarios.lint.haproxy.parse import Line, Section
from scenarios.lint.quantities import haproxy_seconds, whole

_UPGRADE = re.compile(r"upgrade|websocket|\bcookie io\b|\(sid\)", re.IGNORECASE)
"""Also the cookie and the parameter that Engine.IO sets."""
_STICKY_BALANCE = ("source", "hash", "uri", "url_param", "hdr(", "rdp-cookie")
_REFUSALS = {"block", "deny", "reject", "return", "silent-drop", "tarpit"}
_RATE = re.compile(r"(?:_rate|gpc\d|conn_cur|gpt\d|sess_cnt|req_cnt)", re.IGNORECASE)


class Way(Struct, frozen=True):
    """How requests get to a backend; a `listen` section leads to itself."""

    front: Section
    back: Section
    reason: str
    """What decides it: the conditions of use_backend, with the ACLs in them."""

    @property
    def by_default(self) -> bool:
        """Whether requests that no condition names take it."""
        return self.reason in {"", self.back.name}


class Site(Struct, frozen=True, kw_only=True):
    """A configuration with its WebSockets."""

    sections: tuple[Section, ...]
    clients: Clients
    fronts: tuple[Section, ...]
    """Frontends (and `listen` sections) that WebSockets come in by."""
    backs: tuple[Section, ...]
    """Backends (and `listen` sections) that they go to."""
    assumed: bool
    """Whether nothing says so, and the only backend is taken for that of the gateway."""
    engine_io: frozenset[str]
    """The names of those backends whose sockets are known to be those of Socket.IO."""

    @property
    def unused_paths(self) -> list[str]:
        """The paths of the command line that no line names, where no backend gets them by default."""
        texts = [line.text.replace("\\", "") for one in self.sections for line in one.lines]
        return [
            path
            for path in self.clients.paths
            if not self.engine_io and not any(path in text for text in texts)
        ]

    @property
    def polling(self) -> frozenset[str]:
        """The names of those backends that clients poll."""
        return frozenset() if self.clients.websocket_only else self.engine_io

    @property
    def process(self) -> Section | None:
        """The section `global`."""
        return next((one for one in self.sections if one.kind == "global"), None)

    @property
    def first(self) -> Place:
        """Where what is missing in `global` is reported."""
        return self.process.place if self.process else self.sections[0].place


def site(sections: list[Section], clients: Clients) -> Site:
    """What the rules look at."""
    fronts = [one for one in sections if one.kind in {"frontend", "listen"}]
    known = {one.name: one for one in sections if one.kind in {"backend", "listen"}}
    ways = [
        Way(front, known[name], reason) for front in fronts for name, reason in _ways(front) if name in known
    ]
    # A backend that no frontend of this file leads to: its own lines may say what it is for.
    reached = {way.back.place for way in ways}
    ways += [Way(back, back, "") for back in known.values() if back.place not in reached]
    taken, assumed = _of_websockets(sections, ways, clients)
    return Site(
        sections=tuple(sections),
        clients=clients,
        fronts=tuple({way.front.place: way.front for way in taken if way.front.kind != "backend"}.values()),
        backs=tuple({way.back.place: way.back for way in taken}.values()),
        assumed=assumed,
        engine_io=frozenset(_of_socket_io(taken, clients)),
    )


def _of_websockets(sections: list[Section], ways: list[Way], clients: Clients) -> tuple[list[Way], bool]:
    """The ways of WebSockets: those that say so, or those of all HTTP where something else does.

    Also whether nothing says so.
    """
    named = [way for way in ways if _names_websockets(way, clients)]
    special = [way for way in named if way.back.name != way.front.value("default_backend")]
    if special or (named and clients.paths):
        return named, False
    http = [
        way for way in ways if servers(way.back) and (way.back.mode == "http" or way.back.found("cookie"))
    ]
    mentioned = any(
        _says(line.text, clients) or line.starts("timeout", "tunnel")
        for section in sections
        for line in section.lines
        if not line.starts("log-format")
    )
    # HAProxy passes WebSockets on without being told to, so the only backend is that of the gateway.
    only = len({way.back.place for way in http if servers(way.back)}) == 1
    if mentioned or clients.described:
        return [*named, *http], False
    return (http, True) if only and not named else (named, False)


def _names_websockets(way: Way, clients: Clients) -> bool:
    return _says(way.reason, clients) or clients.says_websocket(way.back.name) or _own(way.back, clients)


def _of_socket_io(ways: list[Way], clients: Clients) -> Iterator[str]:
    """The backends that are named so; those that the path of the command line must lead to, if none is."""
    named = {way.back.name for way in ways if _names_socket_io(way, clients)}
    yield from named
    if not named and clients.paths and not clients.websocket_only:
        yield from (way.back.name for way in ways if way.by_default)


def _names_socket_io(way: Way, clients: Clients) -> bool:
    texts = (way.reason, way.back.name, *(line.text for line in way.back.lines))
    return any(map(clients.says_engine_io, texts))


def servers(back: Section) -> list[Line]:
    """Its servers that take part; not the spare ones."""
    return [
        line
        for line in back.lines
        if line.words[0] in {"server", "server-template"} and "backup" not in line.words
    ]


def several(back: Section) -> bool:
    """Whether it has more than one server; a template makes some."""
    return len(servers(back)) > 1 or any(line.words[0] == "server-template" for line in servers(back))


def server_option(back: Section, server: Line, word: str) -> str | None:
    """The word after an option of a server, or of its default-server lines."""
    return server.after(word) or next(
        (value for line in reversed(_default_servers(back)) if (value := line.after(word))), None
    )


def server_has(back: Section, server: Line, word: str) -> bool:
    """Whether a server has this word, itself or by default."""
    return word in server.words or any(word in line.words for line in _default_servers(back))


def sticky(back: Section) -> bool:
    """Whether a client stays with its server."""
    balance = back.found("balance")
    by_client = balance is not None and any(word.startswith(_STICKY_BALANCE) for word in balance.words[1:])
    return by_client or bool(back.found("cookie") or back.found("stick") or back.found("appsession"))


def seconds(section: Section, name: str) -> float | None:
    """A `timeout` in seconds; None: not set, or not a time."""
    value = section.value("timeout", name)
    return None if value is None else haproxy_seconds(value)


def number(value: str | None) -> int | None:
    """A number without a sign; None also where there is no value."""
    return None if value is None else whole(value)


def meaning(section: Section, line: Line) -> str:
    """A line with the definitions of the ACLs that it names."""
    known = definitions(section)
    named = [text for word in line.words for text in known.get(word.lstrip("!"), ())]
    return " ".join([line.text, *named])


def definitions(section: Section) -> dict[str, list[str]]:
    """The definitions of each ACL of a section and its defaults; several are alternatives."""
    found: dict[str, list[str]] = {}
    owner: Section | None = section
    while owner is not None:
        for acl in owner.own("acl"):
            found.setdefault(acl.words[1] if len(acl.words) > 1 else "", []).append(" ".join(acl.words[2:]))
        owner = owner.defaults
    return found


def limits(front: Section) -> Iterator[Line]:
    """The rules that refuse by a rate or a count."""
    for line in front.lines:
        acts = line.words[0] in {"http-request", "tcp-request", "block"} and _REFUSALS & {*line.words}
        if acts and _RATE.search(meaning(front, line)):
            yield line


def _default_servers(back: Section) -> list[Line]:
    inherited = _default_servers(back.defaults) if back.defaults else []
    return [*inherited, *back.own("default-server")]


def _ways(front: Section) -> Iterator[tuple[str, str]]:
    """The backends that a frontend sends requests to, and what decides that."""
    if front.kind == "listen" and any(line.words[0].startswith("server") for line in front.lines):
        yield front.name, front.name
    for line in front.lines:
        if line.words[0] in {"use_backend", "use-server"} and len(line.words) > 1:
            yield line.words[1], meaning(front, line)
    default = front.value("default_backend")
    if default is not None:
        yield default, default


def _own(back: Section, clients: Clients) -> bool:
    """Whether something in a backend itself is about WebSockets."""
    return any(line.starts("timeout", "tunnel") or _says(line.text, clients) for line in back.lines)


def _says(text: str, clients: Clients) -> bool:
    return (bool(_UPGRADE.search(text)) and "insecure" not in text.lower()) or clients.says_websocket(text)
