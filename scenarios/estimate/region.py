"""Where an estimate may be trusted: what its chain does not know, and which ranges have been compared.

What is not covered gives no number at all. What lies outside of the ranges gives a number, and is said.
`tests/support/estimate_cells.py` draws its storms from these ranges, and the comparison on
docs/estimate.md is of those.
"""

import random
from collections.abc import Callable, Iterator

from msgspec import Struct

from scenarios.estimate.pod import Pod
from scenarios.events.drop import DropAll, DropShare
from scenarios.limits.registry import limit
from scenarios.policies.following import FollowedPolicy
from scenarios.policies.outcome import OutcomeKind
from scenarios.policies.registry import policy
from scenarios.scenario.edge.edge import Edge
from scenarios.scenario.fleet.groups import address_kinds
from scenarios.scenario.model import Scenario
from scenarios.scenario.stability import Stability

_MOST_UTILISATION = 0.9
_MOST_SILENCE = 0.5
"""Of the watchdog's patience: how long a busy pod may be silent between two ticks."""
_ENDS = frozenset({OutcomeKind.CLOSED, OutcomeKind.TIMEOUT})
"""How sessions and attempts end that the chain knows."""


class Range(Struct, frozen=True):
    """Values that have been compared with simulations."""

    name: str
    value: Callable[[Pod, Stability], float]
    low: float
    high: float


CHECKED: tuple[Range, ...] = (
    Range("clients per pod", lambda pod, _: pod.clients, 25, 1_400),
    Range("share of the clients that is disconnected", lambda pod, _: pod.returning / pod.clients, 0.4, 1.0),
    Range("S1 of the first attempt", lambda _, numbers: numbers.s1[0], 0.15, 5.5),
    Range("\u03c1", lambda _, numbers: numbers.utilisation, 0.025, 0.5),
    Range("gateway.handshake_cpu_ms", lambda _, numbers: 1000 * numbers.handshake_cpu_s, 2.0, 100.0),
    Range("gateway.backlog", lambda pod, _: pod.backlog, 8, 2_048),
    Range("fleet.connect_timeout_s", lambda pod, _: pod.timeout_s, 0.7, 6.0),
    Range("feed.rate_hz", lambda pod, _: pod.rate_hz, 2.0, 10.0),
)
"""The ranges."""


def not_covered(scenario: Scenario) -> Iterator[str]:
    """What in the scenario the chain does not have, each by the name of its key."""
    for part in (_of_events, _of_policy, _of_fleet, _of_gateway, _of_limit, _of_edge):
        yield from part(scenario)


def _of_events(scenario: Scenario) -> Iterator[str]:
    events = [(place, event) for place, event in enumerate(scenario.event) if event.enabled]
    drops = [event for _, event in events if isinstance(event, DropAll | DropShare)]
    if len(drops) != 1:
        yield f"event: {len(drops)} drops of clients, and the estimate is of one"
    for place, event in events:
        if event not in drops:
            yield f"event.{place}: {event.__struct_config__.tag}"


def _of_fleet(scenario: Scenario) -> Iterator[str]:
    fleet = scenario.fleet
    if fleet.group:
        yield "fleet.group: a fleet of several kinds of clients"
    if fleet.transport != "websocket":
        yield f"fleet.transport: {fleet.transport}"
    if fleet.stale_after_s and fleet.stale_by != "gap":
        yield f"fleet.stale_by: {fleet.stale_by}: clients that a late feed makes leave once more"
    if fleet.max_attempts_per_s:
        yield "fleet.max_attempts_per_s: a cap on attempts"


def _of_gateway(scenario: Scenario) -> Iterator[str]:
    gateway = scenario.gateway
    if scenario.target.url:
        yield "target.url: nobody knows what an external gateway costs"
    if gateway.command:
        yield "gateway.command: the costs of your own gateway: expected --costs FILE"
    if gateway.cancel_gone:
        yield "gateway.cancel_gone: pods that forget clients that have left"
    if gateway.balance in {"hash", "ip_hash"}:
        yield f"gateway.balance: {gateway.balance}: pods with unequal shares of the clients"
    if gateway.token_lifetime_s:
        yield "gateway.token_lifetime_s: pods that refuse clients"
    if scenario.mesh.sidecar != "none":
        yield "mesh.sidecar: sidecars"


def _of_edge(scenario: Scenario) -> Iterator[str]:
    bare = Edge()
    for key in ("defaults", "nginx_conf", "tls", "nginx", "haproxy", "envoy"):
        if getattr(scenario.edge, key) != getattr(bare, key):
            yield f"edge.{key}"


def _of_policy(scenario: Scenario) -> Iterator[str]:
    spec = scenario.fleet.policy
    name = spec if isinstance(spec, str) else spec["name"]
    chosen = policy(spec)
    if FollowedPolicy(chosen).course(random.Random(0)).is_told():  # noqa: S311 - to ask once
        yield f"fleet.policy: {name} acts on outcomes, or has a throttle"
    elif chosen.stops_on & _ENDS:
        yield f"fleet.policy: {name} stops for good after a time-out or a close"


def not_covered_numbers(scenario: Scenario, pod: Pod, numbers: Stability) -> Iterator[str]:
    """The same for what follows from the numbers: other things than dead work decide there."""
    if numbers.utilisation > _MOST_UTILISATION:
        yield f"\u03c1 = {numbers.utilisation:.2f}: the feed alone fills the pods"
    patience_s = scenario.fleet.stale_after_s
    silence_s = silence(pod)
    if patience_s and silence_s > _MOST_SILENCE * patience_s:
        yield (
            f"fleet.stale_after_s: a busy pod is silent for {silence_s:.1f} s between two ticks, and clients"
            f" leave after {patience_s:g} s"
        )


def _of_limit(scenario: Scenario) -> Iterator[str]:
    limits = limit(scenario.edge.limit)
    if limits.admission != limit("none").admission:
        yield "edge.limit: pods that turn clients away"
    if limits.dry_run:
        return
    most = max(size for _, size in address_kinds(scenario.fleet.clients_per_ip))
    counted = [rule.connections for rule in limits.windows] + [rule.connections for rule in limits.in_flight]
    if any(most > connections for connections in counted):
        yield "edge.limit: connections that are counted, and no rate"
    if any(rule.token for rule in limits.rules):
        yield "edge.limit: a bucket for each token"
    if any(not rule.nodelay for rule in limits.rules):
        yield "edge.limit: requests that the proxy holds back"
    if limits.rules and OutcomeKind.HTTP_STATUS in policy(scenario.fleet.policy).stops_on:
        yield "fleet.policy: stops for good once a limit has refused it"


def silence(pod: Pod) -> float:
    """(turns·(u + j) + N·f)/speed: seconds between two ticks of a pod whose every turn takes a connection."""
    work_s = pod.turns_per_tick * (pod.upgrade_s + pod.join_s) + pod.clients * pod.tick_s
    return work_s / pod.speed


def outside(pod: Pod, numbers: Stability) -> Iterator[str]:
    """Numbers that are not in the range that has been compared."""
    for checked in CHECKED:
        value = checked.value(pod, numbers)
        if not checked.low <= value <= checked.high:
            yield f"{checked.name} = {value:.3g}: checked from {checked.low:g} to {checked.high:,g}"
