"""JSON Schema of `[matrix]` and `[arms]`, whose keys are paths with dots to other keys of the file."""

import re
from collections.abc import Collection, Iterator, Mapping

from scenarios.events.event import Event
from scenarios.events.registry import EVENTS
from scenarios.reference.definitions import JsonSchema
from scenarios.reference.keys import Key, Table, keys, tables

NOT_VARIED = frozenset({"matrix", "arms"})


def matrix() -> JsonSchema:
    """Each key has a list of values, none of them a list itself."""
    fixed, patterns = _variables()
    known, lists = keys(), _lists()
    named = {
        key: {"title": key, "description": known[key].meaning, **_values(schema, lists)}
        for key, schema in fixed.items()
    }
    return _keyed(named, {pattern: _values(schema, lists) for pattern, schema in patterns.items()})


def arms() -> JsonSchema:
    """Each arm has a table of keys with one value each."""
    fixed, patterns = _variables()
    return {"type": "object", "additionalProperties": _keyed(fixed, patterns)}


def pointer(table: Table, key: str = "") -> str:
    """Where the schema has a table, or a key of it."""
    place = f"#/$defs/{table.kind.__name__}" if table.path else "#"
    return f"{place}/properties/{key}" if key else place


def _values(schema: JsonSchema, lists: Collection[str]) -> JsonSchema:
    no_list = {"allOf": [schema, {"not": {"type": "array"}}]}
    items = no_list if schema.get("$ref") in lists else schema
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": items}


def _lists() -> set[str]:
    """The places of keys whose value can be a list."""
    found = {
        pointer(key.table, key.parameter.name) for key in keys().values() if "list" in key.parameter.allowed
    }
    return {*found, "#/$defs/Event/properties/every_s"}


def _keyed(fixed: Mapping[str, JsonSchema], patterns: Mapping[str, JsonSchema]) -> JsonSchema:
    return {
        "type": "object",
        "properties": dict(fixed),
        "patternProperties": dict(patterns),
        "additionalProperties": False,
    }


def _variables() -> tuple[dict[str, JsonSchema], dict[str, JsonSchema]]:
    """The keys that can be varied, and patterns of those that have a place in a list."""
    fixed: dict[str, JsonSchema] = {}
    patterns: dict[str, JsonSchema] = {}
    listed = [table.path for table in tables() if table.listed]
    for key in keys().values():
        if key.path in NOT_VARIED:
            continue
        schema: JsonSchema = {"$ref": pointer(key.table, key.parameter.name)}
        places = [path for path in _around(key.path, listed) if path != key.path]
        if key.table.kind is Event:
            continue
        if places:
            patterns[_pattern(key.path, places)] = schema
        else:
            fixed[key.path] = schema
        if _is_open(key):
            patterns[_pattern(key.path, places, end=r"\..+$")] = {}
    patterns |= dict(_of_events())
    patterns |= {_pattern(path, _around(path, listed)): {} for path in listed if path != "event"}
    return fixed, patterns


def _of_events() -> Iterator[tuple[str, JsonSchema]]:
    place = r"^event\.[0-9]+"
    yield f"{place}$", {"$ref": "#/$defs/Event"}
    names = dict.fromkeys(name for kind in EVENTS.values() for name in kind.__struct_fields__)
    for name in ("do", *names):
        yield rf"{place}\.{name}$", {"$ref": f"#/$defs/Event/properties/{name}"}
    yield rf"{place}\.(policy|limit)\..+$", {}


def _is_open(key: Key) -> bool:
    """Whether it can be a table whose keys are not listed: parameters, variables, headers."""
    return "table" in key.parameter.allowed.split("; or ") and key.holds is None


def _around(path: str, listed: Collection[str]) -> list[str]:
    """The lists that a key is in, or is, the innermost first."""
    return sorted((each for each in listed if f"{path}.".startswith(f"{each}.")), key=len, reverse=True)


def _pattern(path: str, places: list[str], end: str = "$") -> str:
    """The path with the place in each list, or the name of the entry; the innermost list comes first."""
    found = re.escape(path)
    named = {table.path for table in tables() if table.listed and "name" in table.kind.__struct_fields__}
    for listed in places:
        step = "([0-9]+|[A-Za-z][A-Za-z0-9_-]*)" if listed in named else "[0-9]+"
        found = found.replace(re.escape(listed), rf"{re.escape(listed)}\.{step}", 1)
    return f"^{found}{end}"
