"""A rehearsal as a scenario file: the script with what the operator chose, to be played again."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from reports.rundir.toml import key_text, value_text
from scenarios.events.event import Event
from scenarios.rehearsal.decisions import left_to_the_operator
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact import secrets_of, shown_fields, without_secrets
from scenarios.scenario.redact_text import HIDDEN

_HEAD = """\
# What was rehearsed: the script, and what the operator chose. To play it again:
#
#     reconnect-storm rehearse {name}
#     reconnect-storm run {name}
"""
_SECRETS = """\
#
# Credentials of the target are left out; give them with --set.
"""


def rehearsed(scenario: Scenario, chosen: Sequence[Event]) -> Scenario:
    """The script with the choices in the place of its mitigations, which stay in it, switched off."""
    script = left_to_the_operator(scenario)
    return replace(
        script,
        name=f"{scenario.name.removesuffix('-rehearsed')}-rehearsed",
        event=(*script.event, *chosen),
        matrix={},
        arms={},
    )


def scenario_file(scenario: Scenario, name: str) -> str:
    """The scenario as TOML, as a person would write it: without what is left at its default.

    name: of the file.
    """
    defaults = msgspec.to_builtins(Scenario())
    table = {
        key: _without_defaults(value, defaults[key]) if isinstance(defaults[key], dict) else value
        for key, value in without_secrets(scenario).items()
        if value != defaults[key]
    }
    table["event"] = [_event(event) for event in scenario.event]
    hidden = any(secrets_of(scenario))
    target = table.get("target", {})
    for key in ("auth", "headers", "cookies"):
        if HIDDEN in str(target.get(key, "")):
            del target[key]
    lines = [_HEAD.format(name=name) + (_SECRETS if hidden else "")]
    lines += [
        f"{key_text(key)} = {value_text(value)}" for key, value in table.items() if not _is_section(value)
    ]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]", *_lines(value)]
        elif _is_section(value):
            for entry in value:
                lines += ["", f"[[{key}]]", *_lines(entry)]
    return "\n".join(lines) + "\n"


def _event(event: Event) -> dict[str, Any]:
    """Its time, its name, and what is not left at its default."""
    defaults = {
        field.encode_name: msgspec.to_builtins(field.default)
        for field in msgspec.structs.fields(event)
        if field.default is not msgspec.NODEFAULT
    }
    return _without_defaults(shown_fields(event), defaults)


def _without_defaults(table: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in defaults or value != defaults[key]}


def _is_section(value: Any) -> bool:
    """Whether a value gets a heading of its own."""
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(entry, dict) for entry in value)
    return isinstance(value, dict)


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{key_text(key)} = {value_text(value)}" for key, value in table.items() if value is not None]
