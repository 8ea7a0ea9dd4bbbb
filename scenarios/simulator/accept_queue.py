"""Connections at the pods' accept queues: one that finds no room retransmits its SYN, as the kernel does."""

from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.simulator.calendar import Calendar
from scenarios.simulator.clients import TRYING, ClientTable
from scenarios.simulator.costs import SYN_AGAIN_AFTER_S
from scenarios.simulator.pods import Pods

Floats = npt.NDArray[np.float64]

_AGAIN_AFTER_S = np.array(SYN_AGAIN_AFTER_S)


class AcceptQueue:
    """Those who stand before a full queue."""

    def __init__(self, table: ClientTable, pods: Pods, slot_s: float) -> None:
        self._table, self._pods, self._slot_s = table, pods, slot_s
        self._calendar = Calendar()
        self._slot = np.full(table.count, -1, np.int64)
        """When each retransmits; an entry of the calendar for an earlier attempt differs."""
        self._times = np.zeros(table.count, np.int8)
        self._first_s = np.zeros(table.count)

    def connect(self, clients: Any, at_s: Floats) -> None:
        """Connections reach the pods that their clients were sent to, for the first time."""
        outside = ~self._enter(clients, at_s)
        clients = clients[outside]
        self._times[clients] = 0
        self._first_s[clients] = at_s[outside]
        self._turn_away(clients)

    def retransmit(self, slot: int, now_s: float) -> None:
        """Those whose time has come; slots are taken in order."""
        clients = self._calendar.take(slot)
        if len(clients):
            mine = (self._table.state[clients] == TRYING) & (self._times[clients] > 0)
            clients = clients[mine & (self._slot[clients] == slot)]
            # A client that was entered twice retransmits once.
            clients = clients[np.sort(np.unique(clients, return_index=True)[1])]
            self._turn_away(clients[~self._enter(clients, np.full(len(clients), now_s))])

    def _enter(self, clients: Any, at_s: Floats) -> npt.NDArray[np.bool_]:
        """Puts them into the accept queues; returns who found room, of shape (n,)."""
        table = self._table
        room = self._pods.enqueue(table.pod[clients], clients, table.attempt[clients], at_s)
        self._times[clients[room]] = 0
        return room

    def _turn_away(self, clients: Any) -> None:
        """These found no room; those that still have time retransmit."""
        outside = clients[self._times[clients] < len(_AGAIN_AFTER_S)]
        again_s = self._first_s[outside] + _AGAIN_AFTER_S[self._times[outside]]
        self._times[outside] += 1
        # A client that will have given up by then does not retransmit.
        patient = again_s < self._table.due_s[outside]
        slots = (again_s / self._slot_s).astype(np.int64)
        self._slot[outside] = np.where(patient, slots, -1)
        self._calendar.put(outside[patient], slots[patient])
