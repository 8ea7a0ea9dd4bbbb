"""Whom `proxy_read_timeout` cuts: a WebSocket that has carried nothing for so long.

Ticks of the pod and pings of the session are something. A session has its own pings, one every interval from
its beginning; a pod that stands still sends neither. As long as a pod sends ticks, nobody looks at its
sessions.

Source: nginx/nginx, src/http/ngx_http_upstream.c, ngx_http_upstream_process_upgraded, as of 1.31.
"""

from typing import Any

from scenarios.simulator.loop import at
from scenarios.simulator.loop.calendar import put_client
from scenarios.simulator.loop.parts import inner
from scenarios.simulator.loop.sessions import expect_silence, lose
from scenarios.simulator.loop.tables import deep, u

_FIRST = 0


@inner
def listen(w: Any, pod: int, now: int) -> None:
    """A pod is heard: if that was the last time, it is looked at when the proxy has waited long enough."""
    p = w.pods[u(pod)]
    p.quiet = 0
    put_client(w, now + w.s[at.READ_TIMEOUT], pod, at.QUIET, p.lives)


@inner
def last_byte(joined: int, tick: int, until: int, ping_interval: int) -> int:
    """When a session has carried something last; until: now, or when its pod began to stand still."""
    pings = max(0, until - joined) // ping_interval
    return max(joined + pings * ping_interval, tick)


@inner
def _look_at(w: Any, client: int, now: int) -> None:
    """Cuts a session of a quiet pod, or comes back to it."""
    c = w.clients[u(client)]
    p = w.pods[u(c.pod)]
    until = min(now, p.paused_at) if p.paused else now
    over = last_byte(c.joined, p.heard, until, w.s[at.PING_INTERVAL]) + w.s[at.READ_TIMEOUT]
    if over <= now:
        lose(w, client, now, at.RESET)
    else:
        expect_silence(w, client, over)


@inner
def falls_quiet(w: Any, pod: int, life: int, now: int) -> None:
    """A pod may have sent no tick for as long as the proxy waits."""
    p = w.pods[u(pod)]
    if not p.alive or p.lives != life:
        return
    over = p.heard + w.s[at.READ_TIMEOUT]
    if over > now:
        put_client(w, over, pod, at.QUIET, life)
        return
    p.quiet = 1
    for dog in range(w.s[at.DOGS]):
        client = w.m[u(deep(w, at.SESSIONS, pod, dog, _FIRST))]
        while client >= 0:
            following = w.clients[u(client)].after
            _look_at(w, client, now)
            client = following


@inner
def stays_silent(w: Any, client: int, mark: int, now: int) -> int:
    """A session of a quiet pod may be silent now; returns the pod, -1 where nothing was looked at."""
    c = w.clients[u(client)]
    if c.state != at.JOINED or c.attempt & at.ATTEMPT_MASK != mark or not w.pods[u(c.pod)].quiet:
        return -1
    pod = int(c.pod)
    _look_at(w, client, now)
    return pod
