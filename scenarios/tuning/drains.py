"""The shortest window in which clients can be drained safely, by simulation and bisection."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from math import ceil

from msgspec import Struct
from msgspec.structs import replace

from reports.tuning.drain import Drained, DrainWindows, Window, drained
from reports.tuning.result import Constraints
from scenarios.events.drain import Drain
from scenarios.proxies.added_lines import lines_more
from scenarios.scenario.model import Scenario
from scenarios.scenario.stability import edge_rules
from scenarios.simulator.costs import Costs
from scenarios.tuning.evaluate import Task, storm

AT_S = 6.0
"""When the drain begins, in a scenario without a fault."""
FIRST_S = 4.0
"""The first window above 0 that is tried; each next one is twice as long."""
EXACT = 0.05
"""How near the shortest safe window is found, as a share of it; a second at the least."""
PRE_STOP_S = 5
"""Time for a pod to leave the endpoints before its drain begins."""
MARGIN_S = 10
"""Between the end of the drain and what closes the rest at once."""


class Found(Struct, frozen=True):
    """What a bisection came to."""

    window_s: float | None
    """The shortest window known to be safe; None where the longest is not."""
    too_short_s: float | None
    """The longest one known not to be; None where 0 is safe."""


def shortest(is_safe: Callable[[float], bool], longest_s: float) -> Found:
    """Bisects whole seconds from 0 to the longest; every longer window is taken to be safer."""
    if is_safe(0.0):
        return Found(0.0, None)
    low, high = 0.0, min(FIRST_S, longest_s)
    while not is_safe(high):
        if high >= longest_s:
            return Found(None, high)
        low, high = high, min(2 * high, longest_s)
    while high - low > max(1.0, EXACT * high):
        middle = float(round((low + high) / 2))
        low, high = (low, middle) if is_safe(middle) else (middle, high)
    return Found(high, low)


def with_drain(scenario: Scenario, drain: Drain) -> Scenario:
    """The scenario with this drain for its faults and mitigations, long enough to recover from it."""
    phases = scenario.phases
    settle_s = phases.duration_s - int(scenario.trigger_s or 0)
    conditions = tuple(event for event in scenario.event if event.kind == "condition")
    return replace(
        scenario,
        event=(*conditions, drain),
        phases=replace(phases, duration_s=ceil(drain.at_s + drain.window_s) + settle_s, rescue_at_s=0),
    )


def drains(scenario: Scenario) -> Iterator[tuple[str, int, Drain]]:
    """(what is drained, how many clients that are, the drain) of each kind of drain, without a window."""
    at_s = scenario.trigger_s or AT_S
    # As the scenario drains itself, if it does.
    own = next((event for event in scenario.event if isinstance(event, Drain)), Drain(at_s=at_s, window_s=0))
    every = Drain(at_s=at_s, window_s=0, close_code=own.close_code)
    pods = scenario.gateway.pods
    yield "all pods", scenario.fleet.clients, every
    if pods > 1:
        yield (
            "one pod that leaves",
            -(-scenario.fleet.clients // pods),
            replace(every, pods=(0,), leave_upstream=True),
        )


class DrainSearch:
    """Searches the shortest safe window of each kind of drain. played(): called after each simulation."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        costs: Costs,
        constraints: Constraints,
        seeds: Sequence[int],
        longest_s: float,
        executor: Executor | None = None,
        played: Callable[[], None] = lambda: None,
    ) -> None:
        self._scenario, self._costs = scenario, costs
        self._constraints, self._seeds, self._longest_s = constraints, seeds, longest_s
        self._executor, self._played = executor, played

    def run(self) -> DrainWindows:
        """Simulates as many drains as it takes."""
        scenario = self._scenario
        windows = tuple(self._window(*kind) for kind in drains(scenario))
        return DrainWindows(
            scenario=scenario.name,
            clients=scenario.fleet.clients,
            pods=scenario.gateway.pods,
            constraints=self._constraints,
            seeds=len(self._seeds),
            longest_s=self._longest_s,
            windows=windows,
            limits=tuple(limit_sentences(scenario, windows[0].window_s)),
            settings=settings(scenario, windows[0].window_s),
        )

    def _window(self, name: str, clients: int, drain: Drain) -> Window:
        outcomes: dict[float, list[Drained]] = {}

        def violated(window_s: float) -> tuple[str, ...]:
            each = (one.violated(self._constraints) for one in outcomes[window_s])
            return next(filter(None, each), ())

        def is_safe(window_s: float) -> bool:
            outcomes[window_s] = list(self._play(replace(drain, window_s=window_s)))
            return not violated(window_s)

        found = shortest(is_safe, self._longest_s)
        safe = [] if found.window_s is None else outcomes[found.window_s]
        served = [one.outcome.availability for one in safe if one.outcome.availability is not None]
        return Window(
            drained=name,
            clients=clients,
            window_s=found.window_s,
            availability=min(served, default=None),
            too_short_s=found.too_short_s,
            violated=() if found.too_short_s is None else violated(found.too_short_s),
        )

    def _play(self, drain: Drain) -> Iterator[Drained]:
        """The drain with every seed, up to the first one that is not safe."""
        tasks = [
            Task(
                candidate="now",
                scenario=with_drain(self._scenario, drain),
                trigger="drain",
                seed=seed,
                costs=self._costs,
            )
            for seed in self._seeds
        ]
        for one in (self._executor.map if self._executor else map)(play_drain, tasks):
            self._played()
            yield one
            if one.violated(self._constraints):
                return


