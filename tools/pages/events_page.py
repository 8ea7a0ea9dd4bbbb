"""The page of events."""

from typing import Any

from msgspec import Struct

from scenarios.events.event import Event
from scenarios.events.registry import EVENTS
from scenarios.scenario.loader import catalog, load
from scenarios.reference.docstrings import Described, described
from scenarios.reference.parameters import Parameter, parameters, written
from tools.pages.rendering import rendered

AT_S = 6
"""When the events of the examples fire."""

EXAMPLES: dict[str, Any] = {
    "share": 0.25,
    "factor": 4,
    "for_s": 20,
    "pods": 9,
    "policy": "incident",
    "limit": "per-ip",
}
"""A value for each parameter that some event requires."""


class Entry(Struct, frozen=True):
    """One event on the page."""

    name: str
    kind: str
    any_target: bool
    own_gateway: str
    described: Described
    parameters: list[Parameter]
    example: str
    scenarios: list[str]
    """Scenarios of the catalogue that have it."""


def entries() -> list[Entry]:
    """All events, in the order of the registry."""
    used = _used_in()
    return [
        Entry(
            name=name,
            kind=kind.kind,
            any_target=kind.any_target,
            own_gateway=kind.own_gateway,
            described=described(kind),
            parameters=parameters(kind, without=Event.__struct_fields__),
            example=example(kind),
            scenarios=used[name],
        )
        for name, kind in EVENTS.items()
    ]


def page() -> str:
    """The page in Markdown."""
    return rendered("events.md.j2", events=entries(), common=parameters(Event), shared=described(Event))


def example(kind: type[Event]) -> str:
    """The event as a scenario file has it, with all its own parameters.

    Raises ValueError for a parameter that is required and has no value in `EXAMPLES`.
    """
    lines = ["[[event]]", f"at_s = {AT_S}", f"do = {written(kind.__struct_config__.tag)}"]
    for parameter in parameters(kind, without=Event.__struct_fields__):
        if parameter.required and parameter.name not in EXAMPLES:
            found = f"{kind.__struct_config__.tag} requires {parameter.name!r}"
            raise ValueError(f"{found}, which has no value in EXAMPLES of tools/pages/events_page.py")
        value = EXAMPLES[parameter.name] if parameter.required else parameter.default
        if value is not None:
            lines.append(f"{parameter.name} = {written(value)}")
    return "\n".join(lines)


def _used_in() -> dict[str, list[str]]:
    used: dict[str, list[str]] = {name: [] for name in EVENTS}
    for name in catalog():
        for kind in dict.fromkeys(event.name for event in load(name).event):
            used[kind].append(name)
    return used
