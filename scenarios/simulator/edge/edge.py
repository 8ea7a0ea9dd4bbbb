"""The proxy of a modelled run: whom it lets in, and to which pod it sends them.

accepted by a worker ── limits ──► a connection to a pod ──► a pod that is there ──► its accept queue
      │ none left         │ refused      │ none left: 500        │ dead: the next one, or 502
      └───────────────────┴──────────────┴───────────────────────┘
"""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct, field

from scenarios.clients import endings
from scenarios.clients.endings import Ending
from scenarios.limits.registry import Limits
from scenarios.scenario.edge.nginx import NginxSettings
from scenarios.scenario.model import Scenario
from scenarios.simulator.calendar import ranks
from scenarios.simulator.clients import ClientTable
from scenarios.simulator.costs import Costs
from scenarios.simulator.edge.balancer import Balancer
from scenarios.simulator.edge.greeting import Greeting
from scenarios.simulator.edge.limiter import Limiter
from scenarios.simulator.edge.upstream import Upstream
from scenarios.simulator.edge.workers import Workers
from scenarios.simulator.pods import Pods
from scenarios.simulator.reconnects import Reconnects

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BAD_GATEWAY, NO_CONNECTION = 502, 500


class Answered(Struct, frozen=True):
    """Attempts that the proxy ends, each of shape (n,)."""

    clients: Any
    ending: Ending
    at_s: Floats


class Taken(Struct, frozen=True):
    """What the proxy does with requests: those that go to pods, of shape (n,), and those that it ends."""

    clients: Any
    pods: Ints
    at_s: Floats
    answered: list[Answered] = field(default_factory=list)
    begun: Ints | None = None
    """Handshakes of polling clients that are refused at a later request, by pod."""


