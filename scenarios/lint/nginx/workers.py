"""Rules about nginx's processes: how many sockets fit, which worker gets them, and what a reload does."""

import math
from collections.abc import Iterator

from scenarios.lint.clients import LONG_LIFE_S
from scenarios.lint.finding import Finding, Rule, Severity
from scenarios.lint.nginx.site import Site, listens
from scenarios.lint.quantities import nginx_seconds, whole

_CORE = "https://nginx.org/en/docs/ngx_core_module.html"
_HTTP = "https://nginx.org/en/docs/http/ngx_http_core_module.html"
_CONNECTIONS_EACH = 2
"""A proxied socket is a connection to the client and one to the pod."""
_DEFAULT_CONNECTIONS = 512
_DEFAULT_BACKLOG = 511
_USUAL_DESCRIPTORS = 1024
_MOST_WORKERS = 64
"""Where there is one for each core, few machines have more."""

CONNECTIONS = Rule(
    name="nginx-worker-connections",
    severity=Severity.WARNING,
    happens="each proxied WebSocket takes two connections, and a worker that has none left closes new"
    " clients without an answer",
    change="worker_connections <2 × clients ÷ workers, and as much again in reserve>;",
    source=f"{_CORE}#worker_connections; centrifugal/centrifugo#455, hypothesis/deployment#141",
)
DESCRIPTORS = Rule(
    name="nginx-open-files",
    severity=Severity.WARNING,
    happens="accept fails with “too many open files” before the connections that are configured are used",
    change="worker_rlimit_nofile <at least worker_connections>;",
    source=f"{_CORE}#worker_rlimit_nofile",
)
UNEVEN = Rule(
    name="nginx-workers-uneven",
    severity=Severity.WARNING,
    happens="the worker that wakes first takes most new connections, and after a storm one worker has"
    " nearly all sockets",
    change="listen … reuseport;",
    source=f"{_HTTP}#reuseport; kubernetes/ingress-nginx#2734: 4 workers had 349, 17, 4 and 0 sockets",
)
SHUTDOWN = Rule(
    name="nginx-shutdown-timeout",
    severity=Severity.WARNING,
    happens="that long after each reload, nginx closes all sockets of the old workers at once: frequent"
    " reloads are as many small storms",
    change="worker_shutdown_timeout 4h; and fewer reloads",
    source=f"{_CORE}#worker_shutdown_timeout; kubernetes/ingress-nginx#9516, nginx/nginx-gateway-fabric#5524",
)
NO_SHUTDOWN = Rule(
    name="nginx-no-shutdown-timeout",
    severity=Severity.NOTE,
    happens="old workers stay until their last WebSocket closes, so with each reload more of them hold"
    " memory and sockets",
    change="worker_shutdown_timeout 4h;",
    source=f"{_CORE}#worker_shutdown_timeout; kubernetes/ingress-nginx#1088",
)
BACKLOG = Rule(
    name="nginx-backlog",
    severity=Severity.NOTE,
    happens="the kernel drops connections that do not fit into the queue, and their clients come again"
    " after 1, 3 and 7 s, all at the same moments",
    change="listen … backlog=4096; and net.core.somaxconn at least as large",
    source=f"{_HTTP}#listen",
)
RULES = (CONNECTIONS, DESCRIPTORS, UNEVEN, SHUTDOWN, NO_SHUTDOWN, BACKLOG)


def check(site: Site) -> Iterator[Finding]:
    """The whole configuration; of a part, only its servers."""
    if not site.locations:
        return
    yield from _backlog(site)
    if site.whole:
        yield from _room(site)
        yield from _spread(site)
        yield from _reload(site)


def _room(site: Site) -> Iterator[Finding]:
    found = site.events.own("worker_connections") if site.events else []
    place = found[-1].place if found else site.events.place if site.events else site.root.place
    connections = whole(found[-1].value) if found else _DEFAULT_CONNECTIONS
    if connections is None:
        return
    room = (site.workers or 1) * connections // _CONNECTIONS_EACH
    if not site.clients.fit(room):
        enough, severity = _clients(site, room)
        yield CONNECTIONS.at(
            place,
            f"worker_connections {connections}{'' if found else ' by default'} is room for {room:,} clients"
            f"{enough}",
            severity=severity,
        )
    limit = site.root.own("worker_rlimit_nofile")
    files = whole(limit[-1].value) if limit else None
    if files is not None and files < connections:
        yield DESCRIPTORS.at(
            limit[-1].place, f"worker_rlimit_nofile {files} is less than worker_connections {connections}"
        )
    elif not limit and connections > _USUAL_DESCRIPTORS:
        yield DESCRIPTORS.at(
            place,
            f"worker_connections {connections} without worker_rlimit_nofile: the limit is that of the"
            " system, often 1,024",
            severity=Severity.NOTE,
        )


def _clients(site: Site, room: int) -> tuple[str, Severity | None]:
    """The clients that come to the room of all workers, or of each where their number is not known."""
    number = site.clients.number
    if site.workers is not None:
        return ("", None) if number is None else (f", and {number:,} come", Severity.ERROR)
    if number is None:
        return " in each worker", None
    needed = math.ceil(number / max(1, room))
    return (
        f" in each worker, and {number:,} clients need at least {needed:,} workers",
        Severity.ERROR if needed > _MOST_WORKERS else Severity.WARNING,
    )


def _spread(site: Site) -> Iterator[Finding]:
    if site.workers == 1 or (site.events is not None and site.events.value("accept_mutex") == "on"):
        return
    for server in site.servers:
        shared = [one for one in listens(server) if not one.value.startswith("unix:")]
        # One reuseport is enough for all servers of an address.
        if shared and not any(
            "reuseport" in one.args for one in site.root.everything() if one.name == "listen"
        ):
            number = "several" if site.workers is None else str(site.workers)
            yield UNEVEN.at(
                shared[0].place, f"listen {shared[0].value} without reuseport, and {number} workers"
            )


def _reload(site: Site) -> Iterator[Finding]:
    found = site.root.own("worker_shutdown_timeout")
    if not found:
        yield NO_SHUTDOWN.at(site.root.place, "no worker_shutdown_timeout")
        return
    limit_s = nginx_seconds(found[-1].value)
    if limit_s is not None and limit_s < LONG_LIFE_S:
        yield SHUTDOWN.at(found[-1].place, f"worker_shutdown_timeout {found[-1].value}")


def _backlog(site: Site) -> Iterator[Finding]:
    for server in site.servers:
        queues = [(one, whole(one.option("backlog") or "")) for one in listens(server)]
        small = [(one, queue) for one, queue in queues if queue is not None and queue < _DEFAULT_BACKLOG]
        for one, queue in small:
            yield BACKLOG.at(
                one.place, f"listen {one.value} with a backlog of {queue}", severity=Severity.WARNING
            )
        if queues and all(queue is None for _, queue in queues):
            one = queues[0][0]
            yield BACKLOG.at(one.place, f"the backlog of listen {one.value} is {_DEFAULT_BACKLOG} by default")
