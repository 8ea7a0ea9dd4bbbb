"""The way of a request from the proxy to a pod that is there, to the next one, or back with an answer."""

from typing import Any

from scenarios.simulator.loop import at
from scenarios.simulator.loop.calendar import put_client
from scenarios.simulator.loop.edge.balance import choose, connect
from scenarios.simulator.loop.edge.upstream import failed, failures, note_failure, sent
from scenarios.simulator.loop.edge.workers import reach_pod
from scenarios.simulator.loop.parts import inner
from scenarios.simulator.loop.pods.turns import enqueue
from scenarios.simulator.loop.sessions import answer, deadline, end_attempt
from scenarios.simulator.loop.tables import u


@inner
def knock_again(w: Any, client: int, time: int, kind: int) -> None:
    """A client's SYN comes again then, unless it will have given up by then."""
    if time < deadline(w, client):
        put_client(w, time, client, kind, w.clients[u(client)].attempt)


@inner
def _fails_at(w: Any, client: int, pod: int, now: int) -> bool:
    """A request finds no process at a pod, or its pod has gone; returns whether it goes to the next one."""
    s = w.s
    if not s[at.JUDGES]:
        return False
    failed(w, pod, now // at.SECOND)
    if not s[at.AFTER_ERROR]:
        return False
    note_failure(w, client, pod)
    return bool(failures(w, client) < s[at.UPSTREAM])


@inner
def send(w: Any, client: int, now: int) -> None:
    """The proxy sends a request to a pod that is there, as far as it finds one."""
    c = w.clients[u(client)]
    while True:
        pod = choose(w, client, now)
        if pod < 0:
            break
        if w.s[at.JUDGES]:
            sent(w, pod, now // at.SECOND)
        if w.pods[u(pod)].alive:
            c.pod = pod
            connect(w, pod, 1)
            if not enqueue(w, pod, client, now):
                knock_again(w, client, now + at.SYN_AGAIN_AFTER[0], at.SYN_1)
            return
        if not _fails_at(w, client, pod, now):
            break
    answer(w, client, now, at.UNAVAILABLE)


@inner
def send_first(w: Any, client: int, now: int) -> None:
    """The limits have let a request in: it needs a connection to a pod."""
    if w.s[at.WORKERS] and not reach_pod(w, client):
        answer(w, client, now, at.NO_CONNECTION)
    else:
        send(w, client, now)


@inner
def _send_to_next(w: Any, client: int, now: int) -> None:
    c = w.clients[u(client)]
    connect(w, c.pod, -1)
    c.pod = -1
    # What the pod still has of it is that of an earlier attempt.
    c.attempt += 1
    send(w, client, now)


@inner
def turn_away(w: Any, client: int, now: int, ending: int) -> None:
    """A pod refuses a request: its answer is passed on, or the request goes to the next pod.

    A WebSocket that is opened, if only to be closed with 1013, has not failed. The last pod's answer is
    passed on, and is no failure.
    """
    s = w.s
    c = w.clients[u(client)]
    opened = s[at.CLOSES_1013] and not c.marks & at.POLLS
    goes_on = s[at.AFTER_TOO_MANY] if ending == at.TOO_MANY else s[at.AFTER_BUSY]
    if s[at.JUDGES] and goes_on and not opened and failures(w, client) + 1 < s[at.UPSTREAM]:
        failed(w, c.pod, now // at.SECOND)
        note_failure(w, client, c.pod)
        _send_to_next(w, client, now)
    else:
        answer(w, client, now, ending)


@inner
def lose_pod(w: Any, client: int, now: int) -> None:
    """The pod of a client that waits for an answer has gone."""
    c = w.clients[u(client)]
    if c.marks & at.OPENED:
        end_attempt(w, client, now, at.RESET)
    elif _fails_at(w, client, c.pod, now):
        _send_to_next(w, client, now)
    else:
        answer(w, client, now, at.UNAVAILABLE)
