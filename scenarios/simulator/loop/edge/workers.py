"""nginx's workers and their connections: `worker_connections`.

A worker takes one connection to the client when it accepts it, and one to the pod when the limits have let
the request in. A worker with none left closes what it accepts; one that has none left for the pod answers
500. Connections of a worker that was there before a reload are not those of the new one.

Which worker accepts is known where there is one, or where the kernel spreads new connections (`reuseport`).

Source: nginx/nginx, src/event/ngx_event_accept.c, src/event/ngx_event_connect.c and
src/core/ngx_connection.c, as of 1.31.
"""

from typing import Any

from scenarios.simulator.loop import at
from scenarios.simulator.loop.clients import mixed
from scenarios.simulator.loop.parts import inner
from scenarios.simulator.loop.tables import one, u

_WORKER_SHIFT = 2
_HELD = (1 << _WORKER_SHIFT) - 1
"""How many connections a client has of its worker: 1 or 2; 0 where it has none."""
_DRAW = 0x5EED


@inner
def _accept_by(w: Any, client: int, number: int) -> bool:
    worker = (mixed(w.s[at.SEED] ^ _DRAW, client, number) * w.s[at.WORKERS]) >> 31
    if w.m[u(one(w, at.WORKER_FREE, worker))] <= 0:
        return False
    w.m[u(one(w, at.WORKER_FREE, worker))] -= 1
    w.m[u(one(w, at.WORKER_OF, client))] = worker << _WORKER_SHIFT | 1
    return True


@inner
def accept(w: Any, client: int) -> bool:
    """A worker accepts the connection of a client, unless it is full."""
    return _accept_by(w, client, w.clients[u(client)].attempt)


@inner
def reach_pod(w: Any, client: int) -> bool:
    """The worker of a client finds a connection for its way to a pod, or has one."""
    held = w.m[u(one(w, at.WORKER_OF, client))]
    if held & _HELD != 1:
        return True
    free = one(w, at.WORKER_FREE, held >> _WORKER_SHIFT)
    if w.m[u(free)] <= 0:
        return False
    w.m[u(free)] -= 1
    w.m[u(one(w, at.WORKER_OF, client))] += 1
    return True


@inner
def release(w: Any, client: int) -> None:
    """The connections of a client have ended, if it had any."""
    held = w.m[u(one(w, at.WORKER_OF, client))]
    if held & _HELD:
        w.m[u(one(w, at.WORKER_FREE, held >> _WORKER_SHIFT))] += held & _HELD
        w.m[u(one(w, at.WORKER_OF, client))] = 0


@inner
def settle(w: Any, client: int) -> None:
    """A client has got in, if need be at the second attempt."""
    number = -1
    while True:
        if _accept_by(w, client, number):
            if reach_pod(w, client):
                return
            release(w, client)
        number -= 1
