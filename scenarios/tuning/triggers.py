"""Storms of several sizes: the scenario's own trigger, and the same one smaller.

A size is a share of what the trigger does beyond doing nothing: half of a burst of factor 4 is one of factor
2.5, half of dropping everybody is dropping half.
"""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from scenarios.events.drop import DropAll, DropShare
from scenarios.events.event import Event
from scenarios.events.feed import FeedBurst, FeedStall
from scenarios.events.pod import PausePod
from scenarios.scenario.model import Scenario


def _share(event: DropShare, size: float) -> Event:
    return replace(event, share=event.share * size)


def _of_all(event: DropAll, size: float) -> Event:
    if size >= 1:
        return event
    return DropShare(at_s=event.at_s, every_s=event.every_s, times=event.times, share=size)


def _factor(event: FeedBurst, size: float) -> Event:
    return replace(event, factor=1 + (event.factor - 1) * size)


def _length(event: FeedStall | PausePod, size: float) -> Event:
    return replace(event, for_s=event.for_s * size)


SIZED: dict[type[Event], tuple[str, Callable[[Any, float], Event]]] = {
    DropAll: ("share", _of_all),
    DropShare: ("share", _share),
    FeedBurst: ("factor", _factor),
    FeedStall: ("for_s", _length),
    PausePod: ("for_s", _length),
}
"""Faults that come in sizes, each with the field that says how large it is."""

TUNED_BY_EVENTS = ("push_policy", "set_limit")
"""Mitigations that would replace the settings which are to be tried."""


def sized(scenario: Scenario, sizes: Sequence[float]) -> dict[str, Scenario]:
    """The scenario with its trigger in each of these sizes, the largest first, by what they are called.

    A trigger that has no size, or a scenario without one, stays alone.
    """
    trigger_s = scenario.trigger_s
    place = next(
        (
            number
            for number, event in enumerate(scenario.event)
            if event.kind == "fault" and event.enabled and event.at_s == trigger_s
        ),
        None,
    )
    kind = type(scenario.event[place]) if place is not None else None
    if place is None or kind not in SIZED:
        return {"as it is": scenario}
    field, resize = SIZED[kind]
    found = {}
    for size in sorted(set(sizes), reverse=True):
        event = resize(scenario.event[place], size)
        value = getattr(event, field, 1.0)
        events = (*scenario.event[:place], event, *scenario.event[place + 1 :])
        found[f"{field} {value:g}"] = replace(scenario, event=events)
    return found


def without_mitigations(scenario: Scenario) -> tuple[Scenario, tuple[str, ...]]:
    """(the scenario without events that would replace the settings, the names of those)."""
    left_out = tuple(event.name for event in scenario.event if event.name in TUNED_BY_EVENTS)
    events = tuple(event for event in scenario.event if event.name not in TUNED_BY_EVENTS)
    return replace(scenario, event=events), left_out
