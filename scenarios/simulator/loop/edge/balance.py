"""To which pod the proxy sends a newcomer, by `gateway.balance`, past those that it takes for dead."""

from typing import Any

from scenarios.simulator.loop import at
from scenarios.simulator.loop.clients import mixed
from scenarios.simulator.loop.edge.upstream import has_failed_at, is_out
from scenarios.simulator.loop.parts import hot, inner
from scenarios.simulator.loop.tables import one, spot, u

FIRST_HASH = 89
REHASHES = 20
"""So often nginx goes on hashing an address whose pod is out; then it takes the pods in turn."""


@inner
def ip_hash(hashed: int, first: int, second: int, third: int) -> int:
    """nginx's hash of the first three octets of an address; modulo the number of pods, it is the pod's place.

    hashed: `FIRST_HASH`, or what the hash was whose pod is out. Source: nginx/nginx,
    src/http/modules/ngx_http_upstream_ip_hash_module.c, as of 1.31.
    """
    hashed = (hashed * 113 + first) % 6271
    hashed = (hashed * 113 + second) % 6271
    return (hashed * 113 + third) % 6271


# -- where some pods are out --------------------------------------------------------------------------


@inner
def _is_barred(w: Any, client: int, pod: int, now_s: int) -> bool:
    """Whether a pod is out, or the request of a client has failed there."""
    return is_out(w, pod, now_s) or has_failed_at(w, client, pod)


@inner
def _next_in_turn(w: Any, client: int, now_s: int) -> int:
    s = w.s
    for step in range(s[at.UPSTREAM]):
        pod = w.m[u(one(w, at.UPSTREAM_PODS, (s[at.TURN] + step) % s[at.UPSTREAM]))]
        if not _is_barred(w, client, pod, now_s):
            s[at.TURN] += step + 1
            return int(pod)
    return -1


@inner
def _next_emptiest(w: Any, client: int, now_s: int) -> int:
    s = w.s
    seen, level = 0, s[at.LEAST]
    while seen < s[at.UPSTREAM]:
        pod = w.m[u(s[at.LEVELS] + 2 * level)]
        while pod >= 0:
            if not _is_barred(w, client, pod, now_s):
                return int(pod)
            seen += 1
            pod = w.pods[u(pod)].after
        level += 1
    return -1


@inner
def _next_by_hash(w: Any, client: int, now_s: int) -> int:
    """The pod that scores highest for an address, of those that are left."""
    s = w.s
    address = w.clients[u(client)].address
    best, highest = -1, -1
    for place in range(s[at.UPSTREAM]):
        pod = w.m[u(one(w, at.UPSTREAM_PODS, place))]
        score = mixed(s[at.SEED], address, pod + 1)
        if score > highest and not _is_barred(w, client, pod, now_s):
            best, highest = pod, score
    return int(best)


@inner
def _next_by_ip_hash(w: Any, client: int, now_s: int) -> int:
    s = w.s
    address = w.clients[u(client)].address
    hashed = FIRST_HASH
    for _ in range(1 + REHASHES):
        hashed = ip_hash(
            hashed,
            w.m[u(spot(w, at.OCTETS, address, 0))],
            w.m[u(spot(w, at.OCTETS, address, 1))],
            w.m[u(spot(w, at.OCTETS, address, 2))],
        )
        pod = w.m[u(one(w, at.UPSTREAM_PODS, hashed % s[at.UPSTREAM]))]
        if not _is_barred(w, client, pod, now_s):
            return int(pod)
    return _next_in_turn(w, client, now_s)


@inner
def _choose_past_failures(w: Any, client: int, now_s: int) -> int:
    balance = w.s[at.BALANCE]
    if balance == at.LEAST_CONN:
        return _next_emptiest(w, client, now_s)
    if balance == at.ROUND_ROBIN:
        return _next_in_turn(w, client, now_s)
    home = w.m[u(one(w, at.HOME, w.clients[u(client)].address))]
    if not _is_barred(w, client, home, now_s):
        return int(home)
    return _next_by_hash(w, client, now_s) if balance == at.HASH else _next_by_ip_hash(w, client, now_s)


# -- all pods -----------------------------------------------------------------------------------------


@hot
def choose(w: Any, client: int, now: int) -> int:
    """The pod that a newcomer is sent to; -1 where there is none."""
    s = w.s
    if s[at.UPSTREAM] == 0:
        return -1
    if s[at.JUDGES]:
        return _choose_past_failures(w, client, now // at.SECOND)
    if s[at.BALANCE] == at.LEAST_CONN:
        return int(w.m[u(w.s[at.LEVELS] + 2 * (s[at.LEAST]))])
    if s[at.BALANCE] == at.ROUND_ROBIN:
        turn = s[at.TURN]
        s[at.TURN] = turn + 1
        return int(w.m[u(one(w, at.UPSTREAM_PODS, turn % s[at.UPSTREAM]))])
    return int(w.m[u(one(w, at.HOME, w.clients[u(client)].address))])


@hot
def link(w: Any, pod: int, level: int) -> None:
    """A pod is the last one with so many connections."""
    pods = w.pods
    last = w.m[u(w.s[at.LEVELS] + 2 * level + 1)]
    pods[u(pod)].before, pods[u(pod)].after = last, -1
    if last < 0:
        w.m[u(w.s[at.LEVELS] + 2 * level)] = pod
    else:
        pods[u(last)].after = pod
    w.m[u(w.s[at.LEVELS] + 2 * level + 1)] = pod


@hot
def unlink(w: Any, pod: int, level: int) -> None:
    """A pod has another number of connections."""
    pods = w.pods
    before, after = pods[u(pod)].before, pods[u(pod)].after
    if before < 0:
        w.m[u(w.s[at.LEVELS] + 2 * level)] = after
    else:
        pods[u(before)].after = after
    if after < 0:
        w.m[u(w.s[at.LEVELS] + 2 * level + 1)] = before
    else:
        pods[u(after)].before = before


@hot
def connect(w: Any, pod: int, more: int) -> None:
    """A pod has one connection more, or one less (-1).

    Among the pods with equally many, the one that has had as many for the longest time is the first.
    """
    s = w.s
    p = w.pods[u(pod)]
    before = p.connections
    p.connections = before + more
    if not p.routed or s[at.BALANCE] != at.LEAST_CONN:
        return
    unlink(w, pod, before)
    link(w, pod, before + more)
    if more < 0:
        s[at.LEAST] = min(s[at.LEAST], before - 1)
    elif s[at.LEAST] == before and w.m[u(w.s[at.LEVELS] + 2 * before)] < 0:
        s[at.LEAST] = before + 1


@inner
def route(w: Any, rows: Any) -> None:
    """From now on newcomers go to these pods."""
    s = w.s
    least = s[at.BALANCE] == at.LEAST_CONN
    for pod in range(s[at.PODS]):
        if w.pods[u(pod)].routed and least:
            unlink(w, pod, w.pods[u(pod)].connections)
        w.pods[u(pod)].routed = False
    s[at.UPSTREAM] = len(rows)
    s[at.LEAST] = at.NEVER
    for place in range(len(rows)):
        pod = rows[place, 0]
        w.m[u(one(w, at.UPSTREAM_PODS, place))] = pod
        w.pods[u(pod)].routed = True
        if least:
            link(w, pod, w.pods[u(pod)].connections)
            s[at.LEAST] = min(s[at.LEAST], w.pods[u(pod)].connections)
