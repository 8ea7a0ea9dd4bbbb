"""An error of the validator as one line: file, key, invalid value, what is expected."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

import msgspec

from scenarios.events.registry import EVENTS
from scenarios.fields import expected_of, invalid, one_of, similar_to, unknown_key
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact import shown_at, shown_key
from scenarios.scenario.redact_text import HIDDEN, shown_text

# The steps of a path in a msgspec error: `.key`, `[index]`, or `[...]` for a value of a dictionary.
_STEP = re.compile(r"\.\w+|\[\d+\]|\[\.\.\.\]")


def explain(
    error: msgspec.ValidationError, table: Mapping[str, Any], source: str, overridden: Sequence[str] = ()
) -> str:
    """The error in one line. overridden: the keys that `--set` has put into the table, with dots."""
    message, _, path = str(error).partition(" - at `$")
    dotted = ""
    found: Any = table
    kind: Any = Scenario
    places: list[str | int] = []
    for step in _STEP.findall(path):
        kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        if step == "[...]":  # msgspec does not say which key of a dictionary.
            kind = get_args(kind)[1]
            key = next(key for key, value in found.items() if not _fits(value, kind))
            name = shown_text(key) if places == ["arms"] else shown_key(key)
            places.append(key)
            dotted, found = f'{dotted}."{name}"', found[key]
        elif step.startswith("["):
            places.append(int(step[1:-1]))
            dotted, found, kind = dotted + step, found[int(step[1:-1])], _element_type(kind)
            if isinstance(found, dict) and found.get("do") in EVENTS:
                kind = EVENTS[found["do"]]
        else:
            found = found.get(step[1:])
            places.append(step[1:])
            dotted, kind = dotted + step, _field_type(kind, step[1:])
    dotted = dotted.removeprefix(".")
    if "unknown field" in message:
        unknown = shown_key(message.split("`")[1])
        where = f"{dotted}.{unknown}" if dotted else unknown
        fields = [
            *getattr(_struct(kind), "__struct_fields__", ()),
            *(["do"] if dotted.startswith("event[") else []),
        ]
        place = _set_key(where, overridden) or f"{source}: {where}"
        suggested = _suggested(unknown, dotted, fields)
        return unknown_key(place, fields, meant=suggested)
    if "missing required field" in message:
        missing = message.split("`")[1]
        return f"{source}: {dotted}.{missing}: missing: expected a value"
    expected = expected_of(message, kind)
    if dotted.endswith(".do"):
        expected = one_of(found, EVENTS, "events")
    return f"{source}: {invalid(dotted or '(top level)', shown_at(places, found), expected)}"


def _set_key(where: str, overridden: Sequence[str]) -> str:
    """The key as `--set` names it, or one inside it; empty if it was not set that way."""
    path = where.replace("[", ".").replace("]", "")
    return f"--set {path}" if any(f"{key}.".startswith(f"{path}.") for key in overridden) else ""


def _suggested(unknown: str, dotted: str, fields: Sequence[str]) -> str:
    """The key that was probably meant: the same name in another table, or a similar one in this table."""
    if HIDDEN in unknown:
        return ""
    for section in msgspec.structs.fields(Scenario):
        names = getattr(section.type, "__struct_fields__", ())
        if unknown in names:
            return f"{section.name}.{unknown}"
    similar = similar_to(unknown, fields)
    return ".".join(filter(None, (dotted, similar))) if similar else ""


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _element_type(kind: Any) -> Any:
    """What a tuple holds, however deep it is in unions and annotations."""
    if get_origin(kind) is tuple:
        return get_args(kind)[0]
    return next((found for part in get_args(kind) if (found := _element_type(part)) is not None), None)


def _struct(kind: Any) -> Any:
    """The one struct that a value of this type may be; None if it may be none, or one of several."""
    if hasattr(kind, "__struct_fields__"):
        return kind
    found = [struct for part in get_args(kind) if (struct := _struct(part)) is not None]
    return found[0] if len(found) == 1 else None


def _field_type(kind: Any, key: str) -> Any:
    kind = _struct(kind)
    if kind is None:
        return None  # the name in a table that could be of several types
    return next((field.type for field in msgspec.structs.fields(kind) if field.encode_name == key), None)
