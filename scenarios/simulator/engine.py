"""Moves clients, edge and pods on by one slot of time after the other.

    waiting ── delay and round trips over ──► at the edge ──► accept queue ──► upgraded ──► joined
       ▲                                         │ limited      │ timed out                    │ stale, dropped
       └─────────────────────────────────────────┴──────────────┴──────────────────────────────┘

A client waits for one thing at a time, which comes due in one slot. Within a slot everything has its own time,
but what happens there sees only what earlier slots have left behind; a slot is short against a time-out.
"""

import math
import random
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway_stub.protocol import Admission
from scenarios.gates import Gate
from scenarios.leaky_bucket import EdgeRule
from scenarios.model import Scenario
from scenarios.policies import Policy
from scenarios.simulator.calendar import Calendar
from scenarios.simulator.costs import Costs
from scenarios.simulator.crowd import AWAY, GONE, JOINED, TRYING, Crowd
from scenarios.simulator.delays import DelayPaths
from scenarios.simulator.edge import Balancer, Limiter
from scenarios.simulator.ledger import SLOTS_PER_S, Ledger
from scenarios.simulator.pods import Pods, Served

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

UPGRADE_SHARE = 0.7
"""Of a handshake's cost, as in the pods: TLS and authentication before anybody knows who is still there."""
SHORT_SESSION_S = 5.0
_PATHS = 4_096
_REQUESTS = {"websocket": 1, "polling-upgrade": 5}
_KNOCK_AGAIN_S = (1.0, 3.0, 7.0)
"""A SYN that finds a full accept queue is sent again after so long."""
_DELIVERY_POINTS = (np.arange(5) + 0.5) / 5


