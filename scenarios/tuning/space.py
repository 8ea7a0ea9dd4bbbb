"""What a search may try: families of policies and limits, each with the ranges of its parameters.

Two closed forms set the scale, so that one registry serves ten clients and a million:

- the **window** W = 2·N·c/(P·(1-ρ)), in which all clients come back at half of what the gateway has left,
- the **rate** 0.5·P·(1-ρ)/c of new connections a second, the same thing for a limit for all together.

Add a family: enter it in `POLICY_FAMILIES` or `LIMIT_FAMILIES`.
"""

import math
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from scenarios.fields import NameOrTable
from scenarios.policies.registry import policy as policy_of
from scenarios.scenario.model import Fleet, Scenario
from scenarios.scenario.stability import admissible_rate_per_s

ResetBackoff = Literal["open", "joined", "stable", "never", "policy"]
"""As `fleet.reset_backoff`; `policy` where a policy's own rule is a time that the scenario does not say."""

_RESET_WORDS = {
    "open": "",
    "joined": ", reset once joined",
    "stable": ", reset once stable",
    "never": ", never reset",
    "policy": "",
}

LONGEST_WINDOW_S = 3_600.0
SHORTEST_WINDOW_S = 0.5


class Range(Struct, frozen=True, kw_only=True):
    """Where a parameter may lie: from `low` to `high`, in units of `times`."""

    key: str
    low: float
    high: float
    times: Literal["one", "window_s", "window_ms", "rate"] = "one"
    even: bool = False
    """Even steps are equally likely; otherwise equal factors are."""
    whole: bool = False

    def at(self, place: float, unit: float) -> float | int:
        """The value at a place from 0 to 1, with three digits; `unit` is what `times` stands for here."""
        low, high = self.low * unit, self.high * unit
        value = low + place * (high - low) if self.even else low * (high / low) ** place
        value = float(f"{value:.3g}")
        return max(1, round(value)) if self.whole else value


class PolicyFamily(Struct, frozen=True, kw_only=True):
    """A kind of policy that clients can be given."""

    policy: str
    ranges: tuple[Range, ...]
    client: Literal["js", "python", "own code"]
    """Whose stock client can be told so by its options alone."""

    @property
    def reset_backoff(self) -> ResetBackoff:
        """Stock clients start over once the connection is open; own code can wait for a stable session."""
        return "stable" if self.client == "own code" else "open"


class LimitFamily(Struct, frozen=True, kw_only=True):
    """A kind of limit that the edge or the pods can be given."""

    limit: str
    ranges: tuple[Range, ...] = ()


class Candidate(Struct, frozen=True, kw_only=True):
    """Settings to try."""

    name: str
    policy: NameOrTable
    limit: NameOrTable
    reset_backoff: ResetBackoff
    origin: str = "drawn"
    """Where it comes from; what is always tried has a name for that."""


