"""What failures of pods do to the next requests at nginx: the same for the real one, and for the model."""

from typing import Any

UP, BAD_GATEWAY, BUSY = 101, 502, 503
ASKED = 12

LONG = {"fail_timeout_s": 600}
"""However slow the machine is, an ejection is not over before the last request."""

HOLDS, SHEDS, DEAD = "holds", "sheds", "dead"
"""A pod that takes every WebSocket; one that answers each with 503; a port at which nobody listens."""

ANSWERS: dict[str, tuple[tuple[str, ...], dict[str, Any], dict[int, int]]] = {
    "a dead pod stays in the upstream": ((HOLDS, DEAD), {}, {UP: 6, BAD_GATEWAY: 6}),
    "a dead pod is ejected": ((HOLDS, DEAD), {"max_fails": 1, **LONG}, {UP: 11, BAD_GATEWAY: 1}),
    "a dead pod is ejected after the third failure": (
        (HOLDS, DEAD),
        {"max_fails": 3, **LONG},
        {UP: 9, BAD_GATEWAY: 3},
    ),
    "the next pod answers for it": ((HOLDS, DEAD), {"proxy_next_upstream": ["error"]}, {UP: 12}),
    "a dead pod that is alone is never ejected": ((DEAD,), {"max_fails": 1, **LONG}, {BAD_GATEWAY: 12}),
    "a busy pod has not failed": ((HOLDS, SHEDS), {"max_fails": 1, **LONG}, {UP: 6, BUSY: 6}),
    "a busy pod has failed": (
        (HOLDS, SHEDS),
        {"max_fails": 1, **LONG, "proxy_next_upstream": ["http_503"]},
        {UP: 12},
    ),
    "all busy pods are ejected": (
        (SHEDS, SHEDS),
        {"max_fails": 1, **LONG, "proxy_next_upstream": ["http_503"]},
        {BUSY: 1, BAD_GATEWAY: 11},
    ),
    "the last busy pod says so": (
        (SHEDS, SHEDS),
        {"proxy_next_upstream": ["http_503"]},
        {BUSY: 12},
    ),
}
"""(pods, keys of `[edge.nginx]`, status of each of so many requests, one after the other)."""
