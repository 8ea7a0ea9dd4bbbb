"""Connections at the pods' accept queues: who finds no room knocks again, as the kernel sends a SYN again."""

from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.simulator.calendar import Calendar
from scenarios.simulator.clients import TRYING, Crowd
from scenarios.simulator.pods import Pods

Floats = npt.NDArray[np.float64]

AGAIN_AFTER_S = np.array([1.0, 3.0, 7.0])
"""After the first time, as Linux does: 1, 2 and 4 s after the one before."""


class Knocking:
    """Those who stand before a full queue."""

    def __init__(self, crowd: Crowd, pods: Pods, slot_s: float) -> None:
        self._crowd, self._pods, self._slot_s = crowd, pods, slot_s
        self._calendar = Calendar()
        self._slot = np.full(crowd.count, -1, np.int64)
        """When each knocks again; what was entered in the calendar for an earlier attempt differs."""
        self._times = np.zeros(crowd.count, np.int8)
        self._first_s = np.zeros(crowd.count)

    def knock(self, clients: Any, at_s: Floats) -> None:
        """Connections reach the pods that their clients were sent to, for the first time."""
        outside = ~self._enter(clients, at_s)
        clients = clients[outside]
        self._times[clients] = 0
        self._first_s[clients] = at_s[outside]
        self._turn_away(clients)

    def knock_again(self, slot: int, now_s: float) -> None:
        """Those whose time has come; slots are taken in order."""
        clients = self._calendar.take(slot)
        if len(clients):
            mine = (self._crowd.state[clients] == TRYING) & (self._times[clients] > 0)
            clients = clients[mine & (self._slot[clients] == slot)]
            # Who was entered twice knocks once.
            clients = clients[np.sort(np.unique(clients, return_index=True)[1])]
            self._turn_away(clients[~self._enter(clients, np.full(len(clients), now_s))])

    def _enter(self, clients: Any, at_s: Floats) -> npt.NDArray[np.bool_]:
        """Puts them into the accept queues; returns who found room, of shape (n,)."""
        crowd = self._crowd
        room = self._pods.enqueue(crowd.pod[clients], clients, crowd.attempt[clients], at_s)
        self._times[clients[room]] = 0
        return room

    def _turn_away(self, clients: Any) -> None:
        """These found no room; who is patient knocks again."""
        outside = clients[self._times[clients] < len(AGAIN_AFTER_S)]
        again_s = self._first_s[outside] + AGAIN_AFTER_S[self._times[outside]]
        self._times[outside] += 1
        # Who will have given up by then does not knock.
        patient = again_s < self._crowd.due_s[outside]
        slots = (again_s / self._slot_s).astype(np.int64)
        self._slot[outside] = np.where(patient, slots, -1)
        self._calendar.put(outside[patient], slots[patient])
