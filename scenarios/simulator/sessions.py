"""Clients that have joined: their ticks, and why they leave.

Who has had a tick in its session holds what its pod has sent last; newcomers wait for their first one.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.simulator.clients import AWAY, JOINED, TRYING, ClientTable
from scenarios.simulator.costs import Costs
from scenarios.simulator.pods import Pods, Served
from scenarios.simulator.recorder import Recorder

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHORT_SESSION_S = 5.0
_POINTS = 5
"""A broadcast reaches its clients one after the other: so many points stand for all of them."""
_AT = (np.arange(_POINTS) + 0.5) / _POINTS


class Sessions:
    """The sessions of all pods. due_s: when each tick is due; may be replaced by times that agree so far."""

    def __init__(
        self, table: ClientTable, pods: Pods, recorder: Recorder, costs: Costs, *, due_s: Floats
    ) -> None:
        count, cells = len(pods.alive), len(table.cells)
        self.due_s = due_s
        self.last_tick = np.full(count, -1, np.int64)
        """The newest tick that each pod has sent."""
        self.with_tick = np.zeros((count, cells), np.int64)
        """Clients that have had a tick in their session, by pod and cell."""
        self.joined = np.zeros((count, cells), np.int64)
        """Clients with a session, likewise."""
        self.tick_late_s = np.zeros(count)
        """The worst lateness of a tick of each pod; whoever reads it sets it back."""
        self.delivered = 0
        """Ticks; whoever reads it sets it back."""
        self.ticks_sent = np.zeros(count, np.int64)
        self.short = np.zeros(count, np.int64)
        """Sessions that ended within 5 s."""
        self._table, self._pods = table, pods
        self._recorder, self._costs = recorder, costs
        self.heard_s = np.zeros(count)
        """When each pod has sent a tick last."""
        self._newcomers: list[list[tuple[Any, Any]]] = [[] for _ in range(count)]

    def latest_due(self, t_s: float) -> int:
        """The newest tick that is due by then; -1 before the first one."""
        return int(np.searchsorted(self.due_s, t_s + 1e-9, side="right")) - 1

    def started(self, pod: int, now_s: float) -> None:
        """A pod is there, and sends what comes due from now on."""
        self.last_tick[pod] = self.latest_due(now_s)
        self.heard_s[pod] = now_s

    def ended(self, pod: int) -> None:
        """A pod has gone, with everybody who was on it."""
        self._newcomers[pod].clear()

    def begin(self, clients: Any, at_s: Floats) -> None:
        """These have joined the pods that they were trying."""
        table = self._table
        table.state[clients] = JOINED
        table.slot[clients] = -1
        table.joined_s[clients] = at_s
        table.has_tick[clients] = False
        pods = table.pod[clients]
        joined = self._by_pod_and_cell(pods, table.cell[clients])
        counts = joined.sum(axis=1)
        self._pods.joined += counts
        self.joined += joined
        parts = np.split(clients[np.argsort(pods, kind="stable")], np.cumsum(counts[counts > 0])[:-1])
        for pod, part in zip(np.flatnonzero(counts).tolist(), parts, strict=True):
            self._newcomers[pod].append((part, table.attempt[part].copy()))

    def send_ticks(self, served: Served) -> None:
        """What the pods have sent reaches their clients."""
        for number in range(int(served.ticks.max(initial=0))):
            pods = np.flatnonzero(served.ticks > number)
            ticks = self.last_tick[pods] + 1
            due_s, cost_s = self.due_s[ticks], served.tick_cost_s[pods]
            begin_s = np.maximum(due_s, served.tick_begin_s[pods] + number * served.tick_step_s[pods])
            self.tick_late_s[pods] = np.maximum(self.tick_late_s[pods], begin_s - due_s)
            clients = self._pods.joined[pods]
            upto = np.floor(clients[:, None] * (np.arange(1, _POINTS + 1) / _POINTS)).astype(np.int64)
            after_s = (begin_s - due_s)[:, None] + cost_s[:, None] * _AT + self._costs.edge_delay_s
            self._recorder.delivered(ticks, after_s, np.diff(upto, axis=1, prepend=0), self.joined[pods])
            self.ticks_sent[pods] += clients
            self.delivered += int(clients.sum())
            self.last_tick[pods] = ticks
            self.heard_s[pods] = begin_s + cost_s
            for pod, end_s in zip(pods.tolist(), (begin_s + cost_s).tolist(), strict=True):
                self._welcome(pod, end_s)

    def _welcome(self, pod: int, now_s: float) -> None:
        """The newcomers of a pod have their first tick."""
        parts, self._newcomers[pod] = self._newcomers[pod], []
        if not parts:
            return
        table = self._table
        clients = np.concatenate([part for part, _ in parts])
        attempts = np.concatenate([part for _, part in parts])
        clients = clients[(table.attempt[clients] == attempts) & (table.state[clients] == JOINED)]
        if not len(clients):
            return
        held = np.maximum(table.held[clients], self._recorder.closed)
        self._recorder.caught_up(held, table.cell[clients], int(self.last_tick[pod]), now_s)
        table.has_tick[clients] = True
        self.with_tick[pod] += np.bincount(table.cell[clients], minlength=len(table.cells))

    def stale(self, now_s: float) -> tuple[Any, Floats]:
        """(clients whose watchdog has had enough of waiting by now, when each of them had)."""
        table = self._table
        watched = table.watchdogs
        silent = np.zeros(len(self.last_tick), bool)
        last_s = {by_age: self._fresh_s(by_age=by_age) for by_age in {by_age for _, by_age in watched}}
        for after_s, by_age in watched:
            silent |= now_s - last_s[by_age] >= after_s
        silent &= self._pods.joined > 0
        if not silent.any():
            return np.empty(0, np.int64), np.empty(0)
        members = np.flatnonzero((table.state == JOINED) & silent[table.pod])
        found, since_s = [np.empty(0, np.int64)], [np.empty(0)]
        for after_s, by_age in watched:
            mine = members[(table.stale_after_s[members] == after_s) & (table.by_age[members] == by_age)]
            fresh_s = np.maximum(last_s[by_age][table.pod[mine]], table.joined_s[mine])
            stale = now_s - fresh_s >= after_s
            found.append(mine[stale])
            since_s.append(fresh_s[stale] + after_s)
        return np.concatenate(found), np.concatenate(since_s)

    def _fresh_s(self, *, by_age: bool) -> Floats:
        """From when on the clients of each pod count as without fresh data."""
        if not by_age:
            return self.heard_s
        return np.where(self.last_tick >= 0, self.due_s[np.maximum(self.last_tick, 0)], 0.0)

    def on(self, pods: Any) -> tuple[Any, Any]:
        """(clients with a session, clients that are trying) on these pods."""
        table = self._table
        mine = np.isin(table.pod, pods)
        return np.flatnonzero(mine & (table.state == JOINED)), np.flatnonzero(mine & (table.state == TRYING))

    def end(self, clients: Any, at_s: Floats) -> None:
        """These sessions are over; what comes then is not said here."""
        table, recorder, count = self._table, self._recorder, len(self.last_tick)
        pods, cells = table.pod[clients], table.cell[clients]
        had = table.has_tick[clients]
        held = np.maximum(self.last_tick[pods[had]], np.maximum(table.held[clients[had]], recorder.closed))
        table.held[clients[had]] = held
        recorder.left(held, cells[had])
        np.subtract.at(self.with_tick, (pods[had], cells[had]), 1)
        table.has_tick[clients] = False
        table.state[clients] = AWAY
        table.first[clients] = True
        ended = self._by_pod_and_cell(pods, cells)
        counts = ended.sum(axis=1)
        self._pods.joined -= counts
        self._pods.connections -= counts
        self.joined -= ended
        self._pods.add_ready(counts * self._pods.alive, self._costs.close_cpu_s)
        self.short += np.bincount(pods[at_s - table.joined_s[clients] < SHORT_SESSION_S], minlength=count)

    def _by_pod_and_cell(self, pods: Ints, cells: Ints) -> Ints:
        """How many clients are on each pod and in each cell; both of shape (n,)."""
        count, number = self.joined.shape
        places = pods.astype(np.int64) * number + cells
        return np.bincount(places, minlength=count * number).reshape(count, number)
