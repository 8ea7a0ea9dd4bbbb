"""What comes due when: clients by the slot of time in which each has to be looked at.

Who comes first among those who go to the same place.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

_NOBODY = np.empty(0, np.int32)
_RADIX = 1 << 16


class Calendar:
    """Slots from 0 on; what is put into the past comes due in the next slot that is taken."""

    def __init__(self) -> None:
        self._slots: dict[int, list[Any]] = {}
        self._next = 0

    def put(self, clients: Any, slots: Any) -> None:
        """Enters each client in its slot; both of shape (n,)."""
        if not len(clients):
            return
        ahead = np.maximum(slots, self._next) - self._next
        if len(clients) == 1:
            self._slots.setdefault(self._next + int(ahead[0]), []).append(clients)
            return
        # Sorting 16-bit numbers takes one pass over them.
        order = np.argsort(ahead.astype(np.uint16) if int(ahead.max()) < _RADIX else ahead, kind="stable")
        ahead = ahead[order]
        clients = clients[order]
        cuts = np.flatnonzero(np.diff(ahead)) + 1
        for slot, part in zip(
            ahead[np.concatenate(([0], cuts))].tolist(), np.split(clients, cuts), strict=True
        ):
            self._slots.setdefault(self._next + slot, []).append(part)

    def take(self, slot: int) -> Any:
        """Everybody who is entered in `slot`, some perhaps twice; slots are taken in order."""
        self._next = slot + 1
        parts = self._slots.pop(slot, None)
        if parts is None:
            return _NOBODY
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def ranks(places: Any, count: int) -> npt.NDArray[np.int64]:
    """The rank of each among those of the same place, from 0 on, in the order in which they are given.

    places: numbers below `count`, of shape (n,).
    """
    counts = np.bincount(places, minlength=count)
    found = np.empty(len(places), np.int64)
    found[np.argsort(places, kind="stable")] = np.arange(len(places)) - np.repeat(
        np.cumsum(counts) - counts, counts
    )
    return found
