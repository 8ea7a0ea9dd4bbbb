"""Decision points of an interactive rehearsal: when the operator is asked, and what there is to choose.

Faults and conditions of the script strike by themselves. Each scripted mitigation becomes a decision point
instead.
"""

from collections.abc import Sequence
from math import ceil
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from scenarios.events.event import Event
from scenarios.events.exec import Exec
from scenarios.events.push_policy import PushPolicy
from scenarios.events.rolling_restart import RollingRestart
from scenarios.events.scale import Scale
from scenarios.events.set_limit import SetLimit
from scenarios.scenario.model import Scenario
from scenarios.scenario.program import line_of

_Kind = TypeVar("_Kind", bound=Event)

TOGETHER_S = 5.0
"""Mitigations that the script has within this time of each other are one decision."""
AGAIN_S = 10.0
"""How long after a choice the operator is asked again, as long as the service is not back."""
MOST_EXTRA_S = 300
"""A rehearsal is not prolonged by more than this in all."""

WAIT = "wait"


class Option(Struct, frozen=True, kw_only=True):
    """One thing that the operator may choose."""

    key: str
    """The key to press."""
    name: str
    """As `--choose` takes it."""
    words: str
    event: Event | None = None
    """What comes of it, with the time still open; None for waiting."""


OPTIONS = {"scale": "s", "restart": "r", "push": "b", "limit": "l", "exec": "e", WAIT: "w"}
"""Every option by name, with its key."""


def mitigations(scenario: Scenario) -> list[Event]:
    """The mitigations of the script, in order of time."""
    found = [event for event in scenario.event if event.enabled and event.kind == "mitigation"]
    return sorted(found, key=lambda event: event.at_s)


def decision_points(scenario: Scenario) -> tuple[float, ...]:
    """When the operator is asked; in a script without mitigations once, where `during` ends.

    Raises ValueError for a scenario without a fault.
    """
    if scenario.trigger_s is None:
        raise ValueError("the timeline has no fault")
    points: list[float] = []
    for event in mitigations(scenario):
        if not points or event.at_s > points[-1] + TOGETHER_S:
            points.append(event.at_s)
    return tuple(points) or (scenario.trigger_s + scenario.phases.during_s,)


def left_to_the_operator(scenario: Scenario) -> Scenario:
    """The same without its mitigations: they stay in it, switched off."""
    events = tuple(
        replace(event, enabled=event.enabled and event.kind != "mitigation") for event in scenario.event
    )
    return replace(scenario, event=events)


def options(scenario: Scenario, pods: int | None) -> tuple[Option, ...]:
    """What there is to choose now, given how many pods run; None: somebody else's.

    What the script has of a kind is offered; else twice the pods, `incident`, and `per-ip`. A command is
    offered only where the script has one.
    """
    scripted = [event for event in scenario.event if event.kind == "mitigation"]
    push = _last(scripted, PushPolicy) or PushPolicy(at_s=0, policy="incident")
    found: list[tuple[str, Event]] = []
    if pods is not None:
        more = [event for event in scripted if isinstance(event, Scale) and event.pods > pods]
        found.append(("scale", more[0] if more else Scale(at_s=0, pods=2 * pods)))
        found.append(("restart", RollingRestart(at_s=0)))
    found.append(("push", push))
    if pods is not None:
        found.append(("limit", _last(scripted, SetLimit) or SetLimit(at_s=0, limit="per-ip")))
    if (command := _last(scripted, Exec)) is not None:
        found.append(("exec", command))
    chosen = [Option(key=OPTIONS[name], name=name, words=words(event), event=event) for name, event in found]
    return (*chosen, Option(key=OPTIONS[WAIT], name=WAIT, words=WAIT))


def at(event: Event, t_s: float) -> Event:
    """The event, once, at another time."""
    return replace(event, at_s=round(t_s, 1), enabled=True, every_s=None, times=1)


def words(event: Event) -> str:
    """What an option does, in a few words."""
    match event:
        case Scale(pods=pods):
            return f"scale to {pods} pods"
        case RollingRestart():
            return "restart the pods, one after the other"
        case PushPolicy(policy=spec, group=group):
            return f"push policy {_name(spec)} to {f'the group {group}' if group else 'all clients'}"
        case SetLimit(limit="none"):
            return "remove the limit"
        case SetLimit(limit=spec):
            return f"set the limit {_name(spec)}"
        case Exec(command=command):
            return f"run {line_of(command)}"
    raise TypeError(f"{event.name} is not a mitigation that an operator can choose")


def patience_s(scenario: Scenario) -> float:
    """How long the script gives its last mitigation before the rescue, or before the end."""
    return asked_until_s(scenario) - decision_points(scenario)[-1]


def asked_until_s(scenario: Scenario) -> int:
    """When it is too late to choose: the rescue begins, or the run ends."""
    return scenario.phases.rescue_at_s or scenario.phases.duration_s


def extra_s(scenario: Scenario, chosen_s: float, patience: float) -> int:
    """By how much a run has to be prolonged, so that a choice made at `chosen_s` has so long to work."""
    return max(0, ceil(chosen_s + patience - asked_until_s(scenario)))


def _last(events: Sequence[Event], kind: type[_Kind]) -> _Kind | None:
    return next((event for event in reversed(events) if isinstance(event, kind)), None)


def _name(spec: object) -> str:
    return str(spec["name"]) if isinstance(spec, dict) else str(spec)
