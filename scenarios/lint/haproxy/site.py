"""What the rules look at in HAProxy's configuration: the proxies that WebSockets pass."""

import re
from collections.abc import Iterator

from msgspec import Struct

from scenarios.lint.clients import Clients
from scenarios.lint.finding import Place
from scenarios.lint.haproxy.parse import Line, Section
from scenarios.lint.quantities import haproxy_seconds, whole

_UPGRADE = re.compile(r"upgrade|websocket", re.IGNORECASE)
_STICKY_BALANCE = ("source", "hash", "uri", "url_param", "hdr(", "rdp-cookie")
_REFUSALS = {"block", "deny", "reject", "return", "silent-drop", "tarpit"}
_RATE = re.compile(r"(?:_rate|gpc\d|conn_cur|gpt\d|sess_cnt|req_cnt)", re.IGNORECASE)


class Site(Struct, frozen=True, kw_only=True):
    """A configuration with its WebSockets."""

    sections: tuple[Section, ...]
    clients: Clients
    fronts: tuple[Section, ...]
    """Frontends (and `listen` sections) that WebSockets come in by."""
    backs: tuple[Section, ...]
    """Backends (and `listen` sections) that they go to."""
    polling: frozenset[str]
    """The names of those backends that clients poll."""

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
    found: dict[Place, Section] = {}
    entrances: dict[Place, Section] = {}
    polling: set[str] = set()
    mentioned = any(
        _says(line.text, clients) for one in sections for line in one.lines if not line.starts("log-format")
    )
    for front in fronts:
        for name, reason in _ways(front):
            back = known.get(name)
            if back is None:
                continue
            named = _says(reason, clients) or clients.says_websocket(name) or _own(back, clients)
            if named or (mentioned and not _separate(fronts, clients) and front.mode == back.mode == "http"):
                found[back.place] = back
                entrances[front.place] = front
                if clients.says_polling(f"{reason} {name}"):
                    polling.add(name)
    for back in known.values():
        if clients.says_websocket(back.name) or _own(back, clients):
            found[back.place] = back
            if back.kind == "listen":
                entrances[back.place] = back
            if any(clients.says_polling(line.text) for line in back.lines) or clients.says_polling(back.name):
                polling.add(back.name)
    if not found and not clients.paths:
        # HAProxy passes WebSockets on without being told to: the only backend is that of the gateway.
        only = [(front, back) for front in fronts for name, _ in _ways(front) if (back := known.get(name))]
        if len({back.place for _, back in only}) == 1 and servers(only[0][1]) and only[0][1].mode == "http":
            found[only[0][1].place] = only[0][1]
            entrances.update((front.place, front) for front, _ in only)
    return Site(
        sections=tuple(sections),
        clients=clients,
        fronts=tuple(entrances.values()),
        backs=tuple(found.values()),
        polling=frozenset(polling),
    )


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
    definitions: dict[str, list[str]] = {}
    owner: Section | None = section
    while owner is not None:
        for acl in owner.own("acl"):
            definitions.setdefault(acl.words[1] if len(acl.words) > 1 else "", []).append(
                " ".join(acl.words[2:])
            )
        owner = owner.defaults
    named = [text for word in line.words for text in definitions.get(word.lstrip("!"), ())]
    return " ".join([line.text, *named])


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


def _separate(fronts: list[Section], clients: Clients) -> bool:
    """Whether WebSockets have backends of their own."""
    return any(
        _says(reason, clients) and name != front.value("default_backend")
        for front in fronts
        for name, reason in _ways(front)
    )
