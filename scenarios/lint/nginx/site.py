"""What the rules look at in nginx's configuration: locations with WebSockets, upstreams, workers."""

import re
from collections.abc import Iterator

from msgspec import Struct

from scenarios.lint.clients import Clients
from scenarios.lint.finding import Place
from scenarios.lint.nginx.tree import Directive, Scope
from scenarios.lint.placeholders import unknown
from scenarios.lint.quantities import whole

_PARTS_OF_A_LOCATION = {"location", "if", "limit_except"}
_STICKY = ("ip_hash", "hash", "sticky", "sticky_cookie_insert")


class Upstream(Struct, frozen=True):
    """A group of servers."""

    name: str
    scope: Scope

    @property
    def place(self) -> Place:
        """Where it begins."""
        return self.scope.place

    @property
    def servers(self) -> list[Directive]:
        """Those that take part; not the spare ones."""
        return [one for one in self.scope.own("server") if not {"down", "backup"} & {*one.args}]

    @property
    def sure(self) -> bool:
        """Whether all its servers are in the file."""
        return not self.scope.own("include") and not any(unknown(one.value) for one in self.servers)

    @property
    def sticky(self) -> bool:
        """Whether a client stays with its server."""
        return bool(self.scope.own(*_STICKY)) or any(
            "_lua_" in one.name for one in self.scope.directive.block or ()
        )


class Location(Struct, frozen=True, kw_only=True):
    """A location, or a part of one, that hands requests on, WebSockets among them."""

    scope: Scope
    path: str
    """As it is written; empty outside of a location."""
    engine_io: bool
    """Whether it is known that the sockets are those of Socket.IO."""
    polling: bool
    """Whether clients come here that begin with polling."""
    target: str
    """The host and port that requests go to."""
    upstream: Upstream | None
    """None: a single address, or not in this file."""

    @property
    def place(self) -> Place:
        """Where it begins."""
        return self.scope.place

    @property
    def server(self) -> Scope | None:
        """The server that it is in."""
        return self.scope.around("server")

    @property
    def name(self) -> str:
        """As sentences call it."""
        return f"location {self.path}" if self.path else "this block"


class Stream(Struct, frozen=True, kw_only=True):
    """A server of the block `stream` that WebSockets pass."""

    scope: Scope
    target: str
    engine_io: bool
    polling: bool
    upstream: Upstream | None

    @property
    def place(self) -> Place:
        """Where it begins."""
        return self.scope.place


class Site(Struct, frozen=True):
    """A configuration, or a part of one."""

    root: Scope
    clients: Clients
    locations: tuple[Location, ...]
    """Those with WebSockets."""
    streams: tuple[Stream, ...] = ()
    unused_paths: tuple[str, ...] = ()
    """Those of the command line that lead to none of its locations."""

    @property
    def whole(self) -> bool:
        """Whether it is more than a part that another file includes: it says how many workers there are."""
        return bool(self.root.own("events", "http", "stream"))

    @property
    def http(self) -> Scope:
        """The block `http`, or the file where that is in another one."""
        return next((Scope(one, self.root) for one in self.root.own("http")), self.root)

    @property
    def events(self) -> Scope | None:
        """The block `events`."""
        return next((Scope(one, self.root) for one in self.root.own("events")), None)

    @property
    def workers(self) -> int | None:
        """The number of worker processes; None: as many as there are cores."""
        found = self.root.value("worker_processes")
        return 1 if found is None else whole(found)

    @property
    def servers(self) -> list[Scope]:
        """The servers that have WebSockets, once each."""
        found = {one.server.place: one.server for one in self.locations if one.server is not None}
        return [*found.values()]

    @property
    def upstreams(self) -> list[Upstream]:
        """The upstreams of WebSockets, once each."""
        found = {one.upstream.place: one.upstream for one in self.locations if one.upstream is not None}
        return [*found.values()]


