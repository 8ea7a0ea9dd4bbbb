"""Moves clients, edge and pods on by one slot of time after the other.

    waiting ── delay and travel over ──► at the edge ──► accept queue ──► upgraded ──► joined
       ▲                                    │ limited       │ timed out               │ stale, dropped
       └────────────────────────────────────┴───────────────┴─────────────────────────┘

Within a slot everything has its own time, but what happens there sees only what earlier slots have left
behind; a slot is short against a time-out.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway_stub.protocol import RETRY_AFTER_S, UPGRADE_SHARE, Admission
from scenarios.clients import endings
from scenarios.clients.endings import Ending
from scenarios.limits.registry import Limits
from scenarios.policies.following import Policy
from scenarios.policies.outcome import SHORTEST_SESSION_S
from scenarios.scenario.model import Scenario
from scenarios.simulator.accept_queue import AcceptQueue
from scenarios.simulator.admission.admitter import Admitter
from scenarios.simulator.admission.refusals import pod_refused, refusal_cpu_s
from scenarios.simulator.calendar import ranks
from scenarios.simulator.clients import AWAY, TRYING, ClientTable
from scenarios.simulator.costs import Costs
from scenarios.simulator.edge.edge import BAD_GATEWAY, Edge, Taken
from scenarios.simulator.edge.read_timeout import ReadTimeout
from scenarios.simulator.pods import Pods, Served
from scenarios.simulator.reconnects import UNSUPPORTED, Reconnects
from scenarios.simulator.recorder import SLOTS_PER_S, Recorder
from scenarios.simulator.sessions import Sessions

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Engine:
    """One modelled run. Everybody is joined at second 0; ticks count from 0, too.

    due_s: when each tick that there may be is due. pods: the most that there ever are.
    """

    def __init__(
        self, scenario: Scenario, costs: Costs, *, pods: int, slot_s: float, seconds: int, due_s: Floats
    ) -> None:
        fleet, gateway = scenario.fleet, scenario.gateway
        burns = gateway.cpu == "burn"
        self.costs = costs
        self.slot_s = slot_s
        self.now_s = 0.0
        self.edge_is_up = True
        self.stalled_until_s = 0.0
        """Until then no pod sends a tick."""
        self.admission = Admission()
        self._scenario = scenario
        self._slot = 0
        self._rng = np.random.default_rng(fleet.seed)
        self.table = table = ClientTable(fleet, self._rng)
        self.pods = Pods(
            pods,
            costs=costs,
            cores=float(gateway.cores) if burns else None,
            tick_s=costs.tick_cpu_s + gateway.tick_cpu_us * 1e-6,
            burns=burns,
            backlog=gateway.backlog,
        )
        clients = np.bincount(table.cell, minlength=len(table.cells))
        self.recorder = Recorder(
            seconds=seconds, due_s=due_s, cells=table.cells, cell_clients=clients, grouped=bool(fleet.group)
        )
        self.recorder.away_by_held[0] = np.where([cell.is_served for cell in table.cells], clients, 0)
        self.sessions = Sessions(table, self.pods, self.recorder, costs, due_s=due_s)
        self._reconnects = Reconnects(
            fleet, table, self.recorder, slot_s=slot_s, rng=self._rng, end_attempts=self._end_attempts
        )
        self._reconnects.begin()
        self._accept_queue = AcceptQueue(table, self.pods, slot_s)
        self.edge = Edge(scenario, table, self.pods, self._reconnects, costs, self._rng)
        self._read_timeout = ReadTimeout(table, self.edge.read_timeout_s, gateway.ping_interval_s)
        self._admitter = Admitter(table, self.pods, costs, slot_s)
        self._join_s = 0.0
        self._paused_at_s = np.full(pods, math.inf)
        self._joining: list[tuple[Any, Any, Any]] = []
        self._landing: dict[int, list[tuple[Any, Any, Any]]] = {}
        """Joins that are being paid for, by the slot in which they are over."""
        self._nginx_cpu_s = self._nginx_share = 0.0
        self.counted = {
            name: np.zeros(pods, np.int64) for name in ("handshakes", "joined", "gone_early", "shed")
        }

    # -- orders -------------------------------------------------------------------------------------

    def push_policy(self, policy: Policy, reach_s: float, group: str = "") -> None:
        """All clients, or those of a group, follow another policy, each from a moment of its own within the
        reach time on."""
        self._reconnects.push(policy, self.now_s, reach_s, group)

    def route(self, pods: list[int]) -> None:
        """From now on newcomers go to these pods."""
        self.edge.route(pods)

    def set_limits(self, limits: Limits) -> None:
        """The edge is reloaded with these limits, and keeps of its buckets what its kind of proxy keeps."""
        self.edge.reload(limits)

    def charge_handshakes(self, cpu_s: float) -> None:
        """From now on a handshake costs so much."""
        self.pods.upgrade_s = UPGRADE_SHARE * cpu_s
        self._join_s = (1 - UPGRADE_SHARE) * cpu_s

    def set_feed(self, due_s: Floats) -> None:
        """From now on ticks are due at these times; those that were due by now stay as they were."""
        self.sessions.due_s = due_s
        self.recorder.set_feed(due_s)

    def start_pod(self, pod: int) -> None:
        """A pod is there; it sends the ticks that come due from now on."""
        self.pods.alive[pod] = True
        self.sessions.started(pod, self.now_s)

    def settle(self, pods: list[int]) -> None:
        """Begins with everybody on these pods, which send the very first tick."""
        table = self.table
        for pod in pods:
            self.start_pod(pod)
            self.sessions.last_tick[pod] = -1
        self.route(pods)
        served = np.flatnonzero(table.is_served)
        table.pod[served] = self.edge.settle(served)
        self.pods.connections += np.bincount(table.pod[served], minlength=len(self.pods.alive))
        self.sessions.begin(served, np.zeros(len(served)))

    def end_pod(self, pod: int) -> int:
        """A pod ends, and with it all its connections; returns how many clients it had."""
        self.pods.alive[pod] = False
        self.resume_pod(pod)
        joined, waiting = self.sessions.on([pod])
        self.lose(joined, endings.RESET, np.full(len(joined), self.now_s))
        waiting = self._try_next_pod(waiting, None)
        for places, ending in self.table.answered(waiting, BAD_GATEWAY):
            self._end_attempts(waiting[places], ending, np.full(len(places), self.now_s))
        self.pods.forget(pod)
        self._admitter.forget(pod)
        self.sessions.ended(pod)
        return len(joined)

    def pause_pod(self, pod: int) -> None:
        """A pod stands still."""
        self.pods.paused[pod] = True
        self._paused_at_s[pod] = self.now_s

    def resume_pod(self, pod: int) -> None:
        """It goes on."""
        self.pods.paused[pod] = False
        self._paused_at_s[pod] = math.inf

    def drop(self, share: float) -> int:
        """Every pod cuts that share of its clients; returns how many those were."""
        dropped = 0
        for pod in np.flatnonzero(self.pods.alive & ~self.pods.paused).tolist():
            joined, _ = self.sessions.on(pod)
            chosen = joined if share >= 1 else self._rng.choice(joined, round(share * len(joined)), False)
            self.lose(chosen, endings.RESET, np.full(len(chosen), self.now_s))
            dropped += len(chosen)
        return dropped

    def end_edge(self) -> None:
        """nginx ends: nobody has a connection any more, and its buckets are gone."""
        self.edge_is_up = False
        self.edge.start_over()
        joined, waiting = self.sessions.on(np.arange(len(self.pods.alive)))
        self.lose(joined, endings.RESET, np.full(len(joined), self.now_s))
        self._end_attempts(waiting, endings.RESET, np.full(len(waiting), self.now_s))

    def finalise(self) -> None:
        """Counts what nobody holds by now as censored."""
        latest = self.sessions.latest_due(self.now_s)
        if latest >= 0:
            sessions = self.sessions
            self.recorder.finalise(self.now_s, latest, sessions.with_tick, sessions.last_tick)

    def take_nginx_cpu_s(self) -> float:
        """CPU of the edge since the last call, which is to be made once a second."""
        sessions = self.sessions
        taken = (
            self._nginx_cpu_s + self.costs.nginx_idle_cpu + sessions.delivered * self.costs.nginx_tick_cpu_s
        )
        self._nginx_share, self._nginx_cpu_s, sessions.delivered = taken, 0.0, 0
        return taken

    # -- one slot -----------------------------------------------------------------------------------

    def step(self) -> None:
        """Moves everything on by one slot."""
        from_s, end_s = self.now_s, (self._slot + 1) * self.slot_s
        table = self.table
        # All that it does happens in this slot: no second that has been reported changes.
        self._reconnects.reach(end_s)
        due = self._reconnects.take_due(self._slot)
        state = table.state[due]
        late = due[state == TRYING]
        self._end_attempts(late, endings.TIMED_OUT, table.due_s[late])
        away = due[state == AWAY]
        booked = table.booked[away]
        self._reconnects.let_begin(away[~booked])
        self._arrive(away[booked], end_s)
        self._accept_queue.retransmit(self._slot, end_s)
        self._work(from_s, end_s)
        self._watch(end_s)
        if int(end_s * SLOTS_PER_S + 1e-6) != int(from_s * SLOTS_PER_S + 1e-6):
            self.recorder.sample(end_s, self.sessions.last_tick, self.sessions.with_tick)
        self._slot += 1
        self.now_s = end_s

    def _arrive(self, clients: Any, end_s: float) -> None:
        """Requests reach the edge."""
        if not len(clients):
            return
        table, late = self.table, clients[:0]
        if self.edge_is_up:
            clients, late = self.edge.greet(clients, end_s)
        for begun in (clients, late):
            table.first[begun] = False
            table.attempt[begun] += 1
            table.state[begun] = TRYING
        self._answer(late, endings.TIMED_OUT, table.due_s[late])
        arrived_s = table.due_s[clients] + self.costs.edge_delay_s
        if not self.edge_is_up:
            self._answer(clients, endings.REFUSED, arrived_s)
            return
        self._nginx_cpu_s += len(clients) * self.costs.nginx_request_cpu_s + self.edge.take_tls_cpu_s()
        taken = self.edge.take(clients, arrived_s, self.now_s, end_s)
        if taken.begun is not None:
            self.pods.add_ready(taken.begun, self.pods.upgrade_s + self.costs.upgrade_cpu_s)
        self._send(taken)

    def _send(self, taken: Taken) -> None:
        """Requests go to pods, as the edge has decided."""
        for answer in taken.answered:
            self._answer(answer.clients, answer.ending, answer.at_s)
        table, clients = self.table, taken.clients
        table.pod[clients] = taken.pods
        self.pods.connections += np.bincount(taken.pods, minlength=len(self.pods.alive))
        self._reconnects.schedule(clients, table.started_s[clients] + table.timeout_s[clients])
        self._accept_queue.connect(clients, taken.at_s)

    def _try_next_pod(self, clients: Any, status: int | None) -> Any:
        """Sends the requests of these to other pods, as far as the edge does; returns the other ones.

        status: what their pods have answered; None where these have gone.
        """
        again = self.edge.goes_on(clients, status, self.now_s)
        if again.any():
            others = clients[again]
            self.pods.connections -= np.bincount(self.table.pod[others], minlength=len(self.pods.alive))
            self.table.attempt[others] += 1
            self._send(self.edge.send(others, np.full(len(others), self.now_s), self.now_s))
        return clients[~again]

    def _work(self, from_s: float, end_s: float) -> None:
        """The pods do what they can in this slot."""
        self._turn_away(end_s)
        latest = self.sessions.latest_due(end_s) if end_s >= self.stalled_until_s else -1
        joining, self._joining = self._joining, []
        due = np.maximum(0, latest - self.sessions.last_tick)
        served = self.pods.serve(from_s, self.slot_s, due, self._nginx_share)
        self.sessions.send_ticks(served)
        for pods, clients, attempts in joining:
            self._pay_for_joins(pods, clients, attempts, served)
        for clients, attempts, at_s in self._landing.pop(self._slot, ()):
            self._join(clients, attempts, at_s)
        self._upgrade(served)

    def _turn_away(self, now_s: float) -> None:
        """Pods turn away whom they do not admit, and forget who has left, before it costs much."""
        for away in self._admitter.turn_away(self.admission, now_s):
            there = self._there(away.clients, away.attempts)
            self._shed(away.pods, away.clients[there], now_s, away.status, away.retry_after_s)
        if self._scenario.gateway.cancel_gone:
            self.pods.keep(self._there)

    def _shed(
        self, pods: Any, clients: Any, now_s: float, status: int = 503, retry_after_s: float = RETRY_AFTER_S
    ) -> None:
        counts = np.bincount(pods, minlength=len(self.pods.alive))
        self.counted["shed"] += counts
        self.pods.add_ready(counts, refusal_cpu_s(self.admission, self.costs))
        # Who gets a WebSocket, if only to have it closed, has not failed.
        opened = self.admission.close_1013 & ~self.table.polls[clients]
        clients = np.concatenate((clients[opened], self._try_next_pod(clients[~opened], status)))
        for places, ending in pod_refused(self.table, clients, self.admission, status, retry_after_s):
            self._end_attempts(clients[places], ending, np.full(len(places), now_s))

    def _there(self, clients: Any, attempts: Any) -> Any:
        """Whether each client still waits for the answer to that attempt."""
        return (self.table.attempt[clients] == attempts) & (self.table.state[clients] == TRYING)

    def _in_time(self, clients: Any, at_s: Floats) -> Any:
        return at_s <= self.table.started_s[clients] + self.table.timeout_s[clients]

    def _upgrade(self, served: Served) -> None:
        """Newcomers whose upgrade has been paid for go on to join, if they are still there."""
        count = len(self.pods.alive)
        self.counted["handshakes"] += np.bincount(served.pods, minlength=count)
        there = self._there(served.clients, served.attempts) & self._in_time(served.clients, served.done_s)
        self.counted["gone_early"] += np.bincount(served.pods[~there], minlength=count)
        # What the others ask for, a pod finds out once it has paid for the upgrade.
        refused = there & ~self.table.is_served[served.clients]
        for places, ending in self.table.answered(served.clients[refused], UNSUPPORTED):
            self._end_attempts(served.clients[refused][places], ending, served.done_s[refused][places])
        there &= ~refused
        clients, pods = served.clients[there], served.pods[there]
        if self.admission.handshake_slots and len(clients):
            fits = ranks(pods, count) < self.admission.handshake_slots
            self._shed(pods[~fits], clients[~fits], self.now_s)
            clients, pods = clients[fits], pods[fits]
        if not len(clients):
            return
        self._reconnects.opened(clients)
        burned_s = self._join_s if self._scenario.gateway.cpu == "burn" else 0.0
        join_s = self._join_s + self.costs.join_cpu_s
        self.pods.add_ready(np.bincount(pods, minlength=count), join_s, burned_s + self.costs.join_cpu_s)
        self._joining.append((pods, clients, self.table.attempt[clients].copy()))

    def _pay_for_joins(self, pods: Any, clients: Any, attempts: Any, served: Served) -> None:
        """Joins are the last of what was ready; each is over when it has been paid for."""
        counts = np.bincount(pods, minlength=len(self.pods.alive))
        one_s = (self._join_s + self.costs.join_cpu_s) * served.slow[pods]
        at_s = served.ready_s[pods] - (counts[pods] - 1 - ranks(pods, len(counts))) * one_s
        slots = np.maximum((at_s / self.slot_s).astype(np.int64), self._slot)
        for slot in np.unique(slots).tolist():
            mine = slots == slot
            self._landing.setdefault(slot, []).append((clients[mine], attempts[mine], at_s[mine]))

    def _join(self, clients: Any, attempts: Any, at_s: Floats) -> None:
        """Joins have been paid for; who is still there has a session."""
        there = self._there(clients, attempts) & self._in_time(clients, at_s)
        count = len(self.pods.alive)
        self.counted["gone_early"] += np.bincount(self.table.pod[clients[~there]], minlength=count)
        clients, at_s = clients[there], at_s[there]
        if not len(clients):
            return
        self._reconnects.joined(clients, at_s)
        self._count(clients, "joined")
        self.counted["joined"] += np.bincount(self.table.pod[clients], minlength=count)
        self.sessions.begin(clients, at_s)

    # -- ends ---------------------------------------------------------------------------------------

    def _watch(self, now_s: float) -> None:
        """Who finds its feed stale, or misses the server's ping, leaves."""
        gateway = self._scenario.gateway
        stuck = np.flatnonzero(now_s - self._paused_at_s > gateway.ping_interval_s + gateway.ping_timeout_s)
        if len(stuck):
            joined, _ = self.sessions.on(stuck)
            self.lose(joined, endings.PING_TIMEOUT, np.full(len(joined), now_s))
        stale, since_s = self.sessions.stale(now_s)
        self.lose(stale, endings.STALE, since_s)
        quiet, cut_s = self._read_timeout.cut(
            now_s, self.pods.joined, self.sessions.heard_s, self._paused_at_s
        )
        self.lose(quiet, endings.RESET, cut_s)

    def lose(self, clients: Any, ending: Ending, at_s: Floats) -> None:
        """Sessions end; their clients come back."""
        if not len(clients):
            return
        self.edge.end(clients)
        self.edge.left_pods(self.table.pod[clients])
        self.recorder.disconnects[ending.session] += len(clients)
        self.sessions.end(clients, at_s)
        lasted_s = np.maximum(at_s - self.table.joined_s[clients], SHORTEST_SESSION_S)
        self._reconnects.ended(clients, lasted_s)
        self._reconnects.come_back(clients, at_s, ending.outcome, lasted_s)

    def _answer(self, clients: Any, ending: Ending, at_s: Floats) -> None:
        """These attempts end without a session."""
        if len(clients):
            self.edge.end(clients)
            self._count(clients, ending.attempt)
            self._reconnects.come_back(clients, at_s, ending.outcome)

    def _end_attempts(self, clients: Any, ending: Ending, at_s: Floats) -> None:
        """Attempts that a pod has heard of end without a session."""
        if len(clients):
            self.pods.connections -= np.bincount(self.table.pod[clients], minlength=len(self.pods.alive))
            self.edge.left_pods(self.table.pod[clients])
            self._answer(clients, ending, at_s)

    def _count(self, clients: Any, outcome: str) -> None:
        self.recorder.outcomes[outcome] += len(clients)
        if outcome != "joined":
            cells = np.bincount(self.table.cell[clients], minlength=len(self.table.cells))
            self.recorder.failed_by_cell += cells
            self.recorder.limited_by_cell += cells * (outcome == "limited")
