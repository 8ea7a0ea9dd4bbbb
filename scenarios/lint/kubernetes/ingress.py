"""Rules about an Ingress that a controller turns into nginx's configuration."""

from collections.abc import Iterator

from scenarios.lint import effects
from scenarios.lint.clients import FEW_PER_ADDRESS, Clients
from scenarios.lint.finding import Finding, Rule, Severity, not_judged, polling_unknown
from scenarios.lint.placeholders import unknown
from scenarios.lint.quantities import nginx_seconds
from scenarios.lint.quiet import MOST_QUIET_S, too_short
from scenarios.lint.values import Node

_COMMUNITY = "nginx.ingress.kubernetes.io/"
_F5 = "nginx.org/"
_ANNOTATIONS = "https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/"
_F5_ANNOTATIONS = "https://docs.nginx.com/nginx-ingress-controller/configuration/ingress-resources/"
_INVENTED = ("websocket", "upgrade", "connection", "connection-upgrade", "proxy-set-headers-upgrade")
"""What follows the prefix in annotations that ingress-nginx does not have, or in the names of such."""
_DECIDING = (
    "proxy-read-timeout",
    "affinity",
    "limit-rps",
    "limit-rpm",
    "limit-connections",
    "websocket-services",
)
_REAL = ("connection-proxy-header", "upstream-vhost")

READ = Rule(
    name="kubernetes-read-timeout",
    severity=Severity.WARNING,
    happens=effects.NGINX_CUTS,
    change=f'{_COMMUNITY}proxy-read-timeout: "3600"',
    source=f"{_ANNOTATIONS}#custom-timeouts: seconds without a unit; kubernetes/ingress-nginx#2917",
)
CONNECTION = Rule(
    name="kubernetes-connection-header",
    severity=Severity.ERROR,
    happens="the pod does not get the Connection header that asks for a WebSocket, so each attempt fails",
    change=f"remove {_COMMUNITY}connection-proxy-header: the controller sends what a WebSocket needs",
    source=f"{_ANNOTATIONS}#connection-proxy-header",
)
NO_SUCH = Rule(
    name="kubernetes-unknown-annotation",
    severity=Severity.NOTE,
    happens="ingress-nginx has no such annotation and ignores it; WebSockets pass without any",
    change="remove it",
    source=_ANNOTATIONS,
)
NOT_LISTED = Rule(
    name="kubernetes-websocket-services",
    severity=Severity.ERROR,
    happens="this controller passes Upgrade to the services that are listed only, so no WebSocket can be"
    " opened",
    change=f'{_F5}websocket-services: "<name of the service>"',
    source=f"{_F5_ANNOTATIONS}advanced-configuration-with-annotations/",
)
STICKY = Rule(
    name="kubernetes-sticky-missing",
    severity=Severity.WARNING,
    happens=effects.NOT_STICKY,
    change=f'{_COMMUNITY}affinity: "cookie" (--websocket-only if no client begins with polling, or ignore it'
    " if there is one pod)",
    source=f"{_ANNOTATIONS}#session-affinity; https://socket.io/docs/v4/using-multiple-nodes/",
)
FEW_CONNECTIONS = Rule(
    name="kubernetes-limit-connections",
    severity=Severity.WARNING,
    happens=effects.LOCKED_OUT,
    change="a number that is larger than the largest group behind one address, or limit-rps",
    source=f"{_ANNOTATIONS}#rate-limiting",
)
ALL_REQUESTS = Rule(
    name="kubernetes-limit-all-requests",
    severity=Severity.WARNING,
    happens=effects.ALL_REQUESTS,
    change=f'{_COMMUNITY}limit-burst-multiplier: "20", or clients with transports: ["websocket"]',
    source=f"{_ANNOTATIONS}#rate-limiting: the burst is five times the rate by default",
)
NOT_JUDGED = not_judged("kubernetes")
POLLING_UNKNOWN = polling_unknown("kubernetes")
RULES = (
    READ, CONNECTION, NO_SUCH, NOT_LISTED, STICKY, FEW_CONNECTIONS, ALL_REQUESTS, NOT_JUDGED, POLLING_UNKNOWN,
)  # fmt: skip


def concerns(document: Node, clients: Clients, _said: bool) -> bool:
    """Whether it is an Ingress of nginx that carries WebSockets."""
    return document.get("kind").text == "Ingress" and _of_nginx(document) and _says(document, clients)


def check(document: Node, clients: Clients) -> Iterator[Finding]:
    """The annotations of an Ingress."""
    yield from _invented(document)
    yield from _unknown(document)
    if any(name.startswith(_F5) for name in _annotations(document)):
        yield from _listed(document, clients)
        return
    yield from _quiet(document, clients)
    header = _annotations(document).get(f"{_COMMUNITY}connection-proxy-header")
    if header is not None and not any(word in header.text.lower() for word in ("upgrade", "$")):
        yield CONNECTION.at(header.place, f"connection-proxy-header {header.text}")
    yield from _limits(document, clients)
    polled = any(map(clients.says_polling, _names(document)))
    if not polled and not clients.websocket_only:
        yield POLLING_UNKNOWN.at(
            document.get("metadata").place, "nothing says that clients of this Ingress begin with polling"
        )
    if polled and not _sticky(document):
        yield STICKY.at(
            document.get("metadata").place, "no affinity and no upstream-hash-by, and the path is polled"
        )


