"""How many places for pods a scenario's timeline takes at once."""

from scenarios.events.kill_pod import KillPod
from scenarios.events.scale import Scale
from scenarios.runner.timeline import strikes
from scenarios.scenario.model import Scenario


def places_needed(scenario: Scenario) -> int:
    """Pods that hold a place at the same time, at the most.

    A pod that is killed for good keeps its place, because nginx goes on asking it; one that leaves when the
    number of pods is reduced gives its place back.
    """
    running = held = most = scenario.gateway.pods
    dead: set[int] = set()
    for strike in strikes(scenario):
        match strike.event:
            case Scale(pods=pods):
                held += pods - running
                running = pods
            case KillPod(pod=pod, restart=False) if pod not in dead:
                dead.add(pod)
                running -= 1
        most = max(most, held)
    return most