def play_drain(task: Task) -> Drained:
    """Simulates one drain."""
    return drained(storm(task), seed=task.seed, until_s=task.scenario.phases.duration_s)


def limit_sentences(scenario: Scenario, window_s: float | None) -> Iterator[str]:
    """Each limit at the proxy, with the rate at which the largest group behind one IP reconnects."""
    per_ip = scenario.fleet.clients_per_ip
    largest = per_ip if isinstance(per_ip, int) else max(part.clients_per_ip for part in per_ip)
    for rule in edge_rules(scenario):
        each = largest if rule.per_address else scenario.fleet.clients
        who = "per address" if rule.per_address else "for all clients"
        asked = f"; the largest group behind one IP has {largest:,} clients" if rule.per_address else ""
        if window_s:
            asked += f" and reconnects at {each / window_s:.3g} per second"
        yield f"limit {rule.name}: {rule.rate} {who}, burst {rule.burst}{asked}"


_BY_PROXY = {
    "nginx": """\
nginx, which closes all connections of an old worker at once:

    # no worker_shutdown_timeout: the gateway closes the sessions""",
    "haproxy": """\
HAProxy, which closes at once what is left of an old worker:

{hard_stop}""",
    "envoy": """\
Envoy, which closes WebSockets at once when its old process ends:

    envoy --drain-time-s {window_s} --parent-shutdown-time-s {rest_s}""",
}

_KUBERNETES = """\
Kubernetes, where pods that are being replaced drain at the same time; the gateway closes its sessions over
{window_s} s after SIGTERM. The grace period is the sleep of {pre_stop_s} s, in which the pod leaves the
endpoints, the window, and {margin_s} s for what is left. With a preStop of your own,
put its time in place of the sleep:

    terminationGracePeriodSeconds: {grace_s}
    lifecycle:
      preStop:
        exec:
          command: ["sleep", "{pre_stop_s}"]"""


def settings(scenario: Scenario, window_s: float | None) -> str:
    """The window as configuration of the proxy in use and of Kubernetes; empty where there is none."""
    if window_s is None:
        return ""
    window = ceil(window_s)
    values = {
        "window_s": window,
        "rest_s": window + MARGIN_S,
        "grace_s": PRE_STOP_S + window + MARGIN_S,
        "pre_stop_s": PRE_STOP_S,
        "margin_s": MARGIN_S,
        "hard_stop": _hard_stop(scenario, window + MARGIN_S),
    }
    return "\n\n".join(part.format(**values) for part in (_BY_PROXY[scenario.edge.proxy], _KUBERNETES))


def _hard_stop(scenario: Scenario, rest_s: int) -> str:
    """HAProxy's lines for it, as a run would have them."""

    def with_(seconds: float) -> Scenario:
        edge = scenario.edge
        haproxy = replace(edge.haproxy, hard_stop_after_s=seconds)
        return replace(scenario, edge=replace(edge, proxy="haproxy", limit="none", haproxy=haproxy))

    return textwrap.indent(lines_more(with_(0.0), with_(rest_s)), "    ")
