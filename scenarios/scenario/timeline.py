"""When each event of a scenario strikes, and how many places for pods its timeline takes."""

import random

from msgspec import Struct

from scenarios.events.deploy import Deploy
from scenarios.events.event import Event
from scenarios.events.pod import KillPod
from scenarios.events.scale import Scale
from scenarios.scenario.model import Scenario


class Strike(Struct, frozen=True):
    """One event, once."""

    at_s: float
    event: Event
    number: int
    """0 for the first strike of the event."""


def strikes(scenario: Scenario) -> list[Strike]:
    """Every strike of a scenario that begins before its end, in order; drawn times come from the seed."""
    rng = random.Random(scenario.fleet.seed)  # noqa: S311
    found = [
        Strike(at_s, event, number)
        for event in scenario.event
        if event.enabled
        for number, at_s in enumerate(event.strikes_s(rng))
    ]
    return sorted(
        (strike for strike in found if strike.at_s < scenario.phases.duration_s),
        key=lambda strike: strike.at_s,
    )


def places_needed(scenario: Scenario) -> int:
    """Pods that hold a place at the same time, at the most.

    A pod that is killed for good keeps its place, because nginx goes on asking it; one that leaves when the
    number of pods is reduced gives its place back.
    """
    held = most = scenario.gateway.pods
    # May be dead for good: a kill of one that is about to come back changes nothing.
    dead: set[int] = set()
    for strike in strikes(scenario):
        match strike.event:
            case Scale(pods=pods):
                held = pods + len(dead)
            case KillPod(pod=pod, restart=True):
                dead.discard(pod)
            case KillPod(pod=pod):
                dead.add(pod)
            case Deploy():
                # All old pods may still be draining when the last new one has started, and all may be alive.
                most = max(most, 2 * held)
        most = max(most, held)
    return most
