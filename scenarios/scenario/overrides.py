"""`--set KEY=VALUE`: parsed, and put into the table of a scenario."""

from typing import Any

from scenarios.scenario.redact import shown_key, shown_override
from scenarios.scenario.toml import read_value, split_override, steps
from scenarios.scenario.validate import ScenarioError


def parse_override(text: str) -> tuple[str, Any]:
    """`fleet.clients=1000` as key and value; the value is TOML, or else plain text."""
    parts = split_override(text)
    if parts is None:
        raise ScenarioError(
            f"--set {shown_override(text)}: invalid: expected KEY=VALUE, such as fleet.clients=1000"
        )
    key, raw = parts
    value = read_value(raw)
    if value == raw and "\n" in raw:
        raise ScenarioError(
            f"--set {shown_override(text)}: invalid line break: expected one key and its value"
        )
    return key, value


def set_key(table: dict[str, Any], dotted: str, value: Any, *, source: str) -> None:
    """Puts `value` at `a.b.c`, making tables on the way; a step into a list is a place: `event.0.share`."""
    *parents, last = steps(dotted)
    dotted = shown_key(dotted)
    place: Any = table
    for parent in parents:
        place = place.setdefault(parent, {}) if isinstance(place, dict) else _entry(place, parent)
        if not isinstance(place, dict | list):
            raise ScenarioError(
                f"{source}: {dotted}: {shown_key(parent)} is not a table: expected keys in tables"
            )
    if isinstance(place, dict):
        place[last] = value
    elif _entry(place, last) is None:
        raise ScenarioError(
            f"{source}: {dotted}: invalid index {shown_key(last)}: expected 0 to {len(place) - 1}"
        )
    else:
        place[int(last)] = value


def _entry(entries: list[Any], place: str) -> Any:
    """What is at a place of a list; None where there is no such place."""
    return entries[int(place)] if place.isdecimal() and int(place) < len(entries) else None
