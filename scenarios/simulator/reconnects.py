"""Clients between two attempts: delays, the cap on attempts, and policies that are pushed.

A client waits for one thing at a time, which comes due in one slot of time: its policy wants to be asked
again; the start of its next attempt, where the cap has to be asked; the arrival of that attempt at the edge;
or its connect timeout. An attempt is booked as soon as neither policy nor cap has to be asked, which without
throttle and cap is when its client begins to wait; a pushed policy that comes first takes it back. All times
are seconds, and arrays have one element per client named.
"""

import heapq
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.clients.endings import ABANDONED, Ending
from scenarios.policies.following import FollowedPolicy, Policy
from scenarios.policies.orders import POLICY_ENDED, Attempt, Order, Stop, Wait
from scenarios.policies.outcome import SHORTEST_SESSION_S, Outcome
from scenarios.policies.registry import policy as policy_of
from scenarios.scenario.model import Fleet
from scenarios.simulator.calendar import Calendar
from scenarios.simulator.clients import AWAY, GONE, TRYING, ClientTable
from scenarios.simulator.delays import Followers
from scenarios.simulator.recorder import SLOTS_PER_S, Recorder

Floats = npt.NDArray[np.float64]

UNSUPPORTED = 400
"""What a gateway of today answers to a client that asks for an old protocol."""

_PATHS = 4_096
_LONGEST_RAMP_S = 3.0
"""Time in which the clients that are not served make their first attempts, at the most: then the steady state
begins."""


