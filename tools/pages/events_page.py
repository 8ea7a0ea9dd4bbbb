"""The page of events."""

from msgspec import Struct

from scenarios.events.event import Event
from scenarios.events.registry import EVENTS
from scenarios.reference.docstrings import Described, described
from scenarios.reference.examples import example
from scenarios.reference.parameters import Parameter, parameters
from scenarios.scenario.loader import catalog, load
from tools.pages.rendering import rendered


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


def _used_in() -> dict[str, list[str]]:
    used: dict[str, list[str]] = {name: [] for name in EVENTS}
    for name in catalog():
        for kind in dict.fromkeys(event.name for event in load(name).event):
            used[kind].append(name)
    return used
