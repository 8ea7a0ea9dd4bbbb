"""The proxy of a modelled run, as Python knows it: its settings, and what it keeps and forgets.

accepted by a worker ── limits ──► a connection to a pod ──► a pod that is there ──► its accept queue
      │ none left         │ refused      │ none left: 500        │ dead: the next one, or 502
      └───────────────────┴──────────────┴───────────────────────┘

The way of a request itself is in `loop/edge/`.
"""

from collections import Counter
from typing import Any

from scenarios.limits.registry import Limits
from scenarios.scenario.edge.nginx import OWN_CONNECTIONS, NginxSettings
from scenarios.scenario.model import Scenario
from scenarios.simulator.clients import ClientTable
from scenarios.simulator.costs import Costs
from scenarios.simulator.edge.balancer import has_homes, homes
from scenarios.simulator.edge.limiter import Limiter
from scenarios.simulator.edge.tls import TlsSessions
from scenarios.simulator.loop import at
from scenarios.simulator.loop.edge.upstream import LONG_AGO_S
from scenarios.simulator.loop.world import Tables, World


def nginx_settings(scenario: Scenario) -> NginxSettings:
    """The settings that the proxy follows: those of another proxy change nothing that the model has."""
    return scenario.edge.nginx_in_force if scenario.edge.proxy == "nginx" else NginxSettings()


class Edge:
    """One proxy, at work on the arrays of a run. seconds: how long the run is, at the most."""

    def __init__(
        self,
        scenario: Scenario,
        table: ClientTable,
        costs: Costs,
        world: World,
        tables: Tables,
        *,
        seconds: int,
    ) -> None:
        self.refused: Counter[int] = Counter()
        """Requests that a limit refused, by second of the model."""
        self.limits = Limits()
        self._scenario, self._table = scenario, table
        self._s, self._x, self._pods, self._tables = world.s, world.x, world.pods, tables
        self._settings = settings = nginx_settings(scenario)
        self._tls = TlsSessions(scenario, costs, world.s, world.x, tables)
        self._limiter = Limiter.of(self.limits, table, scenario, before=None)
        s = world.s
        s[at.WORKERS] = settings.workers if settings.worker_connections else 0
        s[at.MAX_FAILS], s[at.FAIL_TIMEOUT_S] = settings.max_fails, settings.fail_timeout_s
        conditions = settings.proxy_next_upstream
        s[at.AFTER_ERROR] = "error" in conditions
        s[at.AFTER_BUSY], s[at.AFTER_TOO_MANY] = "http_503" in conditions, "http_429" in conditions
        s[at.JUDGES] = judges(settings)
        if settings.proxy_read_timeout_s < seconds:
            s[at.READ_TIMEOUT] = round(settings.proxy_read_timeout_s * at.SECOND)
        s[at.PING_INTERVAL] = round(scenario.gateway.ping_interval_s * at.SECOND)

    # -- orders -------------------------------------------------------------------------------------

    def route(self, pods: list[int]) -> None:
        """From now on newcomers go to these pods."""
        balance = self._scenario.gateway.balance
        if pods and has_homes(balance):
            addresses, seed = self._table.addresses, self._scenario.fleet.seed
            self._tables[at.HOME][:] = homes(balance, addresses, pods, seed)

    def reload(self, limits: Limits) -> Any:
        """It is reloaded with these limits, and keeps of its buckets what its kind of proxy keeps.

        Returns the array of limits for the loop.
        """
        self._tls.reload()
        return self._begin(limits, self._limiter)

    def start_over(self) -> Any:
        """It has ended, and has nothing of what it had; returns the array of limits for the loop."""
        self._tls.start_over()
        return self._begin(self.limits, None)

    def rotate_certificate(self) -> None:
        """It is to have another certificate, once it has been reloaded."""
        self._tls.forget()

    def _begin(self, limits: Limits, before: Limiter | None) -> Any:
        self.limits = limits
        self._limiter = Limiter.of(limits, self._table, self._scenario, before=before)
        s, tables = self._s, self._tables
        self._pods["fails"] = 0
        self._pods["accessed"] = self._pods["checked"] = LONG_AGO_S
        if s[at.WORKERS]:
            # Old workers keep what they have, and new ones have nothing.
            tables[at.WORKER_FREE][:] = self._settings.worker_connections - OWN_CONNECTIONS
            tables[at.WORKER_OF][:] = 0
        array = self._limiter.enter(s)
        s[at.REMEMBERS] = bool(s[at.IN_FLIGHT] or s[at.WORKERS] or s[at.JUDGES])
        return array

    # -- counts -------------------------------------------------------------------------------------

    def count_refused(self, second: int) -> None:
        """Notes what its limits have refused in a second that is over."""
        self.refused[second] += int(self._s[at.REFUSED_AT_EDGE])
        self._s[at.REFUSED_AT_EDGE] = 0

    def take_handshakes(self) -> dict[str, int]:
        """TLS handshakes since the last call, by kind."""
        return self._tls.take_counts()

    def take_tls_cpu_s(self) -> float:
        """CPU of TLS handshakes since the last call."""
        taken = float(self._x[at.TLS_CPU]) / at.SECOND
        self._x[at.TLS_CPU] = 0.0
        return taken


def judges(settings: NginxSettings) -> bool:
    """Whether the proxy takes note of pods that fail."""
    return settings.max_fails > 0 or bool(
        {"error", "http_503", "http_429"} & set(settings.proxy_next_upstream)
    )