class Reconnects:
    """Who waits for what. end_attempts(clients, ending, at_s): ends attempts without a session."""

    def __init__(
        self,
        fleet: Fleet,
        table: ClientTable,
        recorder: Recorder,
        *,
        slot_s: float,
        rng: np.random.Generator,
        end_attempts: Callable[[Any, Ending, Floats], None],
    ) -> None:
        self.slot = 0
        self._fleet, self._table, self._recorder = fleet, table, recorder
        self._slot_s, self._rng = slot_s, rng
        self._draws = random.Random(fleet.seed)  # noqa: S311
        self._end_attempts = end_attempts
        self._calendar = Calendar()
        self._policies: list[Followers] = []
        """Of each policy, the clients that follow it."""
        self._told: list[int] = []
        """Numbers of the policies that are told outcomes."""
        self._next_place = 0
        """The first place under the cap that nobody has had: places are numbered from second 0 on."""
        self._free_places: list[int] = []
        """A heap of earlier ones, of attempts that a pushed policy has taken back."""
        self._push: tuple[Any, Any, Any] | None = None
        """Of a policy on its way: its clients, when it reaches each, and the number it has for each."""

    # -- policies -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Everybody follows the policy of its group from the beginning; who is not served waits already."""
        numbers = [self._add(policy_of(part.fleet.policy), part.fleet) for part in self._table.parts]
        self._table.policy[:] = np.array(numbers)[self._table.part]
        self.start_over(np.arange(self._table.count))
        refused = np.flatnonzero(~self._table.is_served)
        ramp_s = min(self._fleet.clients / self._fleet.ramp_per_s, _LONGEST_RAMP_S)
        for places, ending in self._table.answered(refused, UNSUPPORTED):
            some = refused[places]
            self.come_back(some, self._rng.uniform(0, ramp_s, len(some)), ending.outcome)

    def push(self, policy: Policy, now_s: float, reach_s: float, group: str = "") -> None:
        """All clients, or those of a group, follow another policy, each from a moment of its own within the
        reach time on."""
        table = self._table
        mine = np.array([not group or part.name == group for part in table.parts])
        numbers = np.full(len(mine), -1)
        for place in np.flatnonzero(mine).tolist():
            numbers[place] = self._add(policy, table.parts[place].fleet)
        clients = np.flatnonzero(mine[table.part])
        moments = now_s + self._rng.random(len(clients)) * reach_s
        pushed = clients, moments, numbers[table.part[clients]]
        if self._push is not None:
            # A policy that is still on its way reaches none of these any more; other groups it reaches.
            others = ~mine[table.part[self._push[0]]]
            kept = (column[others] for column in self._push)
            clients, moments, followed = (np.concatenate(both) for both in zip(pushed, kept, strict=True))
            pushed = clients, moments, followed
        order = np.argsort(pushed[1])
        self._push = pushed[0][order], pushed[1][order], pushed[2][order]
        self.reach(now_s)

    def reach(self, by_s: float) -> None:
        """The policy on its way comes to those whose moment is there."""
        if self._push is None:
            return
        clients, moments, numbers = self._push
        reached = int(np.searchsorted(moments, by_s, side="right"))
        left = clients[reached:], moments[reached:], numbers[reached:]
        self._push = left if reached < len(clients) else None
        self._follow(clients[:reached], numbers[:reached], moments[:reached])

    def start_over(self, clients: Any) -> None:
        """Each of these begins a new path of its policy."""
        table = self._table
        for number, places in self._by_policy(clients):
            mine, followers = clients[places], self._policies[number]
            if followers.paths is None:
                followers.start_over(mine)
            else:
                table.path[mine] = followers.paths.draw(self._rng, len(mine))
        table.outage_attempts[clients] = 0

    def opened(self, clients: Any) -> None:
        """Their connections are open: policies that reset then start over."""
        self._reset(clients, "open")

    def joined(self, clients: Any, at_s: Floats) -> None:
        """They have joined: policies that reset then start over, and those are told that want to know."""
        self._reset(clients, "joined")
        for client, number, joined_s in self._told_ones(clients, at_s):
            self._policies[number].joined(client, joined_s)

    def ended(self, clients: Any, lasted_s: Floats) -> None:
        """Their sessions have ended: policies start over that reset after so long a session."""
        for number, places in self._by_policy(clients):
            reset = self._policies[number].reset
            if not isinstance(reset, str):
                self.start_over(clients[places][lasted_s[places] >= reset])

    def _reset(self, clients: Any, when: str) -> None:
        for number, places in self._by_policy(clients):
            if self._policies[number].reset == when:
                self.start_over(clients[places])

    def _add(self, policy: Policy, fleet: Fleet) -> int:
        paths = min(_PATHS, max(64, self._table.count))
        followed = FollowedPolicy(policy, fleet.reset_by_scenario)
        followers = Followers(followed, paths=paths, seed=self._fleet.seed, draws=self._draws)
        if followers.is_told:
            self._told.append(len(self._policies))
        self._policies.append(followers)
        return len(self._policies) - 1

    def _told_ones(self, clients: Any, at_s: Floats) -> Iterator[tuple[int, int, float]]:
        """(client, its policy, time) of those whose policies are told outcomes, by time."""
        if not self._told:
            return
        numbers = self._table.policy[clients]
        told = np.flatnonzero(np.isin(numbers, self._told))
        for place in told[np.argsort(at_s[told], kind="stable")].tolist():
            yield int(clients[place]), int(numbers[place]), float(at_s[place])

    def _follow(self, clients: Any, numbers: Any, at_s: Floats) -> None:
        table = self._table
        state = table.state[clients]
        for client, before, left_s in self._told_ones(clients, at_s):
            self._policies[before].leave(client, left_s)
        table.policy[clients] = numbers
        self.start_over(clients)
        trying = state == TRYING
        self._end_attempts(clients[trying], ABANDONED, at_s[trying])
        away = state == AWAY
        self._give_up_tries(clients[away], at_s[away])
        waiting = away | (state == GONE)
        # To the new policy a client has lost its session, as long as it has made no attempt since.
        session_s = np.where(table.first[clients[waiting]], SHORTEST_SESSION_S, 0.0)
        self.come_back(clients[waiting], at_s[waiting], ABANDONED.outcome, session_s)

    def _give_up_tries(self, clients: Any, at_s: Floats) -> None:
        """Of these, none has arrived at the edge: what has not begun is not made, the rest is given up."""
        table = self._table
        booked = table.booked[clients]
        clients, at_s = clients[booked], at_s[booked]
        begun = table.started_s[clients] <= at_s
        unmade = clients[~begun]
        self._recorder.attempted(table.started_s[unmade], table.cells_of(unmade), -1)
        self._give_places_back(table.started_s[unmade])
        if begun.any():
            table.first[clients[begun]] = False
            self._recorder.outcomes["abandoned"] += int(begun.sum())

    # -- attempts --------------------------------------------------------------------------------------

    def come_back(self, clients: Any, at_s: Floats, ended: Outcome, session_s: Floats | None = None) -> None:
        """Each of these waits for its next delay, counted from `at_s`.

        ended: how its attempt has ended or, with the length of it, its session.
        """
        table = self._table
        if self._told:
            told = np.isin(table.policy[clients], self._told)
            self._ask_after(clients[told], at_s[told], ended, None if session_s is None else session_s[told])
            clients, at_s = clients[~told], at_s[~told]
        attempts = table.outage_attempts[clients]
        delays_s = np.full(len(clients), np.nan)
        for number, mine in self._by_policy(clients):
            followers = self._policies[number]
            stopped = followers.stops_on(ended)
            if followers.paths is not None and not stopped:
                delays_s[mine] = followers.paths.delays_s(table.path[clients[mine]], attempts[mine])
            gone = clients[mine][np.isnan(delays_s[mine])]
            if len(gone):
                self._recorder.gave_up_after(ended.kind if stopped else POLICY_ENDED, table.cells_of(gone))
        table.outage_attempts[clients] = attempts + 1
        over = np.isnan(delays_s)
        if over.any():
            table.state[clients[over]] = GONE
            clients, at_s, delays_s = clients[~over], at_s[~over], delays_s[~over]
        self._wait_until(clients, at_s + delays_s)

    def _ask_after(self, clients: Any, at_s: Floats, ended: Outcome, session_s: Floats | None) -> None:
        """The policies of these say what they do after that."""
        if not len(clients):
            return
        lasted = {} if session_s is None else dict(zip(clients.tolist(), session_s.tolist(), strict=True))
        orders = Orders(self._recorder, self._table)
        for client, number, ended_s in self._told_ones(clients, at_s):
            course = self._policies[number].course(client)
            orders.take(client, course.after(ended, lasted.get(client, 0.0), ended_s), ended_s)
        self._obey(orders)

    def _obey(self, orders: "Orders") -> None:
        """These wait as their policies say."""
        table = self._table
        table.state[orders.stopped] = GONE
        waking, due_s = np.array(orders.waking, np.int32), np.maximum(orders.wake_s, self._now_s)
        table.state[waking] = AWAY
        table.booked[waking] = False
        table.waking[waking] = True
        table.started_s[waking] = due_s
        self.schedule(waking, due_s)
        self._wait_until(np.array(orders.starting, np.int32), np.array(orders.start_s))

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
        if self._told:
            clients = clients[self._ask_again(clients)]
        self._begin(clients, self._places(table.started_s[clients]))

    def _ask_again(self, clients: Any) -> npt.NDArray[np.bool_]:
        """Asks the policies that wanted to be asked; returns which attempts begin now, of shape (n,)."""
        table = self._table
        begins: npt.NDArray[np.bool_] = ~table.waking[clients]
        if begins.all():
            return begins
        orders = Orders(self._recorder, table)
        for place in np.flatnonzero(~begins).tolist():
            client = int(clients[place])
            now_s = float(table.started_s[client])
            order = self._policies[table.policy[client]].course(client).woken(now_s)
            begins[place] = type(order) is Attempt or order == 0
            if not begins[place]:
                orders.take(client, order, now_s)
        table.waking[clients[begins]] = False
        self._obey(orders)
        return begins

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

    def _wait_until(self, clients: Any, start_s: Floats) -> None:
        """These want to begin an attempt then."""
        table = self._table
        # Who had to be looked at earlier than now does not begin earlier than now.
        start_s = np.maximum(start_s, self._now_s)
        table.state[clients] = AWAY
        if not self._fleet.max_attempts_per_s:
            self._begin(clients, start_s)
            return
        table.booked[clients] = table.waking[clients] = False
        table.started_s[clients] = start_s
        self.schedule(clients, start_s)

    def _begin(self, clients: Any, start_s: Floats) -> None:
        """These begin then, unless a pushed policy comes first."""
        table = self._table
        table.booked[clients] = True
        table.started_s[clients] = start_s
        self._recorder.attempted(start_s, table.cells_of(clients))
        self.schedule(clients, start_s + table.travel_s[clients])

    @property
    def _now_s(self) -> float:
        return self.slot * self._slot_s


class Orders:
    """What policies that were asked one by one have answered, for all of them at once."""

    def __init__(self, recorder: Recorder, table: ClientTable) -> None:
        self._recorder, self._table = recorder, table
        self.stopped: list[int] = []
        self.waking: list[int] = []
        self.wake_s: list[float] = []
        self.starting: list[int] = []
        self.start_s: list[float] = []

    def take(self, client: int, order: Order, now_s: float) -> None:
        """Takes the order that a client's policy gave at that time."""
        match order:
            case Stop(reason):
                self._recorder.gave_up_after(reason, self._table.cells_of(np.array([client])))
                self.stopped.append(client)
            case Wait(seconds):
                self.waking.append(client)
                self.wake_s.append(now_s + seconds)
            case _:
                self.starting.append(client)
                self.start_s.append(now_s + (0.0 if isinstance(order, Attempt) else order))