class Edge:
    """One proxy; all numbers of clients and pods are those of the run."""

    def __init__(
        self,
        scenario: Scenario,
        table: ClientTable,
        pods: Pods,
        reconnects: Reconnects,
        costs: Costs,
        rng: np.random.Generator,
    ) -> None:
        self.refused: Counter[int] = Counter()
        """Requests that a limit refused, by second of the model."""
        self._scenario, self._table, self._pods, self._rng = scenario, table, pods, rng
        is_nginx = scenario.edge.proxy == "nginx"
        settings = scenario.edge.nginx_in_force if is_nginx else NginxSettings()
        self.read_timeout_s = settings.proxy_read_timeout_s
        self._limits = Limits()
        self._limiter = Limiter.of(self._limits, table, scenario)
        self._balancer = Balancer(
            scenario.gateway.balance, addresses=table.addresses, seed=scenario.fleet.seed
        )
        self._workers = Workers(settings, table.count, rng) if settings.worker_connections else None
        self._upstream = Upstream(settings, len(pods.alive))
        self._greeting = Greeting(scenario, table, reconnects, costs)

    # -- orders -------------------------------------------------------------------------------------

    def route(self, pods: list[int]) -> None:
        """From now on newcomers go to these pods."""
        self._balancer.route(pods)
        self._upstream.route(np.array(pods, np.int64))

    def settle(self, clients: Any) -> Ints:
        """The pods of clients that have connected before anything else happens."""
        self._greeting.settle(clients)
        if self._workers is not None:
            self._workers.settle(clients)
        return self._balancer.choose(self._table.address[clients], self._pods.connections, self._rng)

    def reload(self, limits: Limits) -> None:
        """It is reloaded with these limits, and keeps of its buckets what its kind of proxy keeps."""
        self._greeting.reload()
        self._begin(limits, before=self._limiter)

    def start_over(self) -> None:
        """It is started again, and has nothing of what it had."""
        self._greeting.end()
        self._begin(self._limits, before=None)

    def rotate_certificate(self) -> None:
        """It is to have another certificate, once it has been reloaded."""
        self._greeting.rotate()

    def _begin(self, limits: Limits, before: Limiter | None) -> None:
        self._limits = limits
        self._limiter = Limiter.of(limits, self._table, self._scenario, before=before)
        self._upstream.renew()
        if self._workers is not None:
            self._workers.renew()

    # -- requests -----------------------------------------------------------------------------------

    def greet(self, clients: Any, end_s: float) -> tuple[Any, Any]:
        """(who makes its request before `end_s`, whose time is over) of those whose connections have come in.

        The others are on their way through a TLS handshake.
        """
        return self._greeting.greet(clients, end_s, self._pods.busy)

    def take_tls_cpu_s(self) -> float:
        """CPU of TLS handshakes since the last call."""
        taken, self._greeting.cpu_s = self._greeting.cpu_s, 0.0
        return taken

    def take_handshakes(self) -> dict[str, int]:
        """TLS handshakes since the last call, by kind."""
        taken = dict(self._greeting.counted)
        self._greeting.counted.clear()
        return taken

    def take(self, clients: Any, at_s: Floats, now_s: float, end_s: float) -> Taken:
        """New connections come in at these times, which are before `end_s`."""
        answered: list[Answered] = []
        worker: Ints = np.zeros(len(clients), np.int64)
        if self._workers is not None:
            worker = self._workers.accept(clients)
            full = worker < 0
            answered.append(Answered(clients[full], endings.RESET, at_s[full]))
            clients, at_s, worker = clients[~full], at_s[~full], worker[~full]
        begun = None
        if self._limiter.has_rules and len(clients):
            whole, first, held_s = self._limiter.admit(
                self._table.address[clients], int(end_s * 1000), self._table.requests[clients], clients
            )
            if first.any():
                # The first request of a polling client costs its handshake, whatever the next ones do.
                pods = self._balancer.choose(self._keys(clients[first]), self._pods.connections, self._rng)
                there = pods[(pods >= 0) & self._pods.alive[pods]]
                begun = np.bincount(there, minlength=len(self._pods.alive))
            refused, refused_s = clients[~whole], at_s[~whole]
            self.refused[int(now_s)] += len(refused)
            for places, ending in self._table.refused(refused, self._limits.refusal):
                answered.append(Answered(refused[places], ending, refused_s[places]))
            clients, at_s, worker = clients[whole], at_s[whole] + held_s[whole], worker[whole]
        if self._workers is not None:
            found = self._workers.connect(clients, worker)
            one_left = ~found & self._workers.has_room(worker)
            answered += self._all_answered(clients[one_left], NO_CONNECTION, at_s[one_left])
            none_left = ~found & ~one_left
            answered.append(Answered(clients[none_left], endings.RESET, at_s[none_left]))
            clients, at_s = clients[found], at_s[found]
        sent = self.send(clients, at_s, now_s)
        return Taken(sent.clients, sent.pods, sent.at_s, answered + sent.answered, begun)

    def send(self, clients: Any, at_s: Floats, now_s: float) -> Taken:
        """Sends requests to pods that are there, as far as nginx finds them."""
        home = np.full(len(clients), -1, np.int64)
        placed = np.zeros(len(self._pods.alive), np.int64)
        left = np.arange(len(clients))
        while len(left):
            chosen = self._choose(clients[left], placed, now_s)
            left, chosen = left[chosen >= 0], chosen[chosen >= 0]
            takes = ranks(chosen, len(placed)) < self._upstream.room(self._pods.alive)[chosen]
            self._upstream.sent(chosen[takes], now_s)
            good, dead = takes & self._pods.alive[chosen], takes & ~self._pods.alive[chosen]
            home[left[good]] = chosen[good]
            placed += np.bincount(chosen[good], minlength=len(placed))
            again = ~takes
            again[dead] = self._fails(
                clients[left[dead]], chosen[dead], now_s, goes_on=self._upstream.after_error
            )
            left = left[again]
        there = home >= 0
        bad = self._all_answered(clients[~there], BAD_GATEWAY, at_s[~there])
        return Taken(clients[there], home[there], at_s[there], bad)

    def goes_on(self, clients: Any, status: int | None, now_s: float) -> npt.NDArray[np.bool_]:
        """Whose requests go to another pod, of shape (n,), after their pods have answered like this.

        status: None where the pod has gone.
        """
        if status is None:
            return self._fails(clients, self._table.pod[clients], now_s, goes_on=self._upstream.after_error)
        if not self._upstream.goes_on(status):
            return np.zeros(len(clients), bool)
        # The last pod's answer is passed on, and is no failure.
        tries = [len(self._upstream.tried(client)) + 1 for client in clients.tolist()]
        again = np.array(tries, np.int64) < self._upstream.pods
        failed = clients[again]
        again[again] = self._fails(failed, self._table.pod[failed], now_s, goes_on=True)
        return again

    def end(self, clients: Any) -> None:
        """The connections of these have ended, if they had any."""
        self._limiter.end(clients)
        self._upstream.forget(clients)
        if self._workers is not None:
            self._workers.end(clients)

    def left_pods(self, pods: Any) -> None:
        """A request or a session has ended at each of these pods, and not by a failure."""
        self._upstream.ended(pods)

    def _fails(self, clients: Any, pods: Any, now_s: float, *, goes_on: bool) -> npt.NDArray[np.bool_]:
        """Requests fail at these pods; returns which of them have another pod to go to, of shape (n,)."""
        self._upstream.failed(pods, now_s)
        if not goes_on:
            return np.zeros(len(clients), bool)
        pairs = zip(clients.tolist(), pods.tolist(), strict=True)
        tried = [len(self._upstream.note_tried(client, pod)) for client, pod in pairs]
        return np.array(tried, np.int64) < self._upstream.pods

    def _choose(self, clients: Any, placed: Ints, now_s: float) -> Ints:
        """A pod for each of these, of shape (n,): none that is out, or at which its request has failed."""
        out = self._upstream.out(now_s)
        chosen = np.full(len(clients), -1, np.int64)
        for tried, places in self._upstream.by_tried(clients):
            chosen[places] = self._balancer.choose(
                self._keys(clients[places]), self._pods.connections + placed, self._rng, out=out | tried
            )
        return chosen

    def _keys(self, clients: Any) -> Any:
        return self._table.address[clients] if self._balancer.by_address else clients

    def _all_answered(self, clients: Any, status: int, at_s: Floats) -> list[Answered]:
        return [
            Answered(clients[places], ending, at_s[places])
            for places, ending in self._table.answered(clients, status)
        ]
