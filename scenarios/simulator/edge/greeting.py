"""Clients on their way from a TCP connection to a request: a TLS handshake, where the proxy has TLS."""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.scenario.model import Scenario
from scenarios.simulator.clients import ClientTable
from scenarios.simulator.costs import Costs
from scenarios.simulator.edge.tls import Handshakes, TlsSessions, handshake_cpu_s, keepers
from scenarios.simulator.reconnects import Reconnects

Floats = npt.NDArray[np.float64]


class Greeting:
    """The handshakes of a run; without `[edge.tls]` there are none."""

    def __init__(self, scenario: Scenario, table: ClientTable, reconnects: Reconnects, costs: Costs) -> None:
        self.cpu_s = 0.0
        """Of the proxy; whoever reads it sets it back."""
        self.counted: Counter[str] = Counter()
        """Handshakes by kind; whoever reads it sets it back."""
        self._table, self._reconnects, self._costs = table, reconnects, costs
        self._cores, self._burns = scenario.gateway.cores, scenario.gateway.cpu == "burn"
        self._workers = scenario.edge.nginx.workers if scenario.edge.proxy == "nginx" else 1
        self._tls = tls = scenario.edge.tls
        fleet = scenario.fleet
        keeps = keepers(fleet.tls_resume if tls else False, table.count, fleet.seed)
        self._sessions = TlsSessions(tls, scenario.edge.proxy, keeps) if tls else None
        self._handshakes = Handshakes()
        self._begun_s = np.full(table.count, np.nan)
        """When the attempt began that a client's handshake is being made for."""

    def settle(self, clients: Any) -> None:
        """These are connected from the beginning."""
        if self._sessions is not None:
            self._sessions.connected(clients)

    def reload(self) -> None:
        """The proxy has read its configuration again."""
        if self._sessions is not None:
            self._sessions.reload()

    def rotate(self) -> None:
        """It has another certificate."""
        if self._sessions is not None:
            self._sessions.forget()

    def end(self) -> None:
        """It has ended."""
        self.rotate()
        self._handshakes.forget()
        self._begun_s[:] = np.nan

    def greet(self, clients: Any, end_s: float, busy_pods: int) -> tuple[Any, Any]:
        """(who goes on with its request in this slot, whose time is over) of those who come in.

        The others are looked at again when their handshakes are over, or their time is.
        """
        table, tls = self._table, self._tls
        if tls is None or self._sessions is None:
            return clients, clients[:0]
        ours = self._begun_s[clients] == table.started_s[clients]
        ready, new = clients[ours], clients[~ours]
        resumed = self._sessions.resumes(new)
        cost_s = handshake_cpu_s(tls, resumed, self._costs)
        self.cpu_s += float(cost_s.sum())
        through_s = self._handshakes.through_s(table.due_s[new], cost_s, self._speed(busy_pods))
        patience_s = table.started_s[new] + table.timeout_s[new]
        in_time = through_s < patience_s
        self._sessions.connected(new[in_time])
        self.counted["tls_resumed"] += int((in_time & resumed).sum())
        self.counted["tls_full"] += int((in_time & ~resumed).sum())
        at_once = in_time & (through_s < end_s)
        table.due_s[new[at_once]] = through_s[at_once]
        later = new[~at_once]
        self._begun_s[later] = table.started_s[later]
        self._reconnects.schedule(later, np.minimum(through_s, patience_s)[~at_once])
        over = table.due_s[ready] >= table.started_s[ready] + table.timeout_s[ready]
        return np.concatenate((ready[~over], new[at_once])), ready[over]

    def _speed(self, busy_pods: int) -> float:
        """CPU-seconds per second that the workers have, if all processes share the cores evenly."""
        processes = self._workers + (busy_pods if self._burns else 0)
        return self._workers * min(1.0, self._cores / processes)
