"""Examples of events, as a scenario file has them."""

from typing import Any

from scenarios.events.event import Event
from scenarios.reference.parameters import parameters, written

AT_S = 6
"""When the events of the examples fire."""

EXAMPLES: dict[str, Any] = {
    "share": 0.25,
    "window_s": 20,
    "factor": 4,
    "for_s": 20,
    "pods": 9,
    "policy": "incident",
    "limit": "per-ip",
    "command": ["kubectl", "rollout", "restart", "deployment/gateway"],
}
"""A value for each parameter that some event requires."""


def example(kind: type[Event]) -> str:
    """The event as a scenario file has it, with all its own parameters.

    Raises ValueError for a parameter that is required and has no value in `EXAMPLES`.
    """
    lines = ["[[event]]", f"at_s = {AT_S}", f"do = {written(kind.__struct_config__.tag)}"]
    for parameter in parameters(kind, without=Event.__struct_fields__):
        if parameter.required and parameter.name not in EXAMPLES:
            found = f"{kind.__struct_config__.tag} requires {parameter.name!r}"
            raise ValueError(f"{found}, which has no value in EXAMPLES of scenarios/reference/examples.py")
        value = EXAMPLES[parameter.name] if parameter.required else parameter.default
        if value is not None:
            lines.append(f"{parameter.name} = {written(value)}")
    return "\n".join(lines)
