"""What a search may try: families of policies and limits, each with the ranges of its parameters.

Two closed forms set the scale, so that one registry serves ten clients and a million:

- the **window** W = 2·N·c/(P·(1-ρ)), in which all clients come back at half of what the gateway has left,
- the **rate** 0.5·P·(1-ρ)/c of new connections a second, the same thing for a limit for all together.

Code of one's own can be given any reset rule. A stock client keeps its own, unless an option says otherwise.

Add a family: enter it in `POLICY_FAMILIES` or `LIMIT_FAMILIES`.
"""

import math
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from scenarios.scenario.model import Fleet, Scenario
from scenarios.scenario.stability import admissible_rate_per_s
from scenarios.tuning.candidate import Candidate, ResetBackoff, named, own_rule, policy_name
from scenarios.tuning.ranges import Range, Ranges, filled
from scenarios.tuning.stock_options import STOCK_OPTIONS, searched

OWN_CODE: tuple[ResetBackoff, ...] = ("stable", "open", "joined", "never")
"""What code of one's own can do."""
STABLE = Range(key="stable_after_s", low=1, high=60)
"""How long a session has to last, with `stable`."""

LONGEST_WINDOW_S = 3_600.0
SHORTEST_WINDOW_S = 0.5


class PolicyFamily(Struct, frozen=True, kw_only=True):
    """A kind of policy that clients can be given."""

    policy: str
    ranges: Ranges
    resets: tuple[ResetBackoff, ...] = OWN_CODE
    """Reset rules to try; for a stock client `policy`: its own."""


class LimitFamily(Struct, frozen=True, kw_only=True):
    """A kind of limit that the edge or the pods can be given."""

    limit: str
    ranges: Ranges = ()


def stock_family(client: str) -> PolicyFamily:
    """A stock client, told only what its options can say. Raises PolicyError."""
    name = searched(client)
    return PolicyFamily(policy=name, ranges=STOCK_OPTIONS[name], resets=("policy",))


POLICY_FAMILIES: tuple[PolicyFamily, ...] = (
    stock_family("socketio-js"),
    stock_family("socketio-python"),
    PolicyFamily(
        policy="full-jitter",
        ranges=(
            Range(key="base_s", low=0.05, high=2.0, times="window_s"),
            Range(key="cap_s", low=5, high=120),
        ),
    ),
    PolicyFamily(
        policy="decorrelated-jitter",
        ranges=(
            Range(key="base_s", low=0.02, high=0.5, times="window_s"),
            Range(key="cap_s", low=5, high=120),
        ),
    ),
    PolicyFamily(
        policy="spread",
        ranges=(
            Range(key="window_s", low=0.25, high=2.0, times="window_s"),
            Range(key="base_s", low=0.02, high=1.0, times="window_s"),
            Range(key="cap_s", low=5, high=120),
        ),
    ),
)

LIMIT_FAMILIES: tuple[LimitFamily, ...] = (
    LimitFamily(limit="none"),
    LimitFamily(
        limit="per-ip",
        ranges=(
            Range(key="rate_per_s", low=1, high=50, whole=True),
            Range(key="burst", low=1, high=1_000, whole=True),
        ),
    ),
    LimitFamily(
        limit="global",
        ranges=(
            Range(key="rate_per_s", low=0.5, high=2.0, times="rate", whole=True),
            Range(key="burst", low=10, high=1_000, whole=True),
        ),
    ),
    LimitFamily(
        limit="handshake-slots",
        ranges=(Range(key="slots", low=1, high=16, whole=True),),
    ),
)

_AHEAD = 4
"""Coordinates before the parameters: which policy, which limit, which reset rule, after how many seconds."""
DIMENSIONS = (
    _AHEAD + max(map(len, STOCK_OPTIONS.values())) + max(len(family.ranges) for family in LIMIT_FAMILIES)
)
"""Coordinates of a point of the space."""

NOW, NAIVE, INCIDENT, FORMULA = "now", "naive", "incident's fix", "closed form"
DEFAULTS = "default options"


