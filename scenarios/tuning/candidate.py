"""Settings that a search tries: a policy, when it starts over, and a limit."""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from scenarios.fields import NameOrTable
from scenarios.policies.outcome import Reset
from scenarios.policies.registry import policy as policy_of
from scenarios.scenario.model import Fleet, Scenario

ResetBackoff = Literal["open", "joined", "stable", "never", "policy"]
"""As `fleet.reset_backoff`; `policy` where a policy's own rule is a time that the scenario does not say."""


class Candidate(Struct, frozen=True, kw_only=True):
    """Settings to try."""

    name: str
    policy: NameOrTable
    limit: NameOrTable
    reset_backoff: ResetBackoff
    stable_after_s: float | None = None
    """With `stable`; None: as the scenario says."""
    origin: str = "drawn"
    """Where it comes from; what is always tried has a name for that."""


def named(one: Candidate) -> Candidate:
    """The same candidate, called by its settings."""
    stable = "once stable" if one.stable_after_s is None else f"after {one.stable_after_s:g} s of session"
    reset = {
        "open": "",
        "joined": ", reset once joined",
        "stable": f", reset {stable}",
        "never": ", never reset",
        "policy": "",
    }[one.reset_backoff]
    return replace(one, name=f"{_written(one.policy)}{reset} + {_written(one.limit)}")


def reset_of(one: Candidate, fleet: Fleet) -> Reset:
    """When the policy of a candidate starts over, whatever says so."""
    if one.reset_backoff == "policy":
        return policy_of(one.policy).reset
    if one.reset_backoff == "stable":
        return fleet.stable_after_s if one.stable_after_s is None else one.stable_after_s
    return one.reset_backoff


def policy_name(spec: NameOrTable) -> str:
    """The name of a policy, without the version of a stock client."""
    return (spec if isinstance(spec, str) else str(spec["name"])).partition("@")[0]


def own_rule(spec: NameOrTable) -> ResetBackoff:
    """The rule of a policy itself; `policy` where a scenario could not say the same."""
    own = policy_of(spec).reset
    return own if isinstance(own, str) else "policy"


def with_candidate(scenario: Scenario, one: Candidate) -> Scenario:
    """The scenario with these settings instead of its own."""
    fleet = replace(scenario.fleet, policy=one.policy, reset_backoff=one.reset_backoff)
    if one.stable_after_s is not None:
        fleet = replace(fleet, stable_after_s=one.stable_after_s)
    return replace(scenario, fleet=fleet, edge=replace(scenario.edge, limit=one.limit))


def _written(spec: NameOrTable) -> str:
    """A policy or limit on one line, as `name key=value key=value`."""
    if isinstance(spec, str):
        return spec
    rest = " ".join(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in spec.items()
        if key != "name"
    )
    return f"{spec['name']} {rest}".strip()
