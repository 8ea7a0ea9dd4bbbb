"""Clients between two attempts: delays, throttles, the cap on attempts, and policies that are pushed.

A client waits for one thing at a time, which comes due in one slot of time: the start of its next attempt,
where it has to ask whether it may begin; the arrival of that attempt at the edge; or its connect timeout. An
attempt is booked as soon as neither throttle nor cap has to be asked, which without both is when its client
begins to wait; a pushed policy that comes first takes it back. All times are
seconds, and arrays have one element per client named.
"""

import heapq
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.policies.registry import Policy
from scenarios.policies.throttles import Throttle
from scenarios.scenario.model import Fleet
from scenarios.simulator.calendar import Calendar
from scenarios.simulator.clients import AWAY, GONE, NO_GATE, TRYING, ClientTable
from scenarios.simulator.delays import DelayPaths
from scenarios.simulator.recorder import SLOTS_PER_S, Recorder

Floats = npt.NDArray[np.float64]

_PATHS = 4_096


class PolicyThrottles:
    """The throttles of one policy: one for each client, one that all share, or none.

    Events of one slot are not reported in order; for a shared throttle, time does not go back.
    """

    def __init__(self, policy: Policy, clients: int) -> None:
        throttles = [policy.throttle() for _ in range(1 if policy.shared_throttle else clients)]
        self._throttles = [throttle for throttle in throttles if throttle is not None]
        self._shared = policy.shared_throttle
        self._now_s = 0.0

    def __bool__(self) -> bool:
        return bool(self._throttles)

    def wait_s(self, client: int, now_s: float, rng: random.Random, first: bool) -> float:
        """As `Throttle.wait_s`, of that client's throttle."""
        return self._gate_of(client).wait_s(self._not_before(now_s), rng, first)

    def ended(self, client: int, joined: bool, now_s: float) -> None:
        """As `Throttle.ended`."""
        self._gate_of(client).ended(joined, self._not_before(now_s))

    def _gate_of(self, client: int) -> Throttle:
        return self._throttles[0 if self._shared else client]

    def _not_before(self, now_s: float) -> float:
        if not self._shared:
            return now_s
        self._now_s = max(self._now_s, now_s)
        return self._now_s


