"""Whom `proxy_read_timeout` cuts: a WebSocket that has carried nothing for so long.

Ticks of the pod and pings of the session are something. A session has its own pings, one every interval from
its beginning; a pod that stands still sends neither.

Source: nginx/nginx, src/http/ngx_http_upstream.c, ngx_http_upstream_process_upgraded, as of 1.31.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.simulator.clients import JOINED, ClientTable

Floats = npt.NDArray[np.float64]


def last_byte_s(joined_s: Floats, last_tick_s: Floats, until_s: Floats, ping_interval_s: float) -> Floats:
    """When each session has carried something last, of shape (n,).

    until_s: now, or when its pod began to stand still.
    """
    pings = np.floor(np.maximum(0.0, until_s - joined_s) / ping_interval_s + 1e-9)
    found: Floats = np.maximum(joined_s + pings * ping_interval_s, last_tick_s)
    return found


class ReadTimeout:
    """The time-out of a proxy for the sessions of a run."""

    def __init__(self, table: ClientTable, timeout_s: float, ping_interval_s: float) -> None:
        self._table, self._timeout_s, self._ping_interval_s = table, timeout_s, ping_interval_s

    def cut(self, now_s: float, clients: Any, last_tick_s: Floats, paused_at_s: Floats) -> tuple[Any, Floats]:
        """(whose connections are closed by now, when each of them is).

        clients: how many each pod has. last_tick_s: when it has sent a tick last. paused_at_s: when it began
        to stand still; infinite if it has not. All of shape (pods,).
        """
        table, timeout_s = self._table, self._timeout_s
        silent = (clients > 0) & (now_s - last_tick_s >= timeout_s - 1e-9)
        if not silent.any():
            return np.empty(0, np.int64), np.empty(0)
        members = np.flatnonzero((table.state == JOINED) & silent[table.pod])
        pods = table.pod[members]
        heard_s = last_byte_s(
            table.joined_s[members],
            last_tick_s[pods],
            np.minimum(now_s, paused_at_s[pods]),
            self._ping_interval_s,
        )
        over = now_s - heard_s >= timeout_s - 1e-9
        return members[over], heard_s[over] + timeout_s
