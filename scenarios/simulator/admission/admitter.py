"""Which connections the pods turn away before a handshake has cost anything: late ones, and too many."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from msgspec import Struct

from gateway_stub.protocol import RETRY_AFTER_S, Admission
from scenarios.simulator.admission.windows import PodWindows
from scenarios.simulator.clients import ClientTable
from scenarios.simulator.costs import Costs
from scenarios.simulator.pods import Pods

TOO_MANY, BUSY = 429, 503


class TurnedAway(Struct, frozen=True):
    """Connections that pods refuse, each of shape (n,)."""

    pods: Any
    clients: Any
    attempts: Any
    status: int = BUSY
    retry_after_s: float = RETRY_AFTER_S


class Admitter:
    """The admission control of all pods."""

    def __init__(self, table: ClientTable, pods: Pods, costs: Costs, slot_s: float) -> None:
        self._table, self._pods, self._costs, self._slot_s = table, pods, costs, slot_s
        self._windows = PodWindows(len(pods.alive), table.count)
        self._refused = np.full(table.count, -1, np.int32)
        """The attempt of each client that a window has refused last."""

    def forget(self, pod: int) -> None:
        """The process has ended, and what it has counted with it."""
        self._windows.forget(pod)

    def turn_away(self, rules: Admission, now_s: float) -> Iterator[TurnedAway]:
        """Takes out of the accept queues whom the pods refuse in the slot that ends now.

        A pod asks the window first, and then how late it is, as `gateway_stub/app.py` does.
        """
        if rules.window_connections:
            yield from self._by_window(rules, now_s)
        if rules.shed_above_lag_ms:
            pods, clients, attempts = self._pods.take_older(now_s - rules.shed_above_lag_ms / 1000)
            refused = np.zeros(len(pods), bool)
            if rules.window_connections:
                refused = self._asked(rules, pods, clients, attempts, now_s)
            for mine, status in ((refused, TOO_MANY), (~refused, BUSY)):
                if mine.any():
                    yield self._turned_away(rules, pods[mine], clients[mine], attempts[mine], status)

    def _by_window(self, rules: Admission, now_s: float) -> Iterator[TurnedAway]:
        """A pod gets to so many connections in a slot as there is time for; those behind them wait."""
        upgrade_s = self._pods.upgrade_s + self._costs.upgrade_cpu_s
        most = math.ceil(self._slot_s / upgrade_s) if upgrade_s else self._pods.capacity
        left_s = self._slot_s
        while left_s > 0:
            pods, clients, attempts = self._pods.first(most, self._slot_s)
            refused = self._asked(rules, pods, clients, attempts, now_s)
            if not refused.any():
                return
            pods, clients, attempts = pods[refused], clients[refused], attempts[refused]
            self._refused[clients] = attempts
            self._pods.keep(lambda clients, attempts: self._refused[clients] != attempts)
            yield self._turned_away(rules, pods, clients, attempts, TOO_MANY)
            left_s -= max(int(np.bincount(pods).max()) * self._costs.shed_cpu_s, 1e-6)

    def _asked(self, rules: Admission, pods: Any, clients: Any, attempts: Any, now_s: float) -> Any:
        addresses = self._table.address[clients]
        return self._windows.refused(rules, pods, clients, attempts, addresses, now_s)

    def _turned_away(
        self, rules: Admission, pods: Any, clients: Any, attempts: Any, status: int
    ) -> TurnedAway:
        after_s = math.ceil(rules.window_s) if status == TOO_MANY else RETRY_AFTER_S
        return TurnedAway(pods, clients, attempts, status, after_s)
