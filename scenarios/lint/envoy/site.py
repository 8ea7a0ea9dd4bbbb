"""What the rules look at in Envoy's configuration: connection managers, routes of WebSockets, clusters."""

from collections.abc import Iterator

from msgspec import Struct

from scenarios.lint.clients import Clients
from scenarios.lint.finding import Place
from scenarios.lint.values import Node

_NOWHERE = Node(None, Place("", 0))


class Route(Struct, frozen=True, kw_only=True):
    """A route that WebSockets take."""

    manager: Node
    """Its http_connection_manager; nothing in a file of routes alone."""
    host: Node
    """Its virtual host."""
    node: Node
    action: Node
    """Its `route`."""
    path: str
    engine_io: bool
    """Whether it is known that the sockets are those of Socket.IO."""
    polling: bool
    """Whether clients come here that begin with polling."""
    clusters: tuple[str, ...]

    @property
    def place(self) -> Place:
        """Where it begins."""
        return self.node.place

    @property
    def name(self) -> str:
        """As sentences call it."""
        return f"route {self.path or 'without a path'}"


class Site(Struct, frozen=True, kw_only=True):
    """A configuration with its WebSockets."""

    documents: tuple[Node, ...]
    clients: Clients
    all_managers: tuple[Node, ...]
    """Each http_connection_manager of the file."""
    managers: tuple[Node, ...]
    """The connection managers of those routes."""
    routes: tuple[Route, ...]
    clusters: tuple[Node, ...]

    @property
    def static(self) -> Node:
        """The part with everything; nothing in files that are read dynamically."""
        return next((one for one in self.documents if one.get("static_resources").there), _NOWHERE)

    def routes_of(self, cluster: Node) -> list[Route]:
        """The routes of WebSockets that lead to a cluster."""
        return [one for one in self.routes if cluster.get("name").text in one.clusters]


def site(documents: list[Node], clients: Clients) -> Site:
    """What the rules look at."""
    nodes = [node for document in documents for node in document.inner() if isinstance(node.value, dict)]
    managers = [node for node in nodes if _is_manager(node)]
    inside = {table.place for one in managers if (table := one.get("route_config")).there}
    tables = [(one, one.get("route_config")) for one in managers]
    tables += [
        (managers[0] if len(managers) == 1 else _NOWHERE, node)
        for node in nodes
        if node.get("virtual_hosts").there and not {node.place, _above(node)} & inside
    ]
    routes = [route for manager, table in tables for route in _routes(manager, table, clients)]
    names = {name for route in routes for name in route.clusters}
    return Site(
        documents=tuple(documents),
        all_managers=tuple(managers),
        clients=clients,
        managers=tuple({one.manager.place: one.manager for one in routes if one.manager.there}.values()),
        routes=tuple(routes),
        clusters=tuple(
            node
            for node in nodes
            if node.get("name").text in names and (node.get("load_assignment").there or _is_cluster(node))
        ),
    )


def upgrades(node: Node) -> bool | None:
    """Whether WebSockets are allowed by a connection manager or a route; None where it does not say."""
    for one in node.get("upgrade_configs").items:
        if one.get("upgrade_type").text.lower() == "websocket":
            return one.get("enabled").text.lower() != "false"
    return None


def filters(manager: Node, kind: str) -> list[Node]:
    """The settings of its HTTP filters of one kind, such as `local_ratelimit`."""
    return [
        one.get("typed_config")
        for one in manager.get("http_filters").items
        if kind in one.get("name").text
        or kind.replace("_", "") in one.get("typed_config", "@type").text.lower()
    ]


def endpoints(cluster: Node) -> int:
    """The number of addresses that it names; names that stand for several count once."""
    return sum(
        len(one.get("lb_endpoints").items) for one in cluster.get("load_assignment", "endpoints").items
    )


def _is_cluster(node: Node) -> bool:
    return (
        bool({"connect_timeout", "lb_policy", "eds_cluster_config", "circuit_breakers"} & {*node.value})
        and node.get("name").there
    )


def _is_manager(node: Node) -> bool:
    """Whether it is an http_connection_manager; one of a template may have no filters."""
    return node.get("stat_prefix").there and bool({"http_filters", "route_config", "rds"} & {*node.value})


def _above(table: Node) -> Place:
    """Where the list of virtual hosts would begin if a key stood above it."""
    return Place(table.place.file, table.place.line - 1)


def _routes(manager: Node, table: Node, clients: Clients) -> Iterator[Route]:
    found = [
        (host, route, _path(route.get("match")))
        for host in table.get("virtual_hosts").items
        for route in host.get("routes").items
        if route.get("route").there
    ]
    special = [one for one in found if _says(*one[1:], clients)]
    taken = not special and bool(clients.paths) and not clients.websocket_only
    if not special and (upgrades(manager) or clients.paths):
        # Any route may carry WebSockets: the one that takes what no other takes is that of the gateway.
        special = [one for one in found if one[2] == "/"] or found
    for host, route, path in special:
        action = route.get("route")
        weighted = action.get("weighted_clusters", "clusters").items
        names = [action.get("cluster").text, *(one.get("name").text for one in weighted)]
        yield Route(
            manager=manager,
            host=host,
            node=route,
            action=action,
            path=path,
            engine_io=taken or clients.says_engine_io(path),
            polling=taken or clients.says_polling(path),
            clusters=tuple(filter(None, names)),
        )


def _path(match: Node) -> str:
    kinds = ("prefix", "path", "path_separated_prefix", "regex")
    plain = [match.get(kind).text for kind in kinds]
    return next(filter(None, [*plain, match.get("safe_regex", "regex").text]), "")


def _says(route: Node, path: str, clients: Clients) -> bool:
    action = route.get("route")
    by_header = any(
        "upgrade" in header.get("name").text.lower() for header in route.get("match", "headers").items
    )
    return (
        clients.says_websocket(path)
        or by_header
        or upgrades(action) is True
        or action.get("use_websocket").true
        or clients.says_websocket(action.get("cluster").text)
    )
