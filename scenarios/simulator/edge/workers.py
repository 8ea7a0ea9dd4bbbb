"""nginx's workers and their connections: `worker_connections`.

A worker takes two connections for a request that goes to a pod, for as long as it or its WebSocket lasts: one
to the client, one to the pod. A worker with none left closes what it accepts; one with a single one left
accepts, and answers 500 because it cannot reach a pod.

Which worker accepts is known where there is one, or where the kernel spreads new connections (`reuseport`).

Source: nginx/nginx, src/event/ngx_event_accept.c, src/event/ngx_event_connect.c and
src/core/ngx_connection.c, as of 1.31.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.scenario.edge.nginx import CONNECTIONS_PER_CLIENT, OWN_CONNECTIONS, NginxSettings
from scenarios.simulator.calendar import ranks

Bools = npt.NDArray[np.bool_]
_NONE = -1


class Workers:
    """The workers that accept, for so many clients with at most one connection each."""

    def __init__(self, settings: NginxSettings, clients: int, rng: np.random.Generator) -> None:
        self._room = settings.worker_connections - OWN_CONNECTIONS
        self._free = np.full(settings.workers, self._room, np.int64)
        self._rng = rng
        self._worker = np.full(clients, _NONE, np.int8)
        """That each client's connection takes two connections of."""

    def renew(self) -> None:
        """New workers accept from now on; the old ones keep what they have."""
        self._free[:] = self._room
        self._worker[:] = _NONE

    def settle(self, clients: Any) -> None:
        """These have got in, if need be at the second attempt."""
        waiting = clients
        while len(waiting):
            chosen = self.accept(waiting)
            waiting = waiting[~self.connect(waiting, chosen)]

    def accept(self, clients: Any) -> npt.NDArray[np.int64]:
        """The worker of each of these, of shape (n,); -1 where it is full, and closes what it accepts."""
        chosen = self._rng.integers(0, len(self._free), len(clients))
        return np.where(self._free[chosen] > 0, chosen, _NONE)

    def connect(self, clients: Any, chosen: Any) -> Bools:
        """Who finds room for a connection to a pod at the worker that was chosen, of shape (n,), in order."""
        found: Bools = chosen >= 0
        rank = ranks(chosen[found], len(self._free))
        found[found] = rank < self._free[chosen[found]] // CONNECTIONS_PER_CLIENT
        self._worker[clients[found]] = chosen[found]
        self._free -= CONNECTIONS_PER_CLIENT * np.bincount(chosen[found], minlength=len(self._free))
        return found

    def has_room(self, chosen: Any) -> Bools:
        """Whether the worker that was chosen has a connection left, of shape (n,)."""
        left: Bools = self._free[chosen] > 0
        return left

    def end(self, clients: Any) -> None:
        """The connections of these have ended, if they had any."""
        held = clients[self._worker[clients] >= 0]
        self._free += CONNECTIONS_PER_CLIENT * np.bincount(self._worker[held], minlength=len(self._free))
        self._worker[held] = _NONE
