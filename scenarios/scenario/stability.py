"""Will it storm? The numbers that decide, from a scenario alone.

These groups, not absolute counts, are what a small bench shares with production: few clients with costly
handshakes behave as many clients with cheap ones do.

With N clients of which the first fault drops the share s, capacity P in pod-cores, c CPU-seconds per
handshake, f per delivered tick, R ticks a second, T the connect time-out, D̄ the mean delay before attempt n,
w the width of the first retry window, τ the staleness that a client tolerates:

- ρ = N·f·R / P, the share of the capacity that the steady feed takes
- t* = (c/(f·R)) · ln((1-(1-s)·ρ)/(1-ρ)), the shortest time in which all can be let back in; s·N·c/P as f → 0
- S1 = s·N·c / ((T + D̄)·P·(1-ρ)): above 1, work for clients that gave up crowds out the rest
- S2 = (s·N·c/P) / (τ + w·(1-ρ)): above 1, the first ones back go stale before the last ones are in
- a limit per address bites only where k·q > b + 1 + r·(D̄ + T), with a burst b and k clients behind one
  address, each of which makes q requests for one connection that the limit counts
- a window of n connections in w seconds bites only where k > n·max(1, (D̄ + T)/w)
- a limit for all together lets in 0.5·P·(1-ρ)/c a second, half of what there is room for

If a policy gives up, only clients that still make attempt n count for its S1; an attempt that no client makes
has S1 = 0. In a mixed fleet, S1 is the sum of what each group adds, w the width over all groups, and τ that
of the group that tolerates least. Groups that no gateway serves are left out, but for the limits they hit.
"""

import functools
import math
import random
import statistics
from collections.abc import Iterator
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from scenarios.events.drop import DropShare
from scenarios.limits.leaky_bucket import EdgeRule
from scenarios.limits.registry import Limits, limit
from scenarios.policies.following import Policy, delays_if_all_fail
from scenarios.policies.registry import policy
from scenarios.policies.user_defined import UserDefined
from scenarios.scenario.model import Part, Scenario

TICK_CPU_S = 70e-6
"""CPU-seconds that python-socketio takes for a delivered tick; each run's summary has what it measured."""

SPARE_SHARE = 0.5
"""How much of the capacity that is left a limit for all together hands out."""

_REQUESTS_PER_CONNECTION = {"websocket": 1, "polling-upgrade": 5}
_ATTEMPTS = 12
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
    """S1 with the mean delay before attempt 0, 1, 2, …"""
    s2: float
    """Infinite without a wait; 0 where no watchdog runs."""
    calm_from_attempt: int | None
    """The first attempt from which S1 stays at 1 or below; None where that never comes."""
    limit_refuses_above_clients_per_ip: float | None
    """k above which the limit refuses anybody at the first retry; None without a limit per address."""
    returning: int
    """s·N"""
    global_rate_per_s: float | None
    """New connections per second that a limit for all together lets in; None without one."""
    limits_known: bool = True
    """False where they are those of an nginx configuration of the user's own."""


class _Load(Struct, frozen=True):
    """What the gateway can do, and how much of that its feed takes."""

    capacity: float
    utilisation: float

    @property
    def spare(self) -> float:
        # A feed that takes all of it leaves nothing, whatever binary fractions leave.
        return max(0.0, round(1 - self.utilisation, 9))


class _Drawn(Struct, frozen=True, kw_only=True):
    """The attempts of the clients of a group, drawn from their policy; delays are in seconds."""

    part: Part
    attempts: tuple[tuple[float, float], ...]
    """For each attempt the share of clients that make it, and their mean delay; 0 if nobody makes it."""
    first_s: float
    last_s: float
    """The window of the first attempts."""


def stability(
    scenario: Scenario, tick_cpu_s: float = TICK_CPU_S, *, pod_cores: float | None = None
) -> Stability:
    """The stability numbers of `scenario`; a delivered tick costs `tick_cpu_s` and what the scenario adds.

    pod_cores: what a CPU quota leaves to each pod, in cores; None where pods share `gateway.cores`.
    """
    fleet, gateway = scenario.fleet, scenario.gateway
    load = _load(scenario, tick_cpu_s, pod_cores)
    cost = gateway.handshake_cpu_ms / 1000
    share = _dropped_share(scenario)
    groups = [_drawn(part) for part in fleet.parts if part.share]
    served = [group for group in groups if group.part.is_served]
    clients = _served(scenario)
    work = clients * share * cost
    whole = sum(group.part.share for group in served)

    s1 = tuple(
        sum(
            _ratio(
                work * group.part.share / whole * made,
                (group.part.fleet.connect_timeout_s + delay) * load.capacity * load.spare,
            )
            for group in served
            for made, delay in (group.attempts[n],)
        )
        for n in range(_ATTEMPTS)
    )
    first = sum(group.part.share / whole * group.attempts[0][0] for group in served)
    watchdogs_s = [each for group in served if (each := group.part.fleet.stale_after_s)]
    width = max(group.last_s for group in served) - min(group.first_s for group in served)
    window = min(watchdogs_s, default=0.0) + width * load.spare
    limits = edge_limits(scenario, tick_cpu_s, pod_cores=pod_cores)
    rules = () if limits.dry_run else limits.rules
    return Stability(
        clients=clients,
        pods=gateway.pods,
        capacity_cores=load.capacity,
        handshake_cpu_s=cost,
        utilisation=load.utilisation,
        readmission_s=_readmission(work / load.capacity, load.utilisation, share),
        s1=s1,
        s2=_ratio(work * first / load.capacity, window) if watchdogs_s else 0.0,
        calm_from_attempt=_calm_from(s1),
        limit_refuses_above_clients_per_ip=min(
            () if limits.dry_run else _most_clients_per_ip(limits, groups),
            default=None,
        ),
        returning=round(clients * share),
        global_rate_per_s=next(
            (rule.rate.millis / 1000 for rule in rules if rule.key == "new-together"), None
        ),
        limits_known=not scenario.edge.nginx_conf,
    )