def units(scenario: Scenario, tick_cpu_s: float) -> dict[str, float]:
    """What the ranges of a scenario are multiples of."""
    rate_per_s = admissible_rate_per_s(scenario, tick_cpu_s)
    window_s = min(LONGEST_WINDOW_S, max(SHORTEST_WINDOW_S, window(scenario, tick_cpu_s)))
    # nginx keeps no rate above 10,000, and none is needed where handshakes are free.
    return {
        "one": 1.0,
        "window_s": window_s,
        "window_ms": 1_000 * window_s,
        "rate": min(max(rate_per_s, 1.0), 5_000.0),
    }


def window(scenario: Scenario, tick_cpu_s: float) -> float:
    """W = 2·N·c/(P·(1-ρ)), in seconds; infinite where the feed alone fills the capacity."""
    rate_per_s = admissible_rate_per_s(scenario, tick_cpu_s)
    return scenario.fleet.clients / rate_per_s if rate_per_s > 0 else math.inf


def candidate(
    point: tuple[float, ...],
    scale: dict[str, float],
    families: tuple[PolicyFamily, ...] = POLICY_FAMILIES,
) -> Candidate:
    """The candidate at a point of the unit cube with `DIMENSIONS` sides."""
    family = _pick(families, point[0])
    bound = _pick(LIMIT_FAMILIES, point[1])
    ahead = _AHEAD + len(family.ranges)
    policy = filled(family.policy, family.ranges, point[_AHEAD:ahead], scale)
    limit = filled(bound.limit, bound.ranges, point[ahead:], scale)
    reset = _pick(family.resets, point[2])
    return named(
        Candidate(
            name="",
            policy=policy,
            limit=limit,
            reset_backoff=own_rule(policy) if reset == "policy" else reset,
            stable_after_s=float(STABLE.at(point[3], 1.0)) if reset == "stable" else None,
        )
    )


def anchors(scenario: Scenario, scale: dict[str, float], client: str | None = None) -> list[Candidate]:
    """What is always tried: what there is now, no policy at all, the incident's own fix, the closed form.

    With a stock client: its default options, and what there is now if that is the same client.
    """
    fleet = scenario.fleet
    now = Candidate(
        name="",
        policy=fleet.policy,
        limit=scenario.edge.limit,
        reset_backoff=_reset_now(fleet),
        stable_after_s=fleet.stable_after_s if fleet.reset_backoff == "stable" else None,
        origin=NOW,
    )
    if client:
        name = searched(client)
        same = own_rule(fleet.policy) == now.reset_backoff and policy_name(fleet.policy) == name
        defaults = Candidate(
            name="",
            policy=name,
            limit=scenario.edge.limit,
            reset_backoff=own_rule(name),
            origin=DEFAULTS,
        )
        chosen = [now, defaults] if same else [defaults]
    else:
        # Whoever is refused before the queue of a window's width has been worked off comes back within it.
        spread = {
            "name": "spread",
            "window_s": float(f"{scale['window_s']:.3g}"),
            "base_s": float(f"{max(0.2, scale['window_s'] / 4):.3g}"),
            "cap_s": 30.0,
        }
        chosen = [
            now,
            Candidate(name="", policy="naive", limit="none", reset_backoff="open", origin=NAIVE),
            Candidate(name="", policy="incident", limit="per-ip", reset_backoff="open", origin=INCIDENT),
            Candidate(
                name="",
                policy=spread,
                limit="none",
                reset_backoff="stable",
                stable_after_s=fleet.stable_after_s,
                origin=FORMULA,
            ),
        ]
    found: list[Candidate] = []
    for one in chosen:
        add(found, named(one))
    return found


def add(found: list[Candidate], new: Candidate) -> None:
    """Adds a candidate; one that is there already only gets the new one's origin as well."""
    for place, known in enumerate(found):
        if known.name == new.name:
            if new.origin not in known.origin.split(" = "):
                found[place] = replace(known, origin=f"{known.origin} = {new.origin}")
            return
    found.append(new)


def _reset_now(fleet: Fleet) -> ResetBackoff:
    """When the clients reset now; the rule of their policy, where the scenario could say the same."""
    return fleet.reset_backoff if fleet.reset_backoff != "policy" else own_rule(fleet.policy)


def _pick(families: tuple[Any, ...], place: float) -> Any:
    return families[min(len(families) - 1, int(place * len(families)))]
