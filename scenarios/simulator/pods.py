"""The pods: one non-preemptive server each, which goes round its event loop.

In a turn of the loop a pod finishes what has become ready (joins, ends of connections), takes on one newcomer
from its accept queue and pays for the upgrade, and, every so many turns, sends a tick that has come due. Work
for clients that have left is done all the same, unless the scenario cancels it. Pods that burn share the
cores of the scenario; pods with cpu = "occupy" have a loop each to themselves.

All arrays have one element per pod; times are seconds.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from scenarios.simulator.costs import LONGEST_QUEUE, Costs

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Served(Struct, frozen=True):
    """What the pods did in one slot of time. Newcomers are in the order in which each pod took them on."""

    pods: Ints
    """Of each newcomer, shape (n,)."""
    clients: Any
    attempts: Any
    """The number that the client's attempt had."""
    waited_s: Floats
    done_s: Floats
    """When the upgrade was paid for."""
    ticks: Ints
    """How many ticks each pod sent."""
    tick_begin_s: Floats
    """When each pod began to send the first of these."""
    tick_step_s: Floats
    """From one to the next."""
    tick_cost_s: Floats
    """How long the sending of one took."""
    ready_s: Floats
    """When each pod had done what was ready at the beginning."""
    slow: Floats
    """Seconds on the wall for a second of work: two pods on one core are half as fast."""