def _annotations(document: Node) -> dict[str, Node]:
    found = document.get("metadata", "annotations").value
    return found if isinstance(found, dict) else {}


def _of_nginx(document: Node) -> bool:
    names = _annotations(document)
    own = any(name.startswith((_COMMUNITY, _F5)) for name in names)
    classes = (document.get("spec", "ingress_class_name"), names.get("kubernetes.io/ingress.class"))
    return own or any(one is not None and "nginx" in one.text for one in classes)


def _names(document: Node) -> Iterator[str]:
    """Paths, names of services and hosts."""
    for rule in document.get("spec", "rules").items:
        yield rule.get("host").text
        for path in rule.get("http", "paths").items:
            yield path.get("path").text
            backend = path.get("backend")
            yield backend.get("service_name").text or backend.get("service", "name").text


def _says(document: Node, clients: Clients) -> bool:
    names = [name.rpartition("/")[2] for name in _annotations(document)]
    texts = [one.text for one in _annotations(document).values()]
    named = (document.get("metadata", "name").text, *names, *_names(document))
    return any(map(clients.says_websocket, named)) or any("upgrade" in text for text in (*names, *texts))


def _invented(document: Node) -> Iterator[Finding]:
    for name, value in _annotations(document).items():
        own = name.removeprefix(_COMMUNITY)
        if (own != name and own not in _REAL and own.startswith(_INVENTED)) or (
            "websocket" in own and own != name
        ):
            yield NO_SUCH.at(value.place, name)


def _unknown(document: Node) -> Iterator[Finding]:
    for name, value in _annotations(document).items():
        own = name.removeprefix(_COMMUNITY).removeprefix(_F5)
        if own in _DECIDING and unknown(value.text):
            yield NOT_JUDGED.at(value.place, f"{own} {value.text} is filled in later")


def _listed(document: Node, clients: Clients) -> Iterator[Finding]:
    listed = _annotations(document).get(f"{_F5}websocket-services")
    names = [] if listed is None else [name.strip() for name in listed.text.split(",")]
    if listed is not None and unknown(listed.text):
        return
    for rule in document.get("spec", "rules").items:
        for path in rule.get("http", "paths").items:
            backend = path.get("backend")
            service = backend.get("service_name").text or backend.get("service", "name").text
            if service not in names and (
                clients.says_websocket(path.get("path").text) or clients.says_websocket(service)
            ):
                yield NOT_LISTED.at(path.place, f"service {service} is not in {_F5}websocket-services")


def _quiet(document: Node, clients: Clients) -> Iterator[Finding]:
    engine_io = any(map(clients.says_engine_io, _names(document)))
    given = _annotations(document).get(f"{_COMMUNITY}proxy-read-timeout")
    if given is None and any("proxy_read_timeout" in one.text for one in _annotations(document).values()):
        return  # in a snippet
    if given is None and (usual := too_short(MOST_QUIET_S, engine_io=engine_io)):
        yield READ.at(
            document.get("metadata").place,
            f"no proxy-read-timeout, and 60 s, unless the controller's ConfigMap says otherwise, {usual.why}",
            severity=usual.severity,
        )
    if given is None:
        return
    if not given.text.isdecimal() and nginx_seconds(given.text) is not None:
        yield READ.at(given.place, f"proxy-read-timeout {given.text} has a unit, so 60 s apply")
    elif (limit_s := nginx_seconds(given.text)) is not None and (
        short := too_short(limit_s, engine_io=engine_io)
    ):
        yield READ.at(given.place, f"proxy-read-timeout {given.text} {short.why}", severity=short.severity)


def _limits(document: Node, clients: Clients) -> Iterator[Finding]:
    names = _annotations(document)
    most = names.get(f"{_COMMUNITY}limit-connections")
    if most is not None and most.number is not None and 0 < most.number < FEW_PER_ADDRESS:
        yield FEW_CONNECTIONS.at(
            most.place, f"limit-connections admits {most.number} open sockets per address"
        )
    polled = any(clients.says_polling(text) for text in _names(document))
    for name in ("limit-rps", "limit-rpm"):
        rate = names.get(f"{_COMMUNITY}{name}")
        if polled and rate is not None and rate.number and f"{_COMMUNITY}limit-burst-multiplier" not in names:
            yield ALL_REQUESTS.at(
                rate.place, f"{name} {rate.number} counts every request of a polling client"
            )


def _sticky(document: Node) -> bool:
    names = _annotations(document)
    return any(f"{_COMMUNITY}{name}" in names for name in ("affinity", "upstream-hash-by"))
