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
    """Puts `value` at `a.b.c`, making tables on the way.

    A step into a list is a place, `event.0.share`, or the name of an entry, `fleet.group.web.policy`.
    """
    *parents, last = steps(dotted)
    dotted = shown_key(dotted)
    place: Any = table
    for parent in parents:
        if isinstance(place, list):
            place = place[_index(place, parent, dotted, source)]
        else:
            place = place.setdefault(parent, {})
        if not isinstance(place, dict | list):
            raise ScenarioError(
                f"{source}: {dotted}: {shown_key(parent)} is not a table: expected keys in tables"
            )
    if isinstance(place, dict):
        place[last] = value
    else:
        place[_index(place, last, dotted, source)] = value


def _index(entries: list[Any], step: str, dotted: str, source: str) -> int:
    """The place of the entry of a list that a step leads to."""
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in entries]
    if step in names:
        return names.index(step)
    if step.isdecimal() and int(step) < len(entries):
        return int(step)
    places = f"0 to {len(entries) - 1}" if entries else "a list with entries"
    expected = ", ".join([places, *(name for name in names if isinstance(name, str))])
    raise ScenarioError(f"{source}: {dotted}: invalid index {shown_key(step)}: expected {expected}")
