"""Former names: of keys and values of a scenario, of scenarios of the catalogue, and of results in run.json.

A scenario file and a command may still use them, and run.json of an earlier version does.
"""

from collections.abc import Mapping
from typing import Any

KEYS = {"edge.front": "edge.proxy"}
VALUES = {("gateway.cpu", "reserve"): "occupy"}
RESULTS = {
    "stability": {
        "calm_from_try": "calm_from_attempt",
        "limit_bites_from_clients_per_address": "limit_refuses_above_clients_per_ip",
    },
    "summary": {"neighbours": "shared_ips"},
    "validity": {"spoilt_by_machine": "invalidated_by_host"},
}
"""By section of run.json."""
SCENARIOS = {"mesh-price": "mesh-overhead"}

Notes = list[str]
"""One sentence for each former name that was found, such as `edge.front is now edge.proxy`."""


def present_scenario(table: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """The table of a scenario under present names; former ones are added to `notes`."""
    return {name: _section(name, value, notes) for name, value in table.items()}


def present_setting(key: str, value: Any, notes: Notes) -> tuple[str, Any]:
    """A key with dots and its value under present names; former ones are added to `notes`."""
    present = KEYS.get(key, key)
    if present != key:
        _note(notes, f"{key} is now {present}")
    return present, _value(present, value, notes)


def present_results(section: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """A section of run.json under present names."""
    return {RESULTS[section].get(key, key): value for key, value in table.items()}


def _section(name: str, value: Any, notes: Notes) -> Any:
    if name == "matrix" and isinstance(value, dict):
        return dict(present_setting(key, values, notes) for key, values in value.items())
    if name == "arms" and isinstance(value, dict):
        return {label: _arm(settings, notes) for label, settings in value.items()}
    return _value(name, value, notes)


def _arm(settings: Any, notes: Notes) -> Any:
    if not isinstance(settings, dict):
        return settings
    return dict(present_setting(key, value, notes) for key, value in settings.items())


def _value(key: str, value: Any, notes: Notes) -> Any:
    if isinstance(value, dict):
        inner = {}
        for name, item in value.items():
            path, present = present_setting(f"{key}.{name}", item, notes)
            short = path.rpartition(".")[2] if path != f"{key}.{name}" else name
            # With both names given, the former one stays, and is an unknown key.
            inner[name if short in value else short] = present
        return inner
    if isinstance(value, list):
        return [_value(key, item, notes) for item in value]
    if isinstance(value, str) and (key, value) in VALUES:
        present = VALUES[key, value]
        _note(notes, f'{key} = "{value}" is now "{present}"')
        return present
    return value


def _note(notes: Notes, text: str) -> None:
    if text not in notes:
        notes.append(text)
