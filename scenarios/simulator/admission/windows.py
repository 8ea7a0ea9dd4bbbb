"""The table in which the loop finds what each pod counts in a sliding window; see `loop/pods/windows.py`."""

from typing import Any

import numpy as np

from gateway_stub.protocol import Admission
from scenarios.simulator.loop import at
from scenarios.simulator.loop.clients import mixed
from scenarios.simulator.loop.pods.windows import POD_SHIFT, R_NAME, R_OLDEST, R_TIMES
from scenarios.simulator.loop.world import lay_out

LONG_AGO = -at.NEVER
"""When the connections came that there have not been."""

_FEWEST_ROWS = 1_024


class PodWindows:
    """What all pods have counted; s: the single numbers of the run, in which the loop finds it."""

    def __init__(self, s: Any) -> None:
        self._s = s
        self._rows = np.zeros((0, R_TIMES), np.int64)
        """Of each pod and address that has been seen: its name, the place of the oldest time, the times."""
        s[at.WINDOW_ROOM] = at.NEVER

    def enter(self, rules: Admission) -> Any:
        """From now on pods count by these rules; returns the array that the loop reads."""
        s = self._s
        s[at.WINDOW_CONNECTIONS] = rules.window_connections
        s[at.WINDOW] = int(rules.window_s * at.SECOND)
        s[at.WINDOW_CHARGES], s[at.WINDOW_OF_PEER] = rules.window_charges_refusals, rules.window_by_peer
        if not rules.window_connections:
            s[at.WINDOW_ROOM] = at.NEVER
            return self._laid_out(self._rows)
        kept = self._seen()
        self._rows = np.full((0, R_TIMES + rules.window_connections), LONG_AGO)
        return self._filled(_latest(kept, rules.window_connections))

    def larger(self) -> Any:
        """The same with room for more, and without what no window reaches any more."""
        s, seen = self._s, self._seen()
        return self._filled(seen[seen[:, R_TIMES:].max(axis=1) > s[at.NOW] - s[at.WINDOW]])

    def forget(self, pod: int) -> None:
        """The process has ended, and what it has counted with it."""
        mine = (self._rows[:, R_NAME] > 0) & (self._rows[:, R_NAME] - 1 >> POD_SHIFT == pod)
        self._rows[mine, R_TIMES:] = LONG_AGO

    def _seen(self) -> Any:
        return self._rows[self._rows[:, R_NAME] > 0]

    def _filled(self, seen: Any) -> Any:
        """The array with these rows, in which at least as many pods and addresses have room."""
        s = self._s
        length = _FEWEST_ROWS
        while length < 4 * (len(seen) + int(s[at.PODS])):
            length *= 2
        rows = np.full((length, self._rows.shape[1]), LONG_AGO)
        rows[:, :R_TIMES] = 0
        for row in seen:
            pod, address = divmod(int(row[R_NAME]) - 1, 1 << POD_SHIFT)
            place = mixed(pod, address, 0) % length
            while rows[place, R_NAME]:
                place = (place + 1) % length
            rows[place] = row
        s[at.WINDOW_MASK], s[at.WINDOW_ROOM] = length - 1, length // 2 - len(seen)
        return self._laid_out(rows)

    def _laid_out(self, rows: Any) -> Any:
        array, views = lay_out(self._s, {at.WINDOWS: rows.shape})
        self._rows = views[at.WINDOWS]
        self._rows[:] = rows
        return array


def _latest(rows: Any, connections: int) -> Any:
    """The same rows with room for so many times, the latest ones."""
    found = np.full((len(rows), R_TIMES + connections), LONG_AGO)
    times = np.sort(rows[:, R_TIMES:], axis=1)[:, -connections:]
    found[:, R_NAME] = rows[:, R_NAME]
    found[:, R_OLDEST] = 0
    if times.shape[1]:
        found[:, -times.shape[1] :] = times
    return found
