"""How large the parts of a storm in a cluster have to be: the worksheet of docs/kubernetes.md."""

from collections.abc import Sequence
from math import ceil

from msgspec import Struct

from scenarios.events.feed import FeedBurst
from scenarios.host.machine import SPARE_DESCRIPTORS
from scenarios.scenario.model import Scenario
from scenarios.scenario.timeline import places_needed

MOST_LOAD = 0.5
"""Share of a core that a worker may use; above it, its lateness shows in the latencies."""
WORKER_DESCRIPTORS = 20_000
"""Open files of a worker that every container runtime allows."""
PYTHON_MB = 100.0
"""Of a process without clients, be it a worker or a host agent: Python and its libraries."""
GATEWAY_MB, GATEWAY_KB_PER_CLIENT = 64.0, 35.0
"""Of a pod of the built-in stub: at rest, and for each client; see docs/kubernetes.md."""
NGINX_MB, NGINX_KB_PER_CLIENT = 10.0, 25.0
"""Of nginx, likewise."""
_STEP_MIB = 64
_MIB = 2**20


class Figures(Struct, frozen=True, kw_only=True):
    """What one generator process does with a core, as `bench` prints it; docs/generator.md has these."""

    ticks_per_cpu_s: float = 57_804.0
    connects_per_cpu_s: float = 4_792.0
    kb_per_client: float = 6.7


class Size(Struct, frozen=True, kw_only=True):
    """Numbers and sizes of all parts, enough for every arm."""

    clients: int
    ticks_per_s: float
    """At the peak, of all clients."""
    attempts_per_s: float
    """At the peak, of all clients."""
    cores: float
    """CPU-seconds per second that the generator takes at the peak."""
    workers: int
    enough_workers: int
    """As many as can be on time, and have open files for all clients."""
    worker_mib: int
    gateways: int
    """Pods at the peak of the timeline."""
    gateway_milli_cpu: int
    """Of each pod, in thousandths of a core."""
    gateway_mib: int
    nginx_mib: int


def size_of(
    every: Sequence[Scenario],
    figures: Figures,
    *,
    attempts_per_s: float | None = None,
    workers: int | None = None,
) -> Size:
    """The size for all arms of a scenario.

    attempts_per_s: at the peak; None: every client attempts once in the same second, or as many as
    `fleet.max_attempts_per_s` lets through. workers: their number, where it is not to be computed.
    """
    clients = max(arm.fleet.clients for arm in every)
    ticks = max(_ticks_per_s(arm) for arm in every)
    attempts = attempts_per_s or float(max(_attempts_per_s(arm) for arm in every))
    cores = ticks / figures.ticks_per_cpu_s + attempts / figures.connects_per_cpu_s
    enough = max(ceil(cores / MOST_LOAD), ceil(clients / (WORKER_DESCRIPTORS - SPARE_DESCRIPTORS)), 1)
    count = workers or enough
    per_pod = max(arm.fleet.clients / arm.gateway.pods for arm in every)
    return Size(
        clients=clients,
        ticks_per_s=ticks,
        attempts_per_s=attempts,
        cores=cores,
        workers=count,
        enough_workers=enough,
        worker_mib=_mib(PYTHON_MB, figures.kb_per_client, clients / count),
        gateways=max(places_needed(arm) for arm in every),
        gateway_milli_cpu=max(ceil(1000 * arm.gateway.cores / arm.gateway.pods) for arm in every),
        gateway_mib=_mib(PYTHON_MB + GATEWAY_MB, GATEWAY_KB_PER_CLIENT, per_pod),
        nginx_mib=_mib(PYTHON_MB + NGINX_MB, NGINX_KB_PER_CLIENT, clients),
    )


def _ticks_per_s(scenario: Scenario) -> float:
    bursts = [event.factor for event in scenario.event if isinstance(event, FeedBurst) and event.enabled]
    return scenario.fleet.clients * scenario.feed.rate_hz * max([1.0, *bursts])


def _attempts_per_s(scenario: Scenario) -> int:
    fleet = scenario.fleet
    return min(fleet.clients, fleet.max_attempts_per_s or fleet.clients)


def _mib(at_rest_mb: float, kb_per_client: float, clients: float) -> int:
    """Memory in MiB, rounded up to a whole step."""
    used_bytes = at_rest_mb * 1e6 + kb_per_client * 1e3 * clients
    return ceil(used_bytes / _MIB / _STEP_MIB) * _STEP_MIB
