"""A limit that each pod counts for itself: new connections of an address in a sliding window of time.

The rule is the pod's own, `gateway_stub/sliding_window.py`. A pod asks it when it gets to a connection,
whether or not its client is still there, and it counts each connection once.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from gateway_stub.protocol import Admission
from gateway_stub.sliding_window import SlidingWindow

_PEER = "peer"


class PodWindows:
    """The windows of all pods. pods, clients: how many there are."""

    def __init__(self, pods: int, clients: int) -> None:
        self._windows = [SlidingWindow() for _ in range(pods)]
        self._let_in = np.full(clients, -1, np.int32)
        """The attempt of each client that a pod has let in last."""

    def refused(
        self, rules: Admission, pods: Any, clients: Any, attempts: Any, addresses: Any, now_s: float
    ) -> npt.NDArray[np.bool_]:
        """Whom these pods refuse of the connections that they get to, in that order, of shape (n,).

        A connection that was let in before is not asked again.
        """
        found = np.zeros(len(clients), bool)
        now_ns, window_ns = int(now_s * 1e9), int(rules.window_s * 1e9)
        for place in np.flatnonzero(self._let_in[clients] != attempts).tolist():
            found[place] = not self._windows[pods[place]].admits(
                _PEER if rules.window_by_peer else str(addresses[place]),
                now_ns,
                connections=rules.window_connections,
                window_ns=window_ns,
                charge_refusals=rules.window_charges_refusals,
            )
        self._let_in[clients[~found]] = attempts[~found]
        return found

    def forget(self, pod: int) -> None:
        """The process has ended, and what it has counted with it."""
        self._windows[pod] = SlidingWindow()
