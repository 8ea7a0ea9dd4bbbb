"""A cap on requests in flight as a pure rule: nginx's `limit_conn`, and HAProxy's `conn_cur`.

    refused where requests of the key in flight ≥ connections; otherwise there is one more until it ends

A request is in flight from its header until its answer is complete. A WebSocket is one request, so it counts
for as long as it is open; a client that polls counts only while one of its requests is on the way.

In a dry run nginx does not count what it would have refused; HAProxy counts every request that it tracks.

Source: nginx/nginx, src/http/modules/ngx_http_limit_conn_module.c; haproxy/haproxy, src/stick_table.c.
"""

import numpy as np
import numpy.typing as npt

from scenarios.limits.counted import CountedRule
from scenarios.limits.leaky_bucket import Whole


class InFlightRule(CountedRule, frozen=True, kw_only=True):
    """One `limit_conn` rule."""

    connections: int
    """Requests of one address that may be in flight at once."""

    @property
    def all_requests(self) -> bool:
        """A WebSocket counts whether or not polling came before it."""
        return True

    def admits(self, in_flight: int) -> bool:
        """Whether one more request fits beside those of the same address."""
        return in_flight < self.connections


class InFlight:
    """What is in flight under one rule, for many clients with at most one request each.

    key_of: the key of each client, as a number; -1 where it is not counted. before: whose requests are still
    in flight.
    """

    def __init__(self, rule: InFlightRule, key_of: Whole, before: "InFlight | None" = None) -> None:
        self.rule = rule
        self._key_of = key_of
        self._count: Whole = np.zeros(int(key_of.max(initial=0)) + 1, np.int64)
        self._holds = np.zeros(len(key_of), bool)
        if before is not None:
            self.begin(np.flatnonzero(before._holds))

    def fits(self, clients: Whole) -> npt.NDArray[np.bool_]:
        """Whether a request of each fits, if they come one after the other and those that fit begin."""
        keys = self._key_of[clients]
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        rank = np.empty(len(keys), np.int64)
        rank[order] = np.arange(len(keys)) - np.searchsorted(ordered, ordered)
        return (keys < 0) | (self._count[keys] + rank < self.rule.connections)

    def begin(self, clients: Whole) -> None:
        """A request of each of these is in flight from now on."""
        counted = clients[self._key_of[clients] >= 0]
        self._count += np.bincount(self._key_of[counted], minlength=len(self._count))
        self._holds[counted] = True

    def end(self, clients: Whole) -> None:
        """The requests of these have ended; those of others that are named were not in flight."""
        ended = clients[self._holds[clients]]
        self._count -= np.bincount(self._key_of[ended], minlength=len(self._count))
        self._holds[ended] = False