class Pods:
    """State of all pods that there ever are."""

    def __init__(
        self,
        count: int,
        *,
        costs: Costs,
        cores: float | None,
        tick_s: float,
        burns: bool,
        backlog: int,
    ) -> None:
        """cores: that all pods share; None where each has its own. tick_s: of one delivered tick."""
        self.costs = costs
        self.upgrade_s = 0.0
        """What a handshake costs before anybody knows who is still there."""
        self.alive = np.zeros(count, bool)
        self.paused = np.zeros(count, bool)
        self.joined = np.zeros(count, np.int64)
        self.connections = np.zeros(count, np.int64)
        """Joined or on the way, as nginx counts them."""
        self.turn_s = np.zeros(count)
        """How long a turn of the loop took lately."""
        self.cpu_s, self.occupied_s, self.lag_s = np.zeros(count), np.zeros(count), np.zeros(count)
        """Used, and worst, since whoever reads them has set them back."""
        self._ready_work_s = np.zeros(count)
        self._ready_cpu_s = np.zeros(count)
        """Joins and ends of connections that the next turn finishes, and the CPU of it."""
        self._tick_s = tick_s
        self._cores = cores
        self._burns = burns
        self.capacity = min(backlog, LONGEST_QUEUE)
        """Of each accept queue."""
        self._queue_client = np.zeros((count, self.capacity), np.int32)
        self._queue_attempt = np.zeros((count, self.capacity), np.int32)
        self._queue_since = np.zeros((count, self.capacity))
        self._head = np.zeros(count, np.int64)
        self.queued = np.zeros(count, np.int64)
        self._debt_s = np.zeros(count)
        """Work that was begun in a slot and goes on in the next one."""
        self._tick_turns = np.zeros(count, np.int64)
        """Turns that the tick which is being sent has had."""

    def enqueue(self, pods: Any, clients: Any, attempts: Any, arrived_s: Any) -> npt.NDArray[np.bool_]:
        """Puts newcomers into the accept queues; returns who found room, of shape (n,)."""
        order = np.argsort(pods.astype(np.uint16), kind="stable")
        counts = np.bincount(pods, minlength=len(self.alive))
        rank = np.arange(len(pods)) - np.repeat(np.cumsum(counts) - counts, counts)
        sorted_pods = pods[order]
        fits = self.queued[sorted_pods] + rank < self.capacity
        who, where = order[fits], sorted_pods[fits]
        place = (self._head[where] + self.queued[where] + rank[fits]) % self.capacity
        self._queue_client[where, place] = clients[who]
        self._queue_attempt[where, place] = attempts[who]
        self._queue_since[where, place] = arrived_s[who]
        self.queued += np.bincount(where, minlength=len(self.alive))
        found_room = np.zeros(len(pods), bool)
        found_room[who] = True
        return found_room

    def add_ready(self, counts: Ints, work_s: float, cpu_s: float | None = None) -> None:
        """So many more things are ready at each pod; each takes so long, and so much CPU, if that is less."""
        self._ready_work_s += counts * work_s
        self._ready_cpu_s += counts * (work_s if cpu_s is None else cpu_s)

    def wait_s(self, pod: int) -> float:
        """How long a newcomer would wait in an accept queue now; a second, for a SYN, where it is full."""
        return 1.0 if self.queued[pod] >= self.capacity else float(self.queued[pod] * self.turn_s[pod])

    @property
    def busy(self) -> int:
        """How many pods have something to do now."""
        return int((self.alive & ~self.paused & ((self.queued > 0) | (self._debt_s > 0))).sum())

    def first(self, most: int, slot_s: float) -> tuple[Ints, Any, Any]:
        """Who stands first in each accept queue, so many at the most: (pods, clients, attempts).

        Without those of pods that have other work for a whole slot.
        """
        rank = np.arange(min(most, self.capacity))
        gets_there = self.alive & ~self.paused & (self._debt_s + self._ready_work_s < slot_s)
        pods, rank = np.nonzero(rank < np.where(gets_there, self.queued, 0)[:, None])
        at = (self._head[pods] + rank) % self.capacity
        return pods, self._queue_client[pods, at], self._queue_attempt[pods, at]

    def take_older(self, than_s: float) -> tuple[Ints, Any, Any]:
        """Takes out who has been in an accept queue since before a moment: (pods, clients, attempts)."""
        rank = np.arange(self.capacity)
        place = (self._head[:, None] + rank) % self.capacity
        waiting = rank < np.where(self.alive & ~self.paused, self.queued, 0)[:, None]
        old = waiting & (np.take_along_axis(self._queue_since, place, 1) < than_s)
        pods = np.nonzero(old)[0]
        at = place[old]
        taken = pods, self._queue_client[pods, at], self._queue_attempt[pods, at]
        # They came first, so they stand in front.
        counts = old.sum(axis=1)
        self._head = (self._head + counts) % self.capacity
        self.queued -= counts
        return taken

    def keep(self, wanted: Callable[[Any, Any], Any]) -> None:
        """Takes everybody out of the accept queues for whom `wanted(clients, attempts)` is false."""
        rank = np.arange(self.capacity)
        place = (self._head[:, None] + rank) % self.capacity
        clients = np.take_along_axis(self._queue_client, place, 1)
        attempts = np.take_along_axis(self._queue_attempt, place, 1)
        since = np.take_along_axis(self._queue_since, place, 1)
        stays = wanted(clients, attempts) & (rank < self.queued[:, None])
        order = np.argsort(~stays, axis=1, kind="stable")
        self._queue_client = np.take_along_axis(clients, order, 1)
        self._queue_attempt = np.take_along_axis(attempts, order, 1)
        self._queue_since = np.take_along_axis(since, order, 1)
        self._head[:] = 0
        self.queued = stays.sum(axis=1)

    def forget(self, pod: int) -> None:
        """The process has ended: whatever it had is gone."""
        self.queued[pod] = self.joined[pod] = self.connections[pod] = 0
        self._ready_work_s[pod] = self._ready_cpu_s[pod] = self._debt_s[pod] = 0.0

    def serve(self, from_s: float, slot_s: float, due_ticks: Ints, spare_cores: float = 0.0) -> Served:
        """Lets all pods work from `from_s` for `slot_s`.

        due_ticks: how many each pod has yet to send. spare_cores: taken from the shared cores by others.
        """
        count = len(self.alive)
        works = self.alive & ~self.paused
        tick_cost = self.joined * self._tick_s
        ticks, queued = np.where(works, due_ticks, 0), np.where(works, self.queued, 0)
        every = self.costs.turns_per_tick
        self._tick_turns[ticks == 0] = 0
        tick_turns = ticks * every - self._tick_turns
        upgrade = self.upgrade_s + self.costs.upgrade_cpu_s

        wanted = (
            self._debt_s
            + self._ready_work_s
            + self.costs.idle_cpu * slot_s
            + ticks * tick_cost
            + queued * upgrade
        )
        speed, budget = self._shares(np.where(works, wanted, 0.0), slot_s, spare_cores)
        ready = self._debt_s + self._ready_work_s + self.costs.idle_cpu * slot_s
        slow = 1 / np.maximum(speed, 1e-9)
        # A pod with nothing else to do waits until the first newcomer is there.
        first_s = self._queue_since[np.arange(count), self._head]
        idle = np.where((queued > 0) & (ticks == 0), np.maximum(0.0, (first_s - from_s) / slow - ready), 0.0)
        left = np.where(works, budget - ready - idle, 0.0)
        # What is begun is finished: a pod does not stop in the middle of a handshake.
        turns = np.ceil(_turns(left, queued, tick_turns, upgrade, tick_cost / every) - 1e-9).astype(np.int64)
        taken, tick_turns = np.minimum(queued, turns), np.minimum(tick_turns, turns)
        until_sent = every - self._tick_turns
        sent, self._tick_turns = np.divmod(self._tick_turns + tick_turns, every)
        taken = np.where((taken == 0) & (queued > 0) & (idle > 0) & (budget > ready), 1, taken)
        spent = ready + idle + taken * upgrade + tick_turns * tick_cost / every
        spent[~works] = 0.0
        self._debt_s = np.where(works, np.maximum(0.0, spent - budget), self._debt_s)
        occupied = np.maximum(0.0, np.minimum(spent, budget) - np.where(works, idle, 0.0))
        ready_cpu = np.where(works, self._ready_cpu_s, 0.0)
        self._ready_work_s[works] = 0.0
        self._ready_cpu_s[works] = 0.0

        both = np.maximum(1, np.maximum(taken, tick_turns))
        turn = (taken * upgrade + tick_turns * tick_cost / every) / both
        pods = np.repeat(np.arange(count), taken)
        rank = np.arange(len(pods)) - np.repeat(np.cumsum(taken) - taken, taken)
        place = (self._head[pods] + rank) % self.capacity
        clients, attempts = self._queue_client[pods, place], self._queue_attempt[pods, place]
        since = self._queue_since[pods, place]
        begun = np.maximum(from_s + ((ready + idle)[pods] + rank * turn[pods]) * slow[pods], since)
        self._head = (self._head + taken) % self.capacity
        self.queued -= taken

        # A turn that is longer than a slot goes on in the next one.
        self.turn_s = np.where(
            taken + tick_turns > 0, turn * slow, np.where(self._debt_s > 0, self.turn_s, 0.0)
        )
        self.lag_s = np.maximum(self.lag_s, np.where(self.paused, self.lag_s + slot_s, self.turn_s))
        self.occupied_s += occupied * slow
        self.cpu_s += ready_cpu + works * self.costs.idle_cpu * slot_s + taken * self.costs.upgrade_cpu_s
        self.cpu_s += (
            tick_turns / every * self.joined * (self._tick_s if self._burns else self.costs.tick_cpu_s)
        )
        if self._burns:
            self.cpu_s += taken * self.upgrade_s
        return Served(
            pods=pods,
            clients=clients,
            attempts=attempts,
            waited_s=begun - since,
            done_s=begun + upgrade * slow[pods],
            ticks=sent,
            tick_begin_s=from_s + (ready + (until_sent - 1) * turn) * slow,
            tick_step_s=every * turn * slow,
            tick_cost_s=tick_cost * slow,
            ready_s=from_s + ready * slow,
            slow=slow,
        )

    def _shares(self, wanted: Floats, slot_s: float, spare_cores: float) -> tuple[Floats, Floats]:
        """(speed, seconds of work that can be done in the slot) of each pod."""
        ones = np.ones(len(wanted))
        if self._cores is None:
            return ones, ones * slot_s
        busy = wanted > 0
        cores = max(0.05, self._cores - spare_cores)
        speed = np.where(busy, min(1.0, cores / max(1, int(busy.sum()))), 1.0)
        # Who needs less than an even share leaves the rest to the others.
        budget = np.minimum(wanted, slot_s)
        capacity = cores * slot_s
        if budget.sum() > capacity:
            budget = np.minimum(budget, _level(budget, capacity))
        else:
            budget = np.where(busy, np.maximum(budget, slot_s * speed), slot_s)
        return speed, budget


