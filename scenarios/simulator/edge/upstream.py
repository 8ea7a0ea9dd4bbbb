"""Which pods nginx takes for dead, by `max_fails` and `fail_timeout`, and which failures go to the next pod.

    out where fails ≥ max_fails and now − checked ≤ fail_timeout

A failure counts one up, and sets both `checked` and `accessed` to now. A request that goes to a pod more than
`fail_timeout` after `checked` sets `checked` to now: a pod that was out gets this one, and no other in the
next `fail_timeout`. After that the next request that ends without a failure, old or new, sets the number of
failures to 0; a WebSocket ends when it is closed. nginx counts in whole seconds. A pod that is alone in its
upstream is never out.

Source: nginx/nginx, src/http/ngx_http_upstream_round_robin.c and ngx_http_upstream.c, as of 1.31.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.scenario.edge.nginx import NextUpstream, NginxSettings

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_CONDITIONS: dict[int, NextUpstream] = {429: "http_429", 503: "http_503"}
"""Answers of pods that may be failures; a pod of the model gives no others."""
_LONG_AGO_S = -(10**9)
_NOBODY: frozenset[int] = frozenset()


class Upstream:
    """What nginx knows of its pods, of which there are never more than `pods`."""

    def __init__(self, settings: NginxSettings, pods: int) -> None:
        self._max_fails, self._timeout_s = settings.max_fails, settings.fail_timeout_s
        self._next = frozenset(settings.proxy_next_upstream)
        self._fails: Ints = np.zeros(pods, np.int64)
        self._accessed_s: Ints = np.full(pods, _LONG_AGO_S)
        self._checked_s: Ints = np.full(pods, _LONG_AGO_S)
        self._pods: Ints = np.empty(0, np.int64)
        self._tried: dict[int, frozenset[int]] = {}
        """Of each client whose request has failed at one pod and waits at another: the pods that it has
        failed at."""

    def renew(self) -> None:
        """nginx has read its configuration again, or has been started: it knows of no failures."""
        self._fails[:] = 0
        self._accessed_s[:] = self._checked_s[:] = _LONG_AGO_S

    @property
    def pods(self) -> int:
        """How many pods are in the upstream."""
        return len(self._pods)

    @property
    def ejects(self) -> bool:
        """Whether failures count."""
        return self._max_fails > 0

    def route(self, pods: Ints) -> None:
        """From now on these pods are in the upstream."""
        self._pods = pods

    def out(self, now_s: float) -> frozenset[int]:
        """The pods that get nothing now."""
        if not self.ejects or len(self._pods) < 2:
            return _NOBODY
        fails, checked_s = self._fails[self._pods], self._checked_s[self._pods]
        out = (fails >= self._max_fails) & (int(now_s) - checked_s <= self._timeout_s)
        return frozenset(self._pods[out].tolist())

    def room(self, alive: Bools) -> Ints:
        """How many each pod gets, at the most, of requests that come at once, of shape (pods,).

        A dead one gets as many as it takes until it is out, and one that was out gets one.
        """
        room: Ints = np.full(len(alive), np.iinfo(np.int64).max)
        if self.ejects and len(self._pods) > 1:
            left = self._max_fails - self._fails
            room = np.where(left <= 0, 1, np.where(alive, room, left))
        return room

    def sent(self, pods: Any, now_s: float) -> None:
        """Requests go to these pods."""
        now = int(now_s)
        late = now - self._checked_s[pods] > self._timeout_s
        self._checked_s[pods[late]] = now

    def failed(self, pods: Any, now_s: float) -> None:
        """A request has failed at each of these; several at one pod are several failures."""
        if self.ejects and len(pods):
            np.add.at(self._fails, pods, 1)
            self._accessed_s[pods] = self._checked_s[pods] = int(now_s)

    def ended(self, pods: Any) -> None:
        """A request or a session has ended without a failure at each of these."""
        if self.ejects and len(pods):
            self._fails[pods[self._accessed_s[pods] < self._checked_s[pods]]] = 0

    # -- the next pod -------------------------------------------------------------------------------

    def goes_on(self, status: int) -> bool:
        """Whether a request that a pod has answered with that status goes to the next one."""
        return _CONDITIONS.get(status) in self._next

    @property
    def after_error(self) -> bool:
        """Whether one does that found no process at a pod, or whose pod has gone."""
        return "error" in self._next

    def tried(self, client: int) -> frozenset[int]:
        """Where the request of a client has failed."""
        return self._tried.get(client, _NOBODY)

    def note_tried(self, client: int, pod: int) -> frozenset[int]:
        """The request of a client has failed at that pod as well; returns all at which it has."""
        self._tried[client] = self.tried(client) | {pod}
        return self._tried[client]

    def by_tried(self, clients: Any) -> Iterator[tuple[frozenset[int], Any]]:
        """(pods at which requests have failed, places of their clients among these)."""
        if not self._tried:
            yield _NOBODY, slice(None)
            return
        groups: defaultdict[frozenset[int], list[int]] = defaultdict(list)
        for place, client in enumerate(clients.tolist()):
            groups[self.tried(client)].append(place)
        for tried, places in groups.items():
            yield tried, np.array(places)

    def forget(self, clients: Any) -> None:
        """The requests of these have ended."""
        for client in clients.tolist() if self._tried else ():
            self._tried.pop(client, None)
