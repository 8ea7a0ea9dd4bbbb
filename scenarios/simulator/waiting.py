"""Clients between two tries: delays, gates, the cap on tries, and policies that are pushed.

A client waits for one thing at a time, which comes due in one slot of time: its next try, or the end of its
patience with the present one. All times are seconds, and arrays have one element per client named.
"""

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.gates import Gate
from scenarios.model import Fleet
from scenarios.policies import Policy
from scenarios.simulator.calendar import Calendar
from scenarios.simulator.crowd import AWAY, GONE, TRYING, Crowd
from scenarios.simulator.delays import DelayPaths
from scenarios.simulator.ledger import Ledger

Floats = npt.NDArray[np.float64]

_PATHS = 4_096


class Waiting:
    """Who waits for what. end_attempts(clients, outcome, at_s): ends tries without a session."""

    def __init__(
        self,
        fleet: Fleet,
        crowd: Crowd,
        ledger: Ledger,
        *,
        slot_s: float,
        rng: np.random.Generator,
        end_attempts: Callable[[Any, str, Floats], None],
    ) -> None:
        self.slot = 0
        self._fleet, self._crowd, self._ledger = fleet, crowd, ledger
        self._slot_s, self._rng = slot_s, rng
        self._draws = random.Random(fleet.seed)  # noqa: S311
        self._end_attempts = end_attempts
        self._calendar = Calendar()
        self._policies: list[DelayPaths] = []
        self._gates: list[list[Gate]] = []
        """Of each policy: none, one that all share, or one for each client."""
        self._gated = bool(fleet.max_attempts_per_s)
        """Whether something else than its delay may keep a client from trying."""
        self._cap_taken = (0, 0)
        self._push: tuple[Any, Any, int] | None = None

    # -- policies -----------------------------------------------------------------------------------

    def begin_with(self, policy: Policy) -> None:
        """Everybody follows the policy from the beginning."""
        self._crowd.policy[:] = self._add(policy)
        self.start_over(np.arange(self._crowd.count))

    def push(self, policy: Policy, now_s: float, reach_s: float) -> None:
        """Everybody follows another policy, each from a moment of its own within the reach time on."""
        number = self._add(policy)
        clients = np.arange(self._crowd.count)
        moments = now_s + self._rng.random(len(clients)) * reach_s
        order = np.argsort(moments)
        # A policy that is still on its way reaches nobody any more.
        self._push = clients[order], moments[order], number
        self.reach(now_s)

    def reach(self, by_s: float) -> None:
        """The policy on its way comes to those whose moment is there."""
        if self._push is None:
            return
        clients, moments, number = self._push
        reached = int(np.searchsorted(moments, by_s, side="right"))
        self._push = (clients[reached:], moments[reached:], number) if reached < len(clients) else None
        self._follow(clients[:reached], number, moments[:reached])

    def start_over(self, clients: Any) -> None:
        """Each of these begins a new path of its policy."""
        crowd = self._crowd
        for number, places in self._by_policy(clients):
            mine = clients[places]
            crowd.path[mine] = self._policies[number].draw(self._rng, len(mine))
        crowd.tries[clients] = 0

    def _add(self, policy: Policy) -> int:
        paths = min(_PATHS, max(64, self._crowd.count))
        self._policies.append(DelayPaths(policy, paths=paths, seed=self._fleet.seed))
        gates = [policy.gate() for _ in range(1 if policy.shared_gate else self._crowd.count)]
        self._gates.append([gate for gate in gates if gate is not None])
        self._gated |= bool(self._gates[-1])
        return len(self._policies) - 1

    def _follow(self, clients: Any, number: int, at_s: Floats) -> None:
        crowd = self._crowd
        state = crowd.state[clients]
        crowd.policy[clients] = number
        self.start_over(clients)
        trying = state == TRYING
        self._end_attempts(clients[trying], "abandoned", at_s[trying])
        waiting = (state == AWAY) | (state == GONE)
        clients, state, at_s = clients[waiting], state[waiting], at_s[waiting]
        if not self._gated:
            # The tries that these were to make are not made; some are under way, and given up.
            unmade = clients[(state == AWAY) & (crowd.started_s[clients] > at_s)]
            self._ledger.attempted(crowd.started_s[unmade], crowd.groups_of(unmade), -1)
            self._ledger.outcomes["abandoned"] += int((state == AWAY).sum()) - len(unmade)
        self.come_back(clients, at_s)

    # -- tries --------------------------------------------------------------------------------------

    def come_back(self, clients: Any, at_s: Floats) -> None:
        """Each of these waits for its next delay, counted from `at_s`."""
        crowd = self._crowd
        tries = crowd.tries[clients]
        delays_s = np.empty(len(clients))
        for number, mine in self._by_policy(clients):
            delays_s[mine] = self._policies[number].delays_s(crowd.path[clients[mine]], tries[mine])
        crowd.tries[clients] = tries + 1
        over = np.isnan(delays_s)
        if over.any():
            self._give_up(clients[over])
            clients, at_s, delays_s = clients[~over], at_s[~over], delays_s[~over]
        self._wait_until(clients, at_s + delays_s)

    def _by_policy(self, clients: Any) -> Iterator[tuple[int, Any]]:
        """(number of a policy, where among these clients are those that follow it)."""
        if len(self._policies) == 1:
            yield 0, slice(None)
            return
        numbers = self._crowd.policy[clients]
        for number in np.unique(numbers).tolist():
            yield number, np.flatnonzero(numbers == number)

    def schedule(self, clients: Any, due_s: Floats) -> None:
        """Each of these is looked at again at that time, in the next slot at the earliest."""
        slots = np.maximum((due_s / self._slot_s).astype(np.int64), self.slot + 1)
        self._crowd.due_s[clients] = due_s
        self._crowd.slot[clients] = slots
        self._calendar.put(clients, slots)

    def take_due(self, slot: int) -> Any:
        """Who has to be looked at in this slot, each once; slots are taken in order."""
        self.slot, crowd = slot, self._crowd
        due = self._calendar.take(slot)
        due = due[crowd.slot[due] == slot]
        # Who was entered twice keeps the later mark only; no mark is the number of a slot.
        marks = -1 - np.arange(len(due), dtype=crowd.slot.dtype)
        crowd.slot[due] = marks
        return due[crowd.slot[due] == marks]

    def let_through(self, clients: Any, now_s: float) -> Any:
        """Of clients whose delay is over, those whose gate and the cap let begin now."""
        if not self._gated:
            return clients
        crowd = self._crowd
        for number, gates in enumerate(self._gates):
            if gates:
                clients = clients[self._ask(number, gates, clients)]
        cap = self._fleet.max_attempts_per_s
        if cap and len(clients):
            current = int(now_s)
            second, taken = max(self._cap_taken, (current, 0))
            places = taken + np.arange(len(clients))
            waits = second - current + places // cap
            self._cap_taken = (second + (int(places[-1]) + 1) // cap, (int(places[-1]) + 1) % cap)
            held = clients[waits > 0]
            self._ledger.held_back += len(held)
            self._wait_until(held, crowd.started_s[held] + waits[waits > 0])
            clients = clients[waits == 0]
        crowd.first[clients] = False
        self._ledger.attempted(np.full(len(clients), now_s), crowd.groups_of(clients))
        return clients

    def tell_gates(self, clients: Any, *, joined: bool, at_s: Floats) -> None:
        """Tries have ended."""
        for number, gates in enumerate(self._gates):
            if not gates:
                continue
            mine = np.flatnonzero(self._crowd.policy[clients] == number)
            for client, t_s in zip(clients[mine].tolist(), at_s[mine].tolist(), strict=True):
                gates[client if len(gates) > 1 else 0].ended(joined, t_s)

    def _ask(self, number: int, gates: list[Gate], clients: Any) -> npt.NDArray[np.bool_]:
        crowd = self._crowd
        passed = np.ones(len(clients), bool)
        for place in np.flatnonzero(crowd.policy[clients] == number).tolist():
            client = int(clients[place])
            start_s = float(crowd.started_s[client])
            gate = gates[client if len(gates) > 1 else 0]
            wait_s = gate.wait_s(start_s, self._draws, bool(crowd.first[client]))
            passed[place] = wait_s == 0
            if wait_s == math.inf:
                self._give_up(clients[place : place + 1])
            elif wait_s:
                self._wait_until(clients[place : place + 1], np.array([start_s + wait_s]))
        return passed

    def _give_up(self, clients: Any) -> None:
        self._crowd.state[clients] = GONE
        self._ledger.gave_up += len(clients)

    def _wait_until(self, clients: Any, start_s: Floats) -> None:
        crowd = self._crowd
        crowd.state[clients] = AWAY
        crowd.started_s[clients] = start_s
        if not self._gated:
            self._ledger.attempted(start_s, crowd.groups_of(clients))
        self.schedule(clients, start_s + crowd.travel_s[clients])