def _level(demands: Floats, capacity: float) -> float:
    """The share that everybody may take at the most so that all together take the capacity."""
    ordered = np.sort(demands)
    below = np.concatenate(([0.0], np.cumsum(ordered)[:-1]))
    levels = (capacity - below) / np.arange(len(ordered), 0, -1)
    fits = np.flatnonzero(levels <= ordered)
    return float(levels[fits[0]]) if len(fits) else float(ordered[-1])


def _turns(left: Floats, newcomers: Ints, tick_turns: Any, upgrade: float, tick_part: Floats) -> Floats:
    """How many turns of the loop fit into the time that is left.

    A turn costs an upgrade while there are newcomers, and a part of a tick while there are ticks.
    """
    left = np.maximum(left, 0.0)
    both = np.minimum(newcomers, tick_turns)
    cost_of_both = upgrade + tick_part
    first = np.minimum(both, left / cost_of_both)
    left = left - first * cost_of_both
    more_newcomers = np.minimum(newcomers - both, left / upgrade) if upgrade > 0 else newcomers - both
    with np.errstate(divide="ignore", invalid="ignore"):
        more_ticks = np.where(
            tick_part > 0, np.minimum(tick_turns - both, left / tick_part), tick_turns - both
        )
    done = first >= both
    turns: Floats = first + np.where(done, np.where(newcomers > both, more_newcomers, more_ticks), 0.0)
    return turns
