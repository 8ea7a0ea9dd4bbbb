"""TLS at the proxy of the model: who keeps a session and resumes it, and what handshakes cost.

A client that keeps its session resumes it, if the proxy still takes it:

- A certificate is that of the sessions which began with it: a rotation ends all of them.
- nginx keeps its shared session cache and the keys of its tickets over a reload. Without a cache it has new
  keys, and HAProxy's reload is a new process: nothing is resumed.
- Without cache and tickets there is nothing to resume at all.

`loop/edge/greeting.py` makes the handshakes.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.scenario.edge.tls import Tls
from scenarios.scenario.model import Scenario
from scenarios.simulator.costs import Costs
from scenarios.simulator.loop import at
from scenarios.simulator.loop.world import Tables

Bools = npt.NDArray[np.bool_]


class TlsSessions:
    """What clients and proxy remember of each other, in the arrays `s`, `x` and the tables of a run."""

    def __init__(self, scenario: Scenario, costs: Costs, s: Any, x: Any, tables: Tables) -> None:
        self._s, self._marks = s, tables[at.TLS_MARKS]
        self._tls = tls = scenario.edge.tls
        proxy = scenario.edge.proxy
        x[at.TLS_WORKERS] = scenario.edge.nginx.workers if proxy == "nginx" else 1
        self._outlive_reload = tls is not None and proxy == "nginx" and tls.session_cache
        if tls is None:
            return
        s[at.TLS] = True
        x[at.TLS_COST] = handshake_cpu_s(tls, costs) * at.SECOND
        x[at.TLS_RESUMED_COST] = costs.tls_resumed_cpu_s * at.SECOND
        if tls.session_cache or tls.session_tickets:
            fleet = scenario.fleet
            self._marks[:] = at.KEEPS * keepers(fleet.tls_resume, fleet.clients, fleet.seed)

    def reload(self) -> None:
        """The proxy has read its configuration again."""
        if not self._outlive_reload:
            self.forget()

    def forget(self) -> None:
        """It has another certificate."""
        self._marks[:] &= at.KEEPS

    def start_over(self) -> None:
        """It has ended, and all handshakes with it."""
        self.forget()
        self._s[at.TLS_THROUGH] = 0

    def take_counts(self) -> dict[str, int]:
        """TLS handshakes since the last call, by kind; empty without TLS."""
        if self._tls is None:
            return {}
        s = self._s
        taken = {"tls_resumed": int(s[at.TLS_RESUMED]), "tls_full": int(s[at.TLS_FULL])}
        s[at.TLS_RESUMED] = s[at.TLS_FULL] = 0
        return taken


def handshake_cpu_s(tls: Tls, costs: Costs) -> float:
    """CPU of the proxy for a full handshake."""
    return costs.tls_rsa_cpu_s if tls.key == "rsa-2048" else costs.tls_ecdsa_cpu_s


def keepers(share: bool | float | None, clients: int, seed: int) -> Bools:
    """Which clients keep their sessions: all where nothing is said."""
    kept = 1.0 if share is None else float(share)
    return np.random.default_rng([seed, 0x715]).random(clients) < kept
