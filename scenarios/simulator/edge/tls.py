"""TLS at the proxy of the model: who makes a full handshake, who resumes a session, and when each is through.

A client that keeps its session resumes it, if the proxy still takes it:

- A certificate is that of the sessions which began with it: a rotation ends all of them.
- nginx keeps its shared session cache and the keys of its tickets over a reload. Without a cache it has new
  keys, and HAProxy's reload is a new process: nothing is resumed.
- Without cache and tickets there is nothing to resume at all.

Handshakes are worked off one after the other, at the speed that the proxy has beside the pods:

    through = max(arrived, through before) + cost / speed
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.scenario.edge.tls import Tls
from scenarios.simulator.costs import Costs

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class TlsSessions:
    """What clients and proxy remember of each other. keeps: which clients keep a session, of shape (n,)."""

    def __init__(self, tls: Tls, proxy: str, keeps: Bools) -> None:
        self._outlive_reload = proxy == "nginx" and tls.session_cache
        self._keeps = keeps & (tls.session_cache or tls.session_tickets)
        self._has = np.zeros(len(keeps), bool)

    def resumes(self, clients: Any) -> Bools:
        """Which of these resume a session, of shape (n,); the others make a full handshake."""
        resumed: Bools = self._has[clients]
        return resumed

    def connected(self, clients: Any) -> None:
        """The handshakes of these are over, and those that keep a session have one."""
        self._has[clients] = self._keeps[clients]

    def reload(self) -> None:
        """The proxy has read its configuration again."""
        if not self._outlive_reload:
            self.forget()

    def forget(self) -> None:
        """It has another certificate, or has been started again."""
        self._has[:] = False


class Handshakes:
    """The handshakes that the proxy has yet to make."""

    def __init__(self) -> None:
        self._through_s = 0.0

    def through_s(self, arrived_s: Floats, cost_s: Floats, speed: float) -> Floats:
        """When each is through, of shape (n,), in the order in which they have arrived."""
        order = np.argsort(arrived_s, kind="stable")
        worked_s = np.cumsum(cost_s[order]) / speed
        # The latest begin of a time without a pause, for each.
        begun_s = np.maximum.accumulate(arrived_s[order] - worked_s + cost_s[order] / speed)
        found = np.empty(len(order))
        found[order] = np.maximum(begun_s, self._through_s) + worked_s
        if len(order):
            self._through_s = float(found[order[-1]])
        return found

    def forget(self) -> None:
        """The proxy has ended, and all handshakes with it."""
        self._through_s = 0.0


def handshake_cpu_s(tls: Tls, resumed: Bools, costs: Costs) -> Floats:
    """CPU of the proxy for each handshake, of shape (n,)."""
    full_s = costs.tls_rsa_cpu_s if tls.key == "rsa-2048" else costs.tls_ecdsa_cpu_s
    found: Floats = np.where(resumed, costs.tls_resumed_cpu_s, full_s)
    return found


def keepers(share: bool | float | None, clients: int, seed: int) -> Bools:
    """Which clients keep their sessions: all where nothing is said."""
    kept = 1.0 if share is None else float(share)
    return np.random.default_rng([seed, 0x715]).random(clients) < kept