def admissible_rate_per_s(
    scenario: Scenario, tick_cpu_s: float = TICK_CPU_S, *, pod_cores: float | None = None
) -> float:
    """0.5·P·(1-ρ)/c: handshakes per second that leave the gateway half of what its feed does not take.

    Infinite where handshakes are free; 0 where the feed alone fills the capacity.
    """
    load = _load(scenario, tick_cpu_s, pod_cores)
    return _ratio(SPARE_SHARE * load.capacity * load.spare, scenario.gateway.handshake_cpu_ms / 1000)


def edge_limits(
    scenario: Scenario, tick_cpu_s: float = TICK_CPU_S, *, pod_cores: float | None = None
) -> Limits:
    """The scenario's limit, with the rates that the scenario decides on."""
    limits = limit(scenario.edge.limit)
    rules = tuple(
        replace(rule, rate_per_s=admissible_rate_per_s(scenario, tick_cpu_s, pod_cores=pod_cores))
        if rule.rate_per_s is None
        else rule
        for rule in limits.rules
    )
    return replace(limits, rules=rules)


def edge_rules(
    scenario: Scenario, tick_cpu_s: float = TICK_CPU_S, *, pod_cores: float | None = None
) -> tuple[EdgeRule, ...]:
    """The rates of the scenario's limit at the proxy."""
    return edge_limits(scenario, tick_cpu_s, pod_cores=pod_cores).rules


def _load(scenario: Scenario, tick_cpu_s: float, pod_cores: float | None) -> _Load:
    gateway = scenario.gateway
    if gateway.cpu == "occupy":
        # It only occupies each pod's loop, so every pod counts whole.
        capacity = float(gateway.pods)
    elif pod_cores is not None:
        # A pod has one loop, and no use for more than one core.
        capacity = gateway.pods * min(1.0, pod_cores)
    else:
        capacity = float(min(gateway.pods, gateway.cores))
    tick_cpu_s += gateway.tick_cpu_us * 1e-6
    return _Load(capacity, _served(scenario) * tick_cpu_s * scenario.feed.rate_hz / capacity)


def _served(scenario: Scenario) -> int:
    """The clients that a gateway of today lets join."""
    fleet = scenario.fleet
    return round(fleet.clients * sum(part.share for part in fleet.parts if part.is_served))


def _dropped_share(scenario: Scenario) -> float:
    """Share of the clients that the first fault drops; all of them where that is not known."""
    faults = [event for event in scenario.event if event.kind == "fault" and event.enabled]
    first = min(faults, key=lambda event: event.at_s, default=None)
    return first.share if isinstance(first, DropShare) else 1.0


def _readmission(work_s: float, utilisation: float, share: float) -> float:
    """t* = (c/(f·R))·ln((1-(1-s)·ρ)/(1-ρ)), as s·N·c/P times a factor that is 1 without a feed."""
    if utilisation >= 1:
        return math.inf
    returning = utilisation * share
    return work_s * (
        -math.log1p(-returning / (1 - utilisation + returning)) / returning if returning else 1.0
    )


def _most_clients_per_ip(limits: Limits, groups: list[_Drawn]) -> Iterator[float]:
    """Clients behind one address above which each of the rules refuses anybody, by rule and group."""
    for group in groups:
        if not group.attempts[0][0]:
            continue
        fleet, mean_delay_s = group.part.fleet, group.attempts[0][1]
        between_s = mean_delay_s + fleet.connect_timeout_s
        for rule in limits.rules:
            requests = _REQUESTS_PER_CONNECTION[fleet.transport] if rule.all_requests else 1
            if rule.per_address:
                yield (rule.burst + 1 + rule.rate.millis / 1000 * between_s) / requests
        for window in limits.windows:
            yield window.connections * max(1.0, between_s / window.window_s)
        yield from (float(rule.connections) for rule in limits.in_flight)


def _drawn(part: Part) -> _Drawn:
    chosen = policy(part.fleet.policy)
    if isinstance(chosen, UserDefined):
        # A function of the user's own may be another one by the next time.
        attempts, first_s, last_s = _attempts(chosen, part.fleet.seed)
    else:
        attempts, first_s, last_s = _attempts_once(chosen, part.fleet.seed)  # type: ignore[arg-type] # is a frozen struct
    return _Drawn(part=part, attempts=attempts, first_s=first_s, last_s=last_s)


def _attempts(chosen: Policy, seed: int) -> tuple[tuple[tuple[float, float], ...], float, float]:
    """(attempts, first_s, last_s) of `_Drawn`."""
    rng = random.Random(seed)  # noqa: S311
    draws = [list(islice(delays_if_all_fail(chosen, rng), _ATTEMPTS)) for _ in range(_SAMPLES)]
    made = [[draw[n] for draw in draws if len(draw) > n] for n in range(_ATTEMPTS)]
    attempts = tuple((len(column) / _SAMPLES, statistics.fmean(column) if column else 0.0) for column in made)
    return attempts, min(made[0], default=0.0), max(made[0], default=0.0)


_attempts_once = functools.lru_cache(maxsize=256)(_attempts)
"""Scenarios differ in many ways, and in few policies; to draw one takes 50 ms."""


def _calm_from(s1: tuple[float, ...]) -> int | None:
    for n in range(len(s1)):
        if all(value <= 1 for value in s1[n:]):
            return n
    return None


def _ratio(numerator: float, denominator: float) -> float:
    if denominator > 0:
        return numerator / denominator
    return math.inf if numerator > 0 else 0.0