class Reconnects:
    """Who waits for what. end_attempts(clients, outcome, at_s): ends attempts without a session."""

    def __init__(
        self,
        fleet: Fleet,
        table: ClientTable,
        recorder: Recorder,
        *,
        slot_s: float,
        rng: np.random.Generator,
        end_attempts: Callable[[Any, str, Floats], None],
    ) -> None:
        self.slot = 0
        self._fleet, self._table, self._recorder = fleet, table, recorder
        self._slot_s, self._rng = slot_s, rng
        self._draws = random.Random(fleet.seed)  # noqa: S311
        self._end_attempts = end_attempts
        self._calendar = Calendar()
        self._policies: list[DelayPaths] = []
        self._throttles: list[PolicyThrottles] = []
        """Of each policy."""
        self._asks: list[bool] = []
        """Of each policy: whether something else than a delay may keep its clients from trying."""
        self._next_place = 0
        """The first place under the cap that nobody has had: places are numbered from second 0 on."""
        self._free_places: list[int] = []
        """A heap of earlier ones, of attempts that a pushed policy has taken back."""
        self._push: tuple[Any, Any, int] | None = None

    # -- policies -----------------------------------------------------------------------------------

    def begin_with(self, policy: Policy) -> None:
        """Everybody follows the policy from the beginning."""
        self._table.policy[:] = self._add(policy)
        self.start_over(np.arange(self._table.count))

    def push(self, policy: Policy, now_s: float, reach_s: float) -> None:
        """Everybody follows another policy, each from a moment of its own within the reach time on."""
        number = self._add(policy)
        clients = np.arange(self._table.count)
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
        table = self._table
        for number, places in self._by_policy(clients):
            mine = clients[places]
            table.path[mine] = self._policies[number].draw(self._rng, len(mine))
        table.outage_attempts[clients] = 0

    def _add(self, policy: Policy) -> int:
        paths = min(_PATHS, max(64, self._table.count))
        self._policies.append(DelayPaths(policy, paths=paths, seed=self._fleet.seed))
        self._throttles.append(throttles := PolicyThrottles(policy, self._table.count))
        self._asks.append(bool(throttles or self._fleet.max_attempts_per_s))
        return len(self._policies) - 1

    def _follow(self, clients: Any, number: int, at_s: Floats) -> None:
        table = self._table
        state = table.state[clients]
        table.policy[clients] = number
        self.start_over(clients)
        trying = state == TRYING
        self._end_attempts(clients[trying], "abandoned", at_s[trying])
        away = state == AWAY
        self._give_up_tries(clients[away], at_s[away])
        waiting = away | (state == GONE)
        self.come_back(clients[waiting], at_s[waiting])

    def _give_up_tries(self, clients: Any, at_s: Floats) -> None:
        """Of these, none has arrived at the edge: what has not begun is not made, the rest is given up."""
        table = self._table
        booked = table.booked[clients]
        clients, at_s = clients[booked], at_s[booked]
        begun = table.started_s[clients] <= at_s
        unmade = clients[~begun]
        self._recorder.attempted(table.started_s[unmade], table.groups_of(unmade), -1)
        self._give_places_back(table.started_s[unmade])
        if begun.any():
            table.first[clients[begun]] = False
            self._recorder.outcomes["abandoned"] += int(begun.sum())
        # An attempt that its throttle has let through, but not the cap yet, is over for that throttle, too.
        self.tell_throttles(clients, joined=False, at_s=at_s)

    # -- attempts --------------------------------------------------------------------------------------

    def come_back(self, clients: Any, at_s: Floats) -> None:
        """Each of these waits for its next delay, counted from `at_s`."""
        table = self._table
        attempts = table.outage_attempts[clients]
        delays_s = np.empty(len(clients))
        for number, mine in self._by_policy(clients):
            delays_s[mine] = self._policies[number].delays_s(table.path[clients[mine]], attempts[mine])
        table.outage_attempts[clients] = attempts + 1
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
        numbers = self._table.policy[clients]
        for number in np.unique(numbers).tolist():
            yield number, np.flatnonzero(numbers == number)

    def schedule(self, clients: Any, due_s: Floats) -> None:
        """Each of these is looked at again at that time, in the next slot at the earliest."""
        slots = np.maximum((due_s / self._slot_s).astype(np.int64), self.slot + 1)
        self._table.due_s[clients] = due_s
        self._table.slot[clients] = slots
        self._calendar.put(clients, slots)

    def take_due(self, slot: int) -> Any:
        """Who has to be looked at in this slot, each once; slots are taken in order."""
        self.slot, table = slot, self._table
        due = self._calendar.take(slot)
        due = due[table.slot[due] == slot]
        # Who was entered twice keeps the later mark only; no mark is the number of a slot.
        marks = -1 - np.arange(len(due), dtype=table.slot.dtype)
        table.slot[due] = marks
        return due[table.slot[due] == marks]

    def let_begin(self, clients: Any) -> None:
        """The delay of these is over: they begin as soon as their throttles and the cap let them."""
        if not len(clients):
            return
        table = self._table
        # Who wanted to begin first asks first.
        clients = clients[np.argsort(table.started_s[clients], kind="stable")]
        # Nothing begins in a second that is over: what happened in it has been reported.
        table.started_s[clients] = np.maximum(table.started_s[clients], int(self._now_s))
        for number, throttles in enumerate(self._throttles):
            if throttles:
                clients = clients[self._ask(number, throttles, clients)]
        self._begin(clients, self._places(table.started_s[clients]))

    def tell_throttles(self, clients: Any, *, joined: bool, at_s: Floats) -> None:
        """Attempts have ended: the throttle that let one through, of whichever policy, hears of it."""
        if not any(self._throttles):
            return
        table = self._table
        numbers = table.passed[clients]
        table.passed[clients] = NO_GATE
        told = np.flatnonzero(numbers != NO_GATE)
        for place in told[np.argsort(at_s[told], kind="stable")].tolist():
            self._throttles[numbers[place]].ended(int(clients[place]), joined, float(at_s[place]))

    def _ask(self, number: int, throttles: PolicyThrottles, clients: Any) -> npt.NDArray[np.bool_]:
        """Whom the throttles of that policy keep from nothing, of shape (n,)."""
        table = self._table
        passed = np.ones(len(clients), bool)
        for place in np.flatnonzero(table.policy[clients] == number).tolist():
            client = int(clients[place])
            start_s = float(table.started_s[client])
            wait_s = throttles.wait_s(client, start_s, self._draws, bool(table.first[client]))
            passed[place] = wait_s == 0
            if not wait_s:
                table.passed[client] = number
            elif wait_s == math.inf:
                self._give_up(clients[place : place + 1])
            else:
                self._wait_until(clients[place : place + 1], np.array([start_s + wait_s]))
        return passed

    def _places(self, start_s: Floats) -> Floats:
        """When each may begin of those who want to at these times, which are in order.

        Whoever finds the cap's places of that second taken has the next one that is free, in a later second.
        """
        cap = self._fleet.max_attempts_per_s
        if not cap:
            return start_s
        begin_s = start_s.copy()
        seconds = (start_s * SLOTS_PER_S).astype(np.int64) // SLOTS_PER_S
        for second in np.unique(seconds).tolist():
            mine = np.flatnonzero(seconds == second)
            places = self._take_places(second * cap, len(mine))
            later = places // cap > second
            begin_s[mine[later]] = places[later] // cap + places[later] % cap / cap
            self._recorder.held_back += int(later.sum())
        return begin_s

    def _take_places(self, first: int, count: int) -> npt.NDArray[np.int64]:
        """The first free places that are not before that one."""
        again: list[int] = []
        while self._free_places and len(again) < count:
            place = heapq.heappop(self._free_places)
            if place >= first:
                again.append(place)
        self._next_place = max(self._next_place, first)
        new = self._next_place + np.arange(count - len(again))
        self._next_place += len(new)
        return np.concatenate((np.array(again, np.int64), new))

    def _give_places_back(self, begin_s: Floats) -> None:
        """Attempts that the cap had begin at these times will not."""
        cap = self._fleet.max_attempts_per_s
        for place in np.rint(begin_s * cap).astype(np.int64).tolist() if cap else ():
            heapq.heappush(self._free_places, place)

    def _give_up(self, clients: Any) -> None:
        self._table.state[clients] = GONE
        self._recorder.gave_up += len(clients)

    def _wait_until(self, clients: Any, start_s: Floats) -> None:
        """These want to begin an attempt then."""
        table = self._table
        # Who had to be looked at earlier than now does not begin earlier than now.
        start_s = np.maximum(start_s, self._now_s)
        table.state[clients] = AWAY
        if not any(self._asks):
            self._begin(clients, start_s)
            return
        asks = np.array(self._asks)[table.policy[clients]]
        asking, asking_s = clients[asks], start_s[asks]
        table.booked[asking] = False
        table.started_s[asking] = asking_s
        self.schedule(asking, asking_s)
        self._begin(clients[~asks], start_s[~asks])

    def _begin(self, clients: Any, start_s: Floats) -> None:
        """These begin then, unless a pushed policy comes first."""
        table = self._table
        table.booked[clients] = True
        table.started_s[clients] = start_s
        self._recorder.attempted(start_s, table.groups_of(clients))
        self.schedule(clients, start_s + table.travel_s[clients])

    @property
    def _now_s(self) -> float:
        return self.slot * self._slot_s