POLICY_FAMILIES: tuple[PolicyFamily, ...] = (
    PolicyFamily(
        policy="socketio-js",
        client="js",
        ranges=(
            Range(key="reconnectionDelay", low=0.02, high=1.0, times="window_ms", whole=True),
            Range(key="reconnectionDelayMax", low=1_000, high=120_000, whole=True),
            Range(key="randomizationFactor", low=0.0, high=1.0, even=True),
        ),
    ),
    PolicyFamily(
        policy="socketio-python",
        client="python",
        ranges=(
            Range(key="reconnection_delay", low=0.02, high=1.0, times="window_s"),
            Range(key="reconnection_delay_max", low=1, high=120),
            Range(key="randomization_factor", low=0.02, high=1.0, times="window_s"),
        ),
    ),
    PolicyFamily(
        policy="full-jitter",
        client="own code",
        ranges=(
            Range(key="base_s", low=0.05, high=2.0, times="window_s"),
            Range(key="cap_s", low=5, high=120),
        ),
    ),
    PolicyFamily(
        policy="decorrelated-jitter",
        client="own code",
        ranges=(
            Range(key="base_s", low=0.02, high=0.5, times="window_s"),
            Range(key="cap_s", low=5, high=120),
        ),
    ),
    PolicyFamily(
        policy="spread",
        client="own code",
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

DIMENSIONS = (
    2
    + max(len(family.ranges) for family in POLICY_FAMILIES)
    + max(len(family.ranges) for family in LIMIT_FAMILIES)
)
"""Coordinates of a point: which policy, which limit, and the parameters of each."""

NOW, NAIVE, INCIDENT, FORMULA = "now", "naive", "incident's fix", "closed form"


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


def candidate(point: tuple[float, ...], scale: dict[str, float]) -> Candidate:
    """The candidate at a point of the unit cube with `DIMENSIONS` sides."""
    family = _pick(POLICY_FAMILIES, point[0])
    bound = _pick(LIMIT_FAMILIES, point[1])
    ahead = 2 + len(family.ranges)
    policy = _filled(family.policy, family.ranges, point[2:ahead], scale)
    limit = _filled(bound.limit, bound.ranges, point[ahead:], scale)
    return named(Candidate(name="", policy=policy, limit=limit, reset_backoff=family.reset_backoff))


def anchors(scenario: Scenario, scale: dict[str, float]) -> list[Candidate]:
    """What is always tried: what there is now, no policy at all, the incident's own fix, the closed form."""
    fleet = scenario.fleet
    # Whoever is refused before the queue of a window's width has been worked off comes back within it.
    spread = {
        "name": "spread",
        "window_s": float(f"{scale['window_s']:.3g}"),
        "base_s": float(f"{max(0.2, scale['window_s'] / 4):.3g}"),
        "cap_s": 30.0,
    }
    found: list[Candidate] = []
    for one in (
        Candidate(
            name="",
            policy=fleet.policy,
            limit=scenario.edge.limit,
            reset_backoff=_reset_now(fleet),
            origin=NOW,
        ),
        Candidate(name="", policy="naive", limit="none", reset_backoff="open", origin=NAIVE),
        Candidate(name="", policy="incident", limit="per-ip", reset_backoff="open", origin=INCIDENT),
        Candidate(name="", policy=spread, limit="none", reset_backoff="stable", origin=FORMULA),
    ):
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


def named(one: Candidate) -> Candidate:
    """The same candidate, called by its settings."""
    reset = _RESET_WORDS[one.reset_backoff]
    return replace(one, name=f"{_written(one.policy)}{reset} + {_written(one.limit)}")


def _reset_now(fleet: Fleet) -> ResetBackoff:
    """When the clients reset now; the rule of their policy, where the scenario could say the same."""
    if fleet.reset_backoff != "policy":
        return fleet.reset_backoff
    own = policy_of(fleet.policy).reset
    return own if isinstance(own, str) else "policy"


def with_candidate(scenario: Scenario, one: Candidate) -> Scenario:
    """The scenario with these settings instead of its own."""
    return replace(
        scenario,
        fleet=replace(scenario.fleet, policy=one.policy, reset_backoff=one.reset_backoff),
        edge=replace(scenario.edge, limit=one.limit),
    )


def _pick(families: tuple[Any, ...], place: float) -> Any:
    return families[min(len(families) - 1, int(place * len(families)))]


def _filled(
    name: str, ranges: tuple[Range, ...], places: tuple[float, ...], scale: dict[str, float]
) -> NameOrTable:
    if not ranges:
        return name
    values = {one.key: one.at(place, scale[one.times]) for one, place in zip(ranges, places, strict=False)}
    return {"name": name, **values}


def _written(spec: NameOrTable) -> str:
    if isinstance(spec, str):
        return spec
    rest = " ".join(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in spec.items()
        if key != "name"
    )
    return f"{spec['name']} {rest}".strip()
