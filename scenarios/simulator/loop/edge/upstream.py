"""Which pods nginx takes for dead, by `max_fails` and `fail_timeout`, and where a request has failed already.

    out where fails ≥ max_fails and now − checked ≤ fail_timeout

A failure counts one up, and sets both `checked` and `accessed` to now. A request that goes to a pod more than
`fail_timeout` after `checked` sets `checked` to now: a pod that was out gets this one, and no other in the
next `fail_timeout`. After that the next request that ends without a failure, old or new, sets the number of
failures to 0; a WebSocket ends when it is closed. nginx counts in whole seconds. A pod that is alone in its
upstream is never out.

Source: nginx/nginx, src/http/modules/ngx_http_upstream_round_robin.c and ngx_http_upstream.c, as of 1.31.
"""

from typing import Any

from scenarios.simulator.loop import at
from scenarios.simulator.loop.parts import inner
from scenarios.simulator.loop.tables import item, spot, u

LONG_AGO_S = -(10**9)
"""When a pod that has never failed was checked."""

PODS_PER_WORD = 32
"""Of the pods at which a request has failed, one bit each."""


@inner
def is_out(w: Any, pod: int, now_s: int) -> bool:
    """Whether a pod gets nothing now."""
    s, p = w.s, w.pods[u(pod)]
    return bool(
        s[at.MAX_FAILS] > 0
        and s[at.UPSTREAM] > 1
        and p.fails >= s[at.MAX_FAILS]
        and now_s - p.checked <= s[at.FAIL_TIMEOUT_S]
    )


@inner
def sent(w: Any, pod: int, now_s: int) -> None:
    """A request goes to a pod."""
    p = w.pods[u(pod)]
    if now_s - p.checked > w.s[at.FAIL_TIMEOUT_S]:
        p.checked = now_s


@inner
def failed(w: Any, pod: int, now_s: int) -> None:
    """A request has failed at a pod."""
    if w.s[at.MAX_FAILS]:
        p = w.pods[u(pod)]
        p.fails += 1
        p.accessed = p.checked = now_s


@inner
def ended(w: Any, pod: int) -> None:
    """A request or a session has ended at a pod without a failure."""
    p = w.pods[u(pod)]
    if p.accessed < p.checked:
        p.fails = 0


# -- the next pod -------------------------------------------------------------------------------------


@inner
def has_failed_at(w: Any, client: int, pod: int) -> bool:
    """Whether the request of a client has failed at that pod."""
    word = w.m[u(spot(w, at.TRIED, client, 1 + pod // PODS_PER_WORD))]
    return bool((word >> (pod % PODS_PER_WORD)) & 1)


@inner
def note_failure(w: Any, client: int, pod: int) -> None:
    """The request of a client has failed at that pod."""
    if not has_failed_at(w, client, pod):
        w.m[u(item(w, at.TRIED, client))] += 1
        w.m[u(spot(w, at.TRIED, client, 1 + pod // PODS_PER_WORD))] |= 1 << (pod % PODS_PER_WORD)


@inner
def failures(w: Any, client: int) -> int:
    """At how many pods the request of a client has failed."""
    return int(w.m[u(item(w, at.TRIED, client))])


@inner
def forget(w: Any, client: int) -> None:
    """The request of a client has ended."""
    if w.m[u(item(w, at.TRIED, client))]:
        for word in range(w.s[at.TRIED + 1]):
            w.m[u(spot(w, at.TRIED, client, word))] = 0
