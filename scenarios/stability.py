"""Will it storm? The numbers that decide, from a scenario alone.

These groups, not absolute counts, are what a small bench shares with production: few clients with costly
handshakes behave as many clients with cheap ones do.

With N clients, capacity P in pod-cores, c CPU-seconds per handshake, f per delivered tick, R ticks a
second, T the connect time-out, D̄ the mean delay before try n, w the width of the first retry window, τ the
staleness that a client tolerates:

- ρ = N·f·R / P, the share of the capacity that the steady feed takes
- t* = (c/(f·R)) · ln(1/(1-ρ)), the shortest time in which all can be let back in
- S1 = N·c / ((T + D̄)·P·(1-ρ)): above 1, work for clients that gave up crowds out the rest
- S2 = (N·c/P) / (τ + w·(1-ρ)): above 1, the first ones back go stale before the last ones are in
- the per-address limit bites only where k/(D̄ + T) > r, with k clients behind one address
"""

import math
import random
import statistics
from itertools import islice

from msgspec import Struct

from scenarios.limits import limit
from scenarios.model import Scenario
from scenarios.policies import policy

TICK_CPU_S = 70e-6
"""CPU-seconds of a python-socketio pod per delivered tick; each run's summary has what it measured."""

_TRIES = 12
_SAMPLES = 500


class Stability(Struct, frozen=True, kw_only=True):
    """The stability numbers of one scenario."""

    clients: int
    pods: int
    capacity_cores: float
    handshake_cpu_s: float
    utilisation: float
    """ρ"""
    readmission_s: float
    """t*; infinite where the feed alone fills the capacity."""
    s1: tuple[float, ...]
    """S1 with the mean delay before try 0, 1, 2, …"""
    s2: float
    """Infinite without a wait; 0 where no watchdog runs."""
    calm_from_try: int | None
    """The first try from which S1 stays at 1 or below; None where that never comes."""
    limit_bites_from_clients_per_address: float | None
    """k above which the limit refuses anybody at the first retry; None without a limit."""


def stability(scenario: Scenario, tick_cpu_s: float = TICK_CPU_S) -> Stability:
    """The stability numbers of `scenario`, given what one delivered tick costs a pod."""
    fleet, gateway, feed = scenario.fleet, scenario.gateway, scenario.feed
    # `burn` shares real cores; `reserve` only occupies each pod's loop, so every pod counts whole.
    capacity = float(gateway.pods if gateway.cpu == "reserve" else min(gateway.pods, gateway.cores))
    cost = gateway.handshake_cpu_ms / 1000
    utilisation = fleet.clients * tick_cpu_s * feed.rate_hz / capacity
    spare = max(0.0, 1 - utilisation)
    mean, width = _delays(scenario)
    work = fleet.clients * cost

    s1 = tuple(_ratio(work, (fleet.connect_timeout_s + delay) * capacity * spare) for delay in mean)
    s2 = _ratio(work / capacity, fleet.stale_after_s + width * spare) if fleet.stale_after_s else 0.0
    readmission = _readmission(work / capacity, utilisation)
    rule = limit(scenario.edge.limit)
    return Stability(
        clients=fleet.clients,
        pods=gateway.pods,
        capacity_cores=capacity,
        handshake_cpu_s=cost,
        utilisation=utilisation,
        readmission_s=readmission,
        s1=s1,
        s2=s2,
        calm_from_try=_calm_from(s1),
        limit_bites_from_clients_per_address=(
            rule.rate_per_s * (mean[0] + fleet.connect_timeout_s) if rule else None
        ),
    )


def _readmission(work_s: float, utilisation: float) -> float:
    """t* = (c/(f·R))·ln(1/(1-ρ)), which is N·c/P times ln(1/(1-ρ))/ρ; that factor is 1 without a feed."""
    if utilisation >= 1:
        return math.inf
    return work_s * (-math.log1p(-utilisation) / utilisation if utilisation else 1.0)


def _delays(scenario: Scenario) -> tuple[list[float], float]:
    """Mean delay before each try in seconds, and the width of the first try's window."""
    chosen = policy(scenario.fleet.policy)
    rng = random.Random(scenario.fleet.seed)  # noqa: S311
    draws = [list(islice(chosen.delays(rng), _TRIES)) for _ in range(_SAMPLES)]
    first = [draw[0] for draw in draws]
    return [statistics.fmean(column) for column in zip(*draws, strict=True)], max(first) - min(first)


def _calm_from(s1: tuple[float, ...]) -> int | None:
    for n in range(len(s1)):
        if all(value <= 1 for value in s1[n:]):
            return n
    return None


def _ratio(numerator: float, denominator: float) -> float:
    if denominator > 0:
        return numerator / denominator
    return math.inf if numerator > 0 else 0.0
