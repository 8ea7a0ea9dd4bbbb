"""Brings up a fleet no faster than its gateway takes it, whatever a handshake costs there.

A gateway of the user's own cannot make handshakes free of charge while the fleet is brought up, and clients
that come too fast would begin the run with a storm. So first attempts wait for each other here: as many are
under way as the gateway answers in good time. More are allowed with every quick join, fewer after a slow or
a failed one.
"""

import math
from collections import deque
from typing import Protocol

RAMP_TIMEOUT_S = 30.0
"""Of an attempt of the ramp, instead of the fleet's own: a gateway that is only slow is to be waited for."""
RAMP_PAUSE_NS = 200_000_000
"""Before a client whose attempt failed is in the ramp again."""

_FIRST = 4.0
_MOST = 64.0
_MORE_PER_JOIN = 0.5
_FEWER_AFTER_SLOW = 0.7
_FEWER_AFTER_FAILED = 0.5
_SLOW_SHARE = 0.5
"""Of the fleet's connect timeout: a join that takes longer is a slow one."""
_SLOW_FACTOR = 2
"""Of the quickest join, likewise: a gateway that asks a session store takes its time for a single client."""


class Newcomer(Protocol):
    """A client that has not joined yet."""

    def begin_attempt(self) -> None:
        """Begins an attempt now."""


class Ramp:
    """The first attempts of the clients of one process. slow_ns: a quicker join is never a slow one."""

    def __init__(self, slow_ns: int) -> None:
        self._slow_ns = slow_ns
        self._quickest_ns: float = math.inf
        self._limit = _FIRST
        self._under_way = 0
        self._waiting: deque[Newcomer] = deque()

    @classmethod
    def for_timeout(cls, connect_timeout_s: float) -> "Ramp":
        """The ramp of a fleet with this connect timeout."""
        return cls(int(connect_timeout_s * _SLOW_SHARE * 1e9))

    @property
    def limit(self) -> int:
        """Attempts that may be under way at once."""
        return int(self._limit)

    def wait(self, client: Newcomer) -> None:
        """The client begins an attempt as soon as there is room for it."""
        self._waiting.append(client)
        self._admit()

    def ended(self, *, joined: bool, took_ns: int) -> None:
        """An attempt has ended."""
        self._under_way -= 1
        if not joined:
            self._limit = max(1.0, self._limit * _FEWER_AFTER_FAILED)
            self._admit()
            return
        self._quickest_ns = min(self._quickest_ns, took_ns)
        if took_ns > max(self._slow_ns, _SLOW_FACTOR * self._quickest_ns):
            self._limit = max(1.0, self._limit * _FEWER_AFTER_SLOW)
        else:
            self._limit = min(_MOST, self._limit + _MORE_PER_JOIN)
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._under_way < self.limit:
            self._under_way += 1
            self._waiting.popleft().begin_attempt()