class Engine:
    """One modelled run. Everybody is joined at second 0; ticks count from 0, too.

    due_s: when each tick that there may be is due. pods: the most that there ever are.
    """

    def __init__(
        self,
        scenario: Scenario,
        costs: Costs,
        *,
        policy: Policy,
        pods: int,
        slot_s: float,
        seconds: int,
        due_s: Floats,
    ) -> None:
        fleet, gateway = scenario.fleet, scenario.gateway
        self.scenario = scenario
        self.costs = costs
        self.slot_s = slot_s
        self.now_s = 0.0
        self._slot = 0
        self.rng = np.random.default_rng(fleet.seed)
        self._draws = random.Random(fleet.seed)  # noqa: S311
        self.crowd = Crowd(fleet, self.rng)
        self._calendar = Calendar()
        self._knocks = Calendar()
        self._knocked = np.zeros(fleet.clients, np.int8)
        self._policies: list[DelayPaths] = []
        self._gates: list[list[Gate] | None] = []
        handshake_s = 0.0
        self.pods = Pods(
            pods,
            costs=costs,
            cores=float(gateway.cores) if gateway.cpu == "burn" else None,
            upgrade_s=handshake_s,
            tick_s=costs.tick_cpu_s + gateway.tick_cpu_us * 1e-6,
            burns=gateway.cpu == "burn",
            backlog=gateway.backlog,
        )
        self.join_s = 0.0
        self.admission = Admission()
        self._pausing_since_s = np.full(pods, math.inf)
        self._newcomers: list[list[Any]] = [[] for _ in range(pods)]
        self._joining: list[tuple[Any, Any, Any]] = []
        self._landing: dict[int, list[tuple[Any, Any, Any]]] = {}
        """Joins that are being paid for, by the slot in which they are over."""
        self.last_tick = np.full(pods, -1, np.int64)
        self._heard_s = np.zeros(pods)
        """When each pod's clients had their latest tick."""
        self.due_s = due_s
        self.stalled_until_s = 0.0
        groups = len(self.crowd.sizes)
        self.with_tick = np.zeros((pods, groups), np.int64)
        self.joined_by_group = np.bincount(self.crowd.group, minlength=groups)
        self.ledger = Ledger(
            seconds=seconds, due_s=due_s, sizes=self.crowd.sizes, group_clients=self.joined_by_group.copy()
        )
        self.ledger.away_by_held[0] = fleet.clients
        self._requests = _REQUESTS[fleet.transport]
        self.limiter = Limiter((), addresses=self.crowd.addresses, requests=self._requests)
        self.balancer = Balancer(gateway.balance, addresses=self.crowd.addresses, seed=fleet.seed)
        self.edge_is_up = True
        self.nginx_cpu_s = 0.0
        self._nginx_share = 0.0
        self._turn_s = np.zeros(pods)
        self.counted = {
            name: np.zeros(pods, np.int64)
            for name in ("handshakes", "joined", "gone_early", "short_sessions", "shed", "ticks_sent")
        }
        self.occupied_s = np.zeros(pods)
        self.pod_cpu_s = np.zeros(pods)
        self.lag_s = np.zeros(pods)
        self.tick_late_s = np.zeros(pods)
        self._cap_taken = (0, 0)
        self._gated = bool(fleet.max_attempts_per_s)
        """Whether something else than its delay may keep a client from trying."""
        self._pushes: list[tuple[Any, Any, int]] = []
        self.follow_at_once(policy, np.arange(fleet.clients))

    # -- orders -------------------------------------------------------------------------------------

    def add_policy(self, policy: Policy) -> int:
        """Makes a policy known; returns its number."""
        paths = min(_PATHS, max(64, self.crowd.count))
        self._policies.append(DelayPaths(policy, paths=paths, seed=self.scenario.fleet.seed))
        gate = policy.gate()
        self._gated |= gate is not None
        gates: list[Gate] | None = None
        if gate is not None:
            gates = [gate] if policy.shared_gate else [policy.gate() for _ in range(self.crowd.count)]  # type: ignore[misc]
        self._gates.append(gates)
        return len(self._policies) - 1

    def push_policy(self, policy: Policy, reach_s: float) -> None:
        """Everybody follows another policy, each from a moment of its own within the reach time on."""
        number = self.add_policy(policy)
        clients = np.arange(self.crowd.count)
        if reach_s <= 0:
            self._follow(clients, number)
            return
        moments = self.now_s + self.rng.random(len(clients)) * reach_s
        order = np.argsort(moments)
        # A policy that is still on its way reaches nobody any more.
        self._pushes = [(clients[order], moments[order], number)]

    def follow_at_once(self, policy: Policy, clients: Any) -> None:
        """These clients follow the policy from the beginning."""
        number = self.add_policy(policy)
        self.crowd.policy[clients] = number
        self._start_over(clients)

    def route(self, pods: list[int]) -> None:
        """From now on newcomers go to these pods."""
        self.balancer.route(pods)

    def set_rules(self, rules: tuple[EdgeRule, ...]) -> None:
        """From now on these rules are in force at the edge, with empty buckets."""
        self.limiter = Limiter(rules, addresses=self.crowd.addresses, requests=self._requests)

    def charge_handshakes(self, cpu_s: float) -> None:
        """From now on a handshake costs so much."""
        self.pods.upgrade_s = UPGRADE_SHARE * cpu_s
        self.join_s = (1 - UPGRADE_SHARE) * cpu_s

    def set_feed(self, due_s: Floats) -> None:
        """From now on ticks are due at these times; those that were due by now stay as they were."""
        self.due_s = due_s
        self.ledger.set_feed(due_s)

    def wait_s(self, pod: int) -> float:
        """How long a newcomer would wait in a pod's accept queue now."""
        pods = self.pods
        if self.pods.queued[pod] >= pods.capacity:
            return _KNOCK_AGAIN_S[0]
        return float(pods.queued[pod] * self._turn_s[pod])

    def turn_s(self, pod: int) -> float:
        """How long a turn of a pod's loop took lately."""
        return float(self._turn_s[pod])

    def take_pod_second(self) -> tuple[Floats, Floats, Floats, Floats]:
        """(CPU, occupied time, worst lag, worst lateness of a tick) of each pod since the last call."""
        taken = self.pod_cpu_s, self.occupied_s, self.lag_s, self.tick_late_s
        self.pod_cpu_s, self.occupied_s, self.lag_s, self.tick_late_s = (
            np.zeros_like(part) for part in taken
        )
        return taken

    def take_nginx_cpu_s(self) -> float:
        """CPU of the edge since the last call, which is to be made once a second."""
        taken, self.nginx_cpu_s = self.nginx_cpu_s + self.costs.nginx_idle_cpu, 0.0
        self._nginx_share = taken
        return taken

    def start_pod(self, pod: int) -> None:
        """A pod is there; it sends the ticks that come due from now on."""
        self.pods.alive[pod] = True
        self.last_tick[pod] = self._latest_due(self.now_s)
        self._heard_s[pod] = self.now_s

    def settle(self, pods: list[int]) -> None:
        """Spreads everybody over these pods, which have just been started."""
        self.crowd.pod[:] = np.array(pods)[np.arange(self.crowd.count) % len(pods)]
        self.rng.shuffle(self.crowd.pod)
        if self.scenario.gateway.balance == "hash":
            self.crowd.pod[:] = self.balancer.choose(self.crowd.address, self.pods.connections, self.rng)
        counts = np.bincount(self.crowd.pod, minlength=len(self.pods.alive))
        self.pods.joined[:] = counts
        self.pods.connections[:] = counts
        for pod in pods:
            members = np.flatnonzero(self.crowd.pod == pod)
            self._newcomers[pod].append((members, self.crowd.attempt[members].copy()))

    def end_pod(self, pod: int) -> int:
        """A pod ends, and with it all its connections; returns how many clients it had."""
        mine = self.crowd.pod == pod
        joined = np.flatnonzero(mine & (self.crowd.state == JOINED))
        trying = np.flatnonzero(mine & (self.crowd.state == TRYING))
        self.pods.alive[pod] = self.pods.paused[pod] = False
        self._pausing_since_s[pod] = math.inf
        self._lose(joined, "reset", np.full(len(joined), self.now_s))
        self._end_attempts(trying, "reset", np.full(len(trying), self.now_s))
        self.pods.forget(pod)
        self._newcomers[pod].clear()
        return len(joined)

    def pause_pod(self, pod: int) -> None:
        """A pod stands still."""
        self.pods.paused[pod] = True
        self._pausing_since_s[pod] = self.now_s

    def resume_pod(self, pod: int) -> None:
        """It goes on."""
        self.pods.paused[pod] = False
        self._pausing_since_s[pod] = math.inf

    def drop(self, share: float, reason: str = "reset") -> int:
        """Every pod cuts that share of its clients; returns how many those were."""
        dropped = 0
        for pod in np.flatnonzero(self.pods.alive & ~self.pods.paused).tolist():
            mine = (self.crowd.pod == pod) & (self.crowd.state == JOINED)
            chosen = self.crowd.choose(mine, share, self.rng)
            self._lose(chosen, reason, np.full(len(chosen), self.now_s))
            dropped += len(chosen)
        return dropped

    def end_edge(self) -> None:
        """nginx ends: nobody has a connection any more."""
        self.edge_is_up = False
        joined = np.flatnonzero(self.crowd.state == JOINED)
        trying = np.flatnonzero(self.crowd.state == TRYING)
        self._lose(joined, "reset", np.full(len(joined), self.now_s))
        self._end_attempts(trying, "reset", np.full(len(trying), self.now_s))

    def close_books(self) -> None:
        """Counts what nobody holds by now as censored."""
        latest = self._latest_due(self.now_s)
        if latest >= 0:
            self.ledger.close_books(self.now_s, latest, self.with_tick.sum(axis=1), self.last_tick)

    # -- one slot -----------------------------------------------------------------------------------

    def step(self) -> None:
        """Moves everything on by one slot."""
        slot, from_s = self._slot, self.now_s
        end_s = (slot + 1) * self.slot_s
        self._reach(end_s)
        crowd = self.crowd
        due = self._calendar.take(slot)
        if len(due):
            due = due[crowd.slot[due] == slot]
            # Who was entered twice comes once: the mark of the later one is overwritten by neither.
            crowd.slot[due] = np.arange(len(due))
            due = due[crowd.slot[due] == np.arange(len(due))]
            crowd.slot[due] = -1
            state = crowd.state[due]
            late = due[state == TRYING]
            self._end_attempts(late, "timeout", crowd.due_s[late])
            self._arrive(due[state == AWAY], end_s)
        again = self._knocks.take(slot)
        if len(again):
            again = again[(crowd.state[again] == TRYING) & (self._knocked[again] > 0)]
            self._knock(again, crowd.pod[again], np.full(len(again), end_s))
        self._work(from_s, end_s)
        self._watch(end_s)
        if self._grid(end_s) != self._grid(from_s):
            self.ledger.sample(end_s, self.last_tick, self.with_tick)
        self._slot += 1
        self.now_s = end_s

    def _grid(self, t_s: float) -> int:
        return int(t_s * SLOTS_PER_S + 1e-6)

    def _latest_due(self, t_s: float) -> int:
        return int(np.searchsorted(self.due_s, t_s + 1e-9, side="right")) - 1

    # -- clients ------------------------------------------------------------------------------------

    def _start_over(self, clients: Any) -> None:
        crowd = self.crowd
        for number in np.unique(crowd.policy[clients]).tolist():
            mine = clients[crowd.policy[clients] == number] if len(self._policies) > 1 else clients
            crowd.path[mine] = self._policies[number].draw(self.rng, len(mine))
        crowd.tries[clients] = 0

    def _follow(self, clients: Any, number: int) -> None:
        crowd = self.crowd
        state = crowd.state[clients]
        now = np.full(len(clients), self.now_s)
        trying = clients[state == TRYING]
        crowd.policy[clients] = number
        self._start_over(clients)
        if len(trying):
            self._end_attempts(trying, "abandoned", now[: len(trying)])
        waiting = clients[(state == AWAY) | (state == GONE)]
        if len(waiting):
            if not self._gated:
                # These tries will not be made, or are under way and given up.
                unmade = waiting[(crowd.state[waiting] == AWAY) & (crowd.started_s[waiting] > self.now_s)]
                self.ledger.attempted(crowd.started_s[unmade], crowd.group[unmade], -1)
            crowd.state[waiting] = AWAY
            self._come_back(waiting, now[: len(waiting)])

    def _reach(self, end_s: float) -> None:
        for clients, moments, number in self._pushes:
            reached = int(np.searchsorted(moments, end_s))
            self._follow(clients[:reached], number)
            rest = (clients[reached:], moments[reached:], number)
            self._pushes = [rest] if len(rest[0]) else []

    def _come_back(self, clients: Any, at_s: Floats) -> None:
        """Each of these waits for its next delay, counted from `at_s`."""
        crowd = self.crowd
        delay = np.empty(len(clients))
        numbers = crowd.policy[clients]
        for number in np.unique(numbers).tolist():
            mine = np.flatnonzero(numbers == number)
            delay[mine] = self._policies[number].delays_s(
                crowd.path[clients[mine]], crowd.tries[clients[mine]]
            )
        crowd.tries[clients] += 1
        over = np.isnan(delay)
        if over.any():
            gone = clients[over]
            crowd.state[gone] = GONE
            self.ledger.gave_up += len(gone)
            clients, at_s, delay = clients[~over], at_s[~over], delay[~over]
        self._wait_until(clients, at_s + delay)

    def _wait_until(self, clients: Any, start_s: Floats) -> None:
        crowd = self.crowd
        crowd.state[clients] = AWAY
        crowd.started_s[clients] = start_s
        if not self._gated:
            self.ledger.attempted(start_s, crowd.group[clients])
        self._schedule(clients, start_s + crowd.travel_s[clients])

    def _schedule(self, clients: Any, due_s: Floats) -> None:
        slots = np.maximum((due_s / self.slot_s).astype(np.int64), self._slot + 1)
        self.crowd.due_s[clients] = due_s
        self.crowd.slot[clients] = slots
        self._calendar.put(clients, slots)

    def _end_attempts(self, clients: Any, outcome: str, at_s: Floats) -> None:
        """Tries end without a session."""
        if not len(clients):
            return
        crowd = self.crowd
        np.subtract.at(self.pods.connections, crowd.pod[clients], 1)
        self._count_outcome(clients, outcome, at_s)
        self._come_back(clients, at_s)

    def _count_outcome(self, clients: Any, outcome: str, at_s: Floats) -> None:
        self.ledger.outcomes[outcome] += len(clients)
        if outcome == "limited":
            self.ledger.limited_by_group += np.bincount(
                self.crowd.group[clients], minlength=len(self.crowd.sizes)
            )
        for number, gates in enumerate(self._gates):
            if gates is None:
                continue
            mine = np.flatnonzero(self.crowd.policy[clients] == number)
            for client, t_s in zip(clients[mine].tolist(), at_s[mine].tolist(), strict=True):
                gates[client if len(gates) > 1 else 0].ended(outcome == "joined", t_s)

    def _let_through(self, clients: Any) -> Any:
        """Of clients whose delay is over, those whose gate and whose cap let them begin now."""
        crowd = self.crowd
        for number, gates in enumerate(self._gates):
            if gates is None:
                continue
            passed = np.ones(len(clients), bool)
            for place in np.flatnonzero(crowd.policy[clients] == number).tolist():
                client = int(clients[place])
                start_s = float(crowd.started_s[client])
                gate = gates[client if len(gates) > 1 else 0]
                wait_s = gate.wait_s(start_s, self._draws, bool(crowd.first[client]))
                if wait_s == math.inf:
                    crowd.state[client] = GONE
                    self.ledger.gave_up += 1
                elif wait_s > 0:
                    self._wait_until(clients[place : place + 1], np.array([start_s + wait_s]))
                passed[place] &= wait_s == 0
            clients = clients[passed]
        cap = self.scenario.fleet.max_attempts_per_s
        if cap and len(clients):
            second, taken = self._cap_taken
            if second < int(self.now_s):
                second, taken = int(self.now_s), 0
            places = taken + np.arange(len(clients))
            waits = places // cap + second - int(self.now_s)
            self._cap_taken = (second + int(places[-1] + 1) // cap, int(places[-1] + 1) % cap)
            held = clients[waits > 0]
            self.ledger.held_back += len(held)
            self._wait_until(held, crowd.started_s[held] + waits[waits > 0])
            clients = clients[waits == 0]
        if self._gated:
            self.ledger.attempted(np.full(len(clients), self.now_s), crowd.group[clients])
        return clients

    # -- the edge -----------------------------------------------------------------------------------

    def _arrive(self, clients: Any, end_s: float) -> None:
        """Requests reach the edge."""
        clients = self._let_through(clients) if len(clients) else clients
        if not len(clients):
            return
        crowd = self.crowd
        crowd.attempt[clients] += 1
        crowd.first[clients] = False
        arrived_s = crowd.due_s[clients]
        crowd.state[clients] = TRYING
        crowd.pod[clients] = 0
        if not self.edge_is_up:
            np.add.at(self.pods.connections, crowd.pod[clients], 1)
            self._end_attempts(clients, "refused", arrived_s)
            return
        self.nginx_cpu_s += len(clients) * self.costs.nginx_request_cpu_s
        whole, begun, held_s = self.limiter.admit(crowd.address[clients], int(end_s * 1000))
        limited = ~whole
        if limited.any():
            refused = clients[limited]
            np.add.at(self.pods.connections, crowd.pod[refused], 1)
            self._end_attempts(refused, "limited", arrived_s[limited] + self.costs.edge_delay_s)
        if begun.any():
            # The first request of a polling client costs its handshake, whatever becomes of the next ones.
            pods = self.balancer.choose(crowd.address[clients[begun]], self.pods.connections, self.rng)
            pods = pods[pods >= 0]
            pods = pods[self.pods.alive[pods]]
            self.pods.ready_work_s += np.bincount(pods, minlength=len(self.pods.alive)) * (
                self.pods.upgrade_s + self.costs.upgrade_cpu_s
            )
        clients, arrived_s = clients[whole], arrived_s[whole] + held_s[whole] + self.costs.edge_delay_s
        if not len(clients):
            return
        pods = self.balancer.choose(crowd.address[clients], self.pods.connections, self.rng)
        crowd.pod[clients] = np.maximum(pods, 0)
        np.add.at(self.pods.connections, crowd.pod[clients], 1)
        there = (pods >= 0) & self.pods.alive[np.maximum(pods, 0)]
        self._end_attempts(clients[~there], "refused", arrived_s[~there])
        clients, pods, arrived_s = clients[there], pods[there], arrived_s[there]
        self._knocked[clients] = 0
        self._schedule(clients, crowd.started_s[clients] + self.scenario.fleet.connect_timeout_s)
        self._knock(clients, pods, arrived_s)

    def _knock(self, clients: Any, pods: Any, arrived_s: Floats) -> None:
        """Connections reach the accept queues, where there may be no room."""
        if not len(clients):
            return
        crowd = self.crowd
        room = self.pods.enqueue(pods, clients, crowd.attempt[clients], arrived_s)
        outside = clients[~room]
        if not len(outside):
            return
        knocks = self._knocked[outside]
        again = knocks < len(_KNOCK_AGAIN_S)
        outside, knocks = outside[again], knocks[again]
        self._knocked[outside] += 1
        waits = np.array(_KNOCK_AGAIN_S)[knocks] - np.concatenate(([0.0], _KNOCK_AGAIN_S))[knocks]
        at_s = arrived_s[~room][again] + waits
        in_time = at_s < crowd.due_s[outside]
        self._knocks.put(outside[in_time], (at_s[in_time] / self.slot_s).astype(np.int64))

    # -- the pods -----------------------------------------------------------------------------------

    def _work(self, from_s: float, end_s: float) -> None:
        latest = self._latest_due(end_s) if end_s >= self.stalled_until_s else -1
        due = np.maximum(0, latest - self.last_tick)
        self._turn_away(end_s)
        joining, self._joining = self._joining, []
        served = self.pods.serve(from_s, self.slot_s, due, self._nginx_share)
        self._turn_s = served.turn_s
        self.occupied_s += served.occupied_s
        self.pod_cpu_s += served.cpu_s
        self.lag_s = np.maximum(
            self.lag_s, np.where(self.pods.paused, self.slot_s + self.lag_s, served.turn_s)
        )
        self._send_ticks(served)
        for pods, clients, attempts in joining:
            self._pay_for_joins(pods, clients, attempts, served)
        for clients, attempts, at_s in self._landing.pop(self._slot, ()):
            self._join(clients, attempts, at_s)
        self._upgrade(served)

    def _pay_for_joins(self, pods: Any, clients: Any, attempts: Any, served: Served) -> None:
        """Joins are the last of what was ready; each is over when it has been paid for."""
        counts = np.bincount(pods, minlength=len(self.pods.alive))
        order = np.argsort(pods, kind="stable")
        rank = np.empty(len(pods), np.int64)
        rank[order] = np.arange(len(pods)) - np.repeat(np.cumsum(counts) - counts, counts)
        one_s = (self.join_s + self.costs.join_cpu_s) * served.slow[pods]
        at_s = served.ready_s[pods] - (counts[pods] - 1 - rank) * one_s
        slots = np.maximum((at_s / self.slot_s).astype(np.int64), self._slot)
        for slot in np.unique(slots).tolist():
            mine = slots == slot
            self._landing.setdefault(slot, []).append((clients[mine], attempts[mine], at_s[mine]))

    def _turn_away(self, now_s: float) -> None:
        """Pods turn away who has waited too long, or who finds no slot, before it costs much."""
        threshold_s = self.admission.shed_above_lag_ms / 1000
        if threshold_s:
            pods, clients, attempts = self.pods.take_older(now_s - threshold_s)
            self._shed(pods, clients, attempts, now_s)
        if self.scenario.gateway.cancel_gone:
            self.pods.keep(lambda clients, attempts: self._alive(clients, attempts))

    def _shed(self, pods: Any, clients: Any, attempts: Any, now_s: float) -> None:
        counts = np.bincount(pods, minlength=len(self.pods.alive))
        self.counted["shed"] += counts
        self.pods.ready_work_s += counts * self.costs.shed_cpu_s
        self.pods.ready_cpu_s += counts * self.costs.shed_cpu_s
        there = clients[self._alive(clients, attempts)]
        self._end_attempts(there, "limited", np.full(len(there), now_s))

    def _alive(self, clients: Any, attempts: Any) -> Any:
        return (self.crowd.attempt[clients] == attempts) & (self.crowd.state[clients] == TRYING)

    def _upgrade(self, served: Served) -> None:
        """Newcomers whose upgrade has been paid for go on to join, if they are still there."""
        crowd, count = self.crowd, len(self.pods.alive)
        if not len(served.pods):
            return
        self.counted["handshakes"] += np.bincount(served.pods, minlength=count)
        there = self._alive(served.clients, served.tries)
        there &= served.done_s <= crowd.started_s[served.clients] + self.scenario.fleet.connect_timeout_s
        self.counted["gone_early"] += np.bincount(served.pods[~there], minlength=count)
        clients, pods = served.clients[there], served.pods[there]
        if self.admission.handshake_slots:
            clients, pods, there = self._within_slots(served, there)
        if not len(clients):
            return
        if self.scenario.fleet.reset_backoff == "open":
            self._start_over(clients)
        joins = np.bincount(pods, minlength=count)
        self.pods.ready_work_s += joins * (self.join_s + self.costs.join_cpu_s)
        self.pods.ready_cpu_s += joins * (
            (self.join_s if self.scenario.gateway.cpu == "burn" else 0.0) + self.costs.join_cpu_s
        )
        self._joining.append((pods, clients, crowd.attempt[clients].copy()))

    def _within_slots(self, served: Served, there: Any) -> tuple[Any, Any, Any]:
        """Only so many handshakes of a pod may be under way at once; the others are turned away."""
        counts = np.bincount(served.pods[there], minlength=len(self.pods.alive))
        order = np.argsort(served.pods[there], kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        fits = rank < self.admission.handshake_slots
        places = np.flatnonzero(there)
        over = places[~fits]
        self.counted["shed"] += np.bincount(served.pods[over], minlength=len(self.pods.alive))
        self._end_attempts(served.clients[over], "limited", served.done_s[over])
        kept = np.zeros_like(there)
        kept[places[fits]] = True
        return served.clients[kept], served.pods[kept], kept

    def _join(self, clients: Any, attempts: Any, at_s: Floats) -> None:
        """Joins have been paid for; who is still there has a session."""
        crowd, count = self.crowd, len(self.pods.alive)
        there = self._alive(clients, attempts)
        there &= at_s <= crowd.started_s[clients] + self.scenario.fleet.connect_timeout_s
        self.counted["gone_early"] += np.bincount(crowd.pod[clients[~there]], minlength=count)
        clients, at_s = clients[there], at_s[there]
        if not len(clients):
            return
        if self.scenario.fleet.reset_backoff == "joined":
            self._start_over(clients)
        self._count_outcome(clients, "joined", at_s)
        crowd.state[clients] = JOINED
        crowd.slot[clients] = -1
        crowd.joined_s[clients] = at_s
        crowd.has_tick[clients] = False
        pods = crowd.pod[clients]
        counts = np.bincount(pods, minlength=count)
        self.pods.joined += counts
        self.counted["joined"] += counts
        self.joined_by_group += np.bincount(crowd.group[clients], minlength=len(crowd.sizes))
        order = np.argsort(pods, kind="stable")
        for pod, part in zip(
            np.flatnonzero(counts).tolist(),
            np.split(clients[order], np.cumsum(counts[counts > 0])[:-1]),
            strict=True,
        ):
            self._newcomers[pod].append((part, crowd.attempt[part].copy()))

    def _send_ticks(self, served: Served) -> None:
        for number in range(int(served.ticks.max(initial=0))):
            pods = np.flatnonzero(served.ticks > number)
            ticks = self.last_tick[pods] + 1
            due_s = self.due_s[ticks]
            begin_s = np.maximum(due_s, served.tick_begin_s[pods] + number * served.tick_step_s[pods])
            self.tick_late_s[pods] = np.maximum(self.tick_late_s[pods], begin_s - due_s)
            clients = self.pods.joined[pods]
            cost_s = served.tick_cost_s[pods]
            points = begin_s[:, None] + cost_s[:, None] * _DELIVERY_POINTS - due_s[:, None]
            shares = np.floor(clients[:, None] * (np.arange(1, 6) / 5)).astype(np.int64)
            shares = np.diff(shares, axis=1, prepend=0)
            self.ledger.delivered(
                np.repeat(ticks, len(_DELIVERY_POINTS)),
                points.ravel() + self.costs.edge_delay_s,
                shares.ravel(),
            )
            self.counted["ticks_sent"][pods] += clients
            self.nginx_cpu_s += float(clients.sum()) * self.costs.nginx_tick_cpu_s
            self.last_tick[pods] = ticks
            self._heard_s[pods] = begin_s + cost_s
            for pod, end_s in zip(pods.tolist(), (begin_s + cost_s).tolist(), strict=True):
                self._welcome(pod, end_s)

    def _welcome(self, pod: int, now_s: float) -> None:
        """The newcomers of a pod have their first tick."""
        if not self._newcomers[pod]:
            return
        crowd = self.crowd
        parts, self._newcomers[pod] = self._newcomers[pod], []
        clients = np.concatenate([part for part, _ in parts])
        attempts = np.concatenate([part for _, part in parts])
        clients = clients[
            (crowd.attempt[clients] == attempts) & (crowd.state[clients] == JOINED) & ~crowd.has_tick[clients]
        ]
        if not len(clients):
            return
        held = np.maximum(crowd.held[clients], self.ledger.closed)
        self.ledger.caught_up(held, int(self.last_tick[pod]), now_s)
        crowd.has_tick[clients] = True
        self.with_tick[pod] += np.bincount(crowd.group[clients], minlength=len(crowd.sizes))

    # -- ends of sessions ---------------------------------------------------------------------------

    def _watch(self, now_s: float) -> None:
        """Who finds its feed stale, or misses the server's ping, leaves."""
        fleet, gateway = self.scenario.fleet, self.scenario.gateway
        patience_s = gateway.ping_interval_s + gateway.ping_timeout_s
        if (now_s - self._pausing_since_s > patience_s).any():
            stuck = np.flatnonzero(now_s - self._pausing_since_s > patience_s)
            self._leave(np.isin(self.crowd.pod, stuck) & (self.crowd.state == JOINED), "ping_timeout", now_s)
        if not fleet.stale_after_s:
            return
        if fleet.stale_by == "gap":
            last_s = self._heard_s
        else:
            last_s = np.where(self.last_tick >= 0, self.due_s[np.maximum(self.last_tick, 0)], 0.0)
        silent = (now_s - last_s >= fleet.stale_after_s) & (self.pods.joined > 0)
        if not silent.any():
            return
        crowd = self.crowd
        members = np.flatnonzero((crowd.state == JOINED) & silent[crowd.pod])
        since_s = np.maximum(last_s[crowd.pod[members]], crowd.joined_s[members])
        stale = now_s - since_s >= fleet.stale_after_s
        members, since_s = members[stale], since_s[stale]
        self._lose(members, "stale", since_s + fleet.stale_after_s)

    def _leave(self, mask: Any, reason: str, now_s: float) -> None:
        clients = np.flatnonzero(mask)
        self._lose(clients, reason, np.full(len(clients), now_s))

    def _lose(self, clients: Any, reason: str, at_s: Floats) -> None:
        """Sessions end; their clients come back."""
        if not len(clients):
            return
        crowd, count = self.crowd, len(self.pods.alive)
        self.ledger.disconnects[reason] += len(clients)
        pods, groups = crowd.pod[clients], crowd.group[clients]
        had = crowd.has_tick[clients]
        held = np.maximum(self.last_tick[pods[had]], self.ledger.closed)
        held = np.maximum(held, crowd.held[clients[had]])
        crowd.held[clients[had]] = held
        self.ledger.away_by_held += np.bincount(held + 1, minlength=len(self.ledger.away_by_held))
        np.subtract.at(self.with_tick, (pods[had], groups[had]), 1)
        crowd.has_tick[clients] = False
        counts = np.bincount(pods, minlength=count)
        self.pods.joined -= counts
        self.pods.connections -= counts
        self.joined_by_group -= np.bincount(groups, minlength=len(crowd.sizes))
        alive = counts * self.pods.alive
        self.pods.ready_work_s += alive * self.costs.close_cpu_s
        self.pods.ready_cpu_s += alive * self.costs.close_cpu_s
        lasted_s = at_s - crowd.joined_s[clients]
        self.counted["short_sessions"] += np.bincount(pods[lasted_s < SHORT_SESSION_S], minlength=count)
        crowd.first[clients] = True
        if self.scenario.fleet.reset_backoff == "stable":
            self._start_over(clients[lasted_s >= self.scenario.fleet.stable_after_s])
        self._come_back(clients, at_s)