def site(root: Scope, clients: Clients) -> Site:
    """What the rules look at."""
    scopes = [*root.inner()]
    upstreams = {
        scope.directive.value: Upstream(scope.directive.value, scope)
        for scope in scopes
        if scope.directive.name == "upstream"
    }
    picked = {path: {scope.place for scope in _picked(scopes, path)} for path in clients.paths}
    locations = tuple(
        _locations(scopes, upstreams, clients, {place for places in picked.values() for place in places})
    )
    return Site(
        root,
        clients,
        locations,
        tuple(_streams(scopes, upstreams, clients)),
        tuple(
            path for path, places in picked.items() if not any(_leads(one, path, places) for one in locations)
        ),
    )


def listens(server: Scope) -> list[Directive]:
    """Its `listen` directives, but for those of other protocols than TCP."""
    return [one for one in server.own("listen") if "quic" not in one.args]


def _locations(
    scopes: list[Scope], upstreams: dict[str, Upstream], clients: Clients, named: set[Place]
) -> Iterator[Location]:
    for scope in scopes:
        target = _target(scope)
        if target is None:
            continue
        location = scope.around("location")
        path = " ".join(location.directive.args) if location else ""
        host = re.sub(r"^\w+://", "", target).partition("/")[0]
        upgrade = scope.headers().get("upgrade")
        condition = scope.directive.args if scope.directive.name == "if" else ()
        picked = scope.place in named or (location is not None and location.place in named)
        if (
            picked
            or clients.says_websocket(path)
            or (not host.startswith("unix:") and clients.says_websocket(host))
            or any("http_upgrade" in word for word in condition)
            or (upgrade is not None and upgrade.args[1:] != ("",))
        ):
            yield Location(
                scope=scope,
                path=path,
                engine_io=clients.says_engine_io(f"{path} {host}") or (picked and not clients.websocket_only),
                polling=clients.says_polling(path) or (picked and not clients.websocket_only),
                target=host,
                upstream=upstreams.get(host),
            )


def _leads(location: Location, path: str, picked: set[Place]) -> bool:
    """Whether requests for a path come to a location; picked: the locations that nginx chooses for it."""
    around = location.scope.around("location")
    chosen = location.place in picked or (around is not None and around.place in picked)
    return chosen or path in f"{location.path} {location.target}".replace("\\", "")


def _streams(scopes: list[Scope], upstreams: dict[str, Upstream], clients: Clients) -> Iterator[Stream]:
    for scope in scopes:
        if scope.directive.name != "server" or scope.around("http") or not scope.own("proxy_pass"):
            continue
        target = scope.own("proxy_pass")[-1].value
        if clients.says_websocket(target):
            yield Stream(
                scope=scope,
                target=target,
                engine_io=clients.says_engine_io(target),
                polling=clients.says_polling(target),
                upstream=upstreams.get(target),
            )


def _target(scope: Scope) -> str | None:
    """Where a block hands requests on to, if it does; a file of headers alone does so somewhere."""
    name = scope.directive.name
    if name in _PARTS_OF_A_LOCATION and (found := scope.own("proxy_pass")):
        return found[-1].value
    if (
        name == ""
        and scope.own("proxy_set_header")
        and not any(one.block for one in scope.directive.block or ())
    ):
        return "".join(one.value for one in scope.own("proxy_pass"))
    return None


def _picked(scopes: list[Scope], path: str) -> Iterator[Scope]:
    """The locations of each server that requests for a path go to: the longest prefix, and patterns."""
    best: dict[Place | None, Scope] = {}
    for scope in scopes:
        if scope.directive.name != "location":
            continue
        *kind, text = scope.directive.args or ("",)
        if kind and kind[0] in {"~", "~*"}:
            try:
                if re.search(text, path):
                    yield scope
            except re.error:  # a pattern of nginx's library that Python's does not know
                continue
            continue
        server = scope.around("server")
        key = server.place if server else None
        if path.startswith(text) and len(text) >= len(best[key].directive.args[-1] if key in best else ""):
            best[key] = scope
    yield from best.values()
