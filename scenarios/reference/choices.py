"""JSON Schema of what a scenario chooses by name: policies, limits and events, each with its parameters.

A table is closed by the entry that its name says, as the loader does. All parameters of all entries are also
properties of the table itself: editors that do not evaluate conditions complete these.
"""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from scenarios.events.event import Event
from scenarios.events.registry import EVENTS
from scenarios.limits.registry import EVERYWHERE, LIMITS
from scenarios.policies.registry import POLICIES
from scenarios.policies.stock.catalogue import STOCK
from scenarios.policies.stock.client import StockClient
from scenarios.reference.definitions import ANYTHING, JsonSchema, definitions, partly
from scenarios.reference.docstrings import described
from scenarios.reference.parameters import parameters

OWN_POLICY = r"^[^:\s]+:[^:\s]+$"
"""A function of the user's own, `module:function`."""
SEVERAL = r"\+"
_VERSIONED = rf"^(?:{'|'.join(STOCK)})@[0-9.]+$"
"""A stock client of one version."""


def policies() -> dict[str, JsonSchema]:
    """The definitions of policies: `PolicyName`, `PolicyTable`, and one for each policy."""
    entries = {name: _entry(name, kind, defaults) for name, (kind, defaults) in POLICIES.items()}
    names = {
        "title": "Reconnect policy",
        "description": f"One of {', '.join(POLICIES)}, or `module:function` for one of your own.",
        "type": "string",
        "anyOf": [_named({name: kind for name, (kind, _) in POLICIES.items()}), ANYTHING],
        "if": {"pattern": ":"},
        "then": {"pattern": OWN_POLICY},
        "else": {"if": {"pattern": "@"}, "then": {"pattern": _VERSIONED}, "else": {"enum": [*POLICIES]}},
    }
    table = _table("Reconnect policy with parameters", "PolicyName", entries, "policy")
    for schema in table["properties"].values():
        schema.pop("anyOf", None)  # a policy of the user's own may have other types for the same names
    return {"PolicyName": names, "PolicyTable": table, **_prefixed(entries, "policy")}


def limits() -> dict[str, JsonSchema]:
    """The definitions of limits: `LimitName`, `LimitTable`, and one for each limit."""
    entries = {name: _entry(name, kind, {}) for name, kind in LIMITS.items()}
    one = f" *(?:{'|'.join(map(re.escape, LIMITS))}) *"
    names = {
        "title": "Connection limit",
        "description": f"One of {', '.join(LIMITS)}, or several joined by `+`, such as `per-ip+global`.",
        "type": "string",
        "anyOf": [_named(LIMITS), ANYTHING],
        "if": {"pattern": SEVERAL},
        "then": {"pattern": rf"^{one}(?:\+{one})+$"},
        "else": {"enum": [*LIMITS]},
    }
    table = _table("Connection limit with parameters", "LimitName", entries, "limit")
    several = {
        "name": {"$ref": "#/$defs/LimitName"},
        **{key: table["properties"][key] for key in EVERYWHERE},
        **{name: _inside(name, entry) for name, entry in entries.items()},
    }
    table["properties"] |= several
    table["allOf"].append(
        {
            "if": partly({"name": {"pattern": SEVERAL}}, required=["name"]),
            "then": {"properties": dict.fromkeys(several, True), "additionalProperties": False},
        }
    )
    return {"LimitName": names, "LimitTable": table, **_prefixed(entries, "limit")}


def events(known: Mapping[str, JsonSchema]) -> dict[str, JsonSchema]:
    """The definitions of events, `Event` and one for each; `known` has what msgspec says of them."""
    entries = {
        name: {**known[kind.__name__], "title": name, "description": _sentence(kind)}
        for name, kind in EVENTS.items()
    }
    for name, entry in entries.items():
        entry["properties"] = {**entry["properties"], "do": {"const": name}}
    table = _table("Event", "EventName", entries, "event", by="do")
    table["required"] = ["do", "at_s"]
    names = {"title": "Event", "description": "What happens.", "type": "string", **_named(EVENTS)}
    return {"EventName": names, "Event": table, **_prefixed(entries, "event")}


def _entry(name: str, kind: type[Struct], defaults: Mapping[str, Any]) -> JsonSchema:
    """A table of one entry of a registry, closed, with the name among its properties."""
    (own,) = definitions([kind], written=True).values()
    properties = {"name": {"const": name}, **own["properties"]}
    for parameter in parameters(kind, defaults=defaults):
        if parameter.name in defaults:
            text = f"{parameter.meaning} {parameter.facts}"
            properties[parameter.name] |= {"default": parameter.default, "description": text}
    if issubclass(kind, StockClient):
        properties |= {old: _former(old, properties[new]) for old, new in kind.former.items()}
    return {**own, "title": name, "properties": properties, "required": ["name"]}


def _former(old: str, schema: JsonSchema) -> JsonSchema:
    """A parameter under the name that older scenario files have."""
    text = f"Former name of {schema['title'].split()[0]}. {schema['description']}"
    return {**schema, "title": old, "description": text, "deprecated": True}


def _table(
    title: str, names: str, entries: Mapping[str, JsonSchema], prefix: str, by: str = "name"
) -> JsonSchema:
    """A table whose key `by` says which entry it is."""
    return {
        "title": title,
        "type": "object",
        "required": [by],
        **partly({by: {"$ref": f"#/$defs/{names}"}, **_any_of_them(entries, prefix, by)}),
        "allOf": [
            {
                "if": partly({by: {"const": name}}, required=[by]),
                "then": {"$ref": f"#/$defs/{prefix}.{name}"},
            }
            for name in entries
        ],
    }


def _any_of_them(entries: Mapping[str, JsonSchema], prefix: str, by: str) -> dict[str, JsonSchema]:
    """Every parameter of any entry, with all that it can mean."""
    found: dict[str, list[tuple[str, JsonSchema]]] = {}
    for name, entry in entries.items():
        for key, schema in entry["properties"].items():
            same = found.setdefault(key, [])
            if key != by and all(schema != other for _, other in same):
                same.append((name, schema))
    return {
        key: {
            "title": key,
            "description": _of_several({name: schema["description"] for name, schema in same}),
            "anyOf": [{"$ref": f"#/$defs/{prefix}.{name}/properties/{key}"} for name, _ in same],
        }
        for key, same in found.items()
        if key != by
    }


def _of_several(texts: Mapping[str, str]) -> str:
    """One text, or those of all entries with their names before them."""
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return " ".join(f"{name}: {text}" for name, text in texts.items())


def _inside(name: str, entry: JsonSchema) -> JsonSchema:
    """The parameters of one limit in the table of a combination."""
    return {
        "title": name,
        "description": entry["description"],
        "type": "object",
        "properties": {
            key: {"$ref": f"#/$defs/limit.{name}/properties/{key}"}
            for key in entry["properties"]
            if key != "name"
        },
        "additionalProperties": False,
    }


def _named(kinds: Mapping[str, type[Struct]]) -> JsonSchema:
    """The names of a registry; Taplo shows the sentences beside them."""
    sentences = [_sentence(kind) for kind in kinds.values()]
    return {"enum": [*kinds], "x-taplo": {"docs": {"enumValues": sentences}}}


def _sentence(kind: type[Struct] | type[Event]) -> str:
    return described(kind).sentence


def _prefixed(entries: Mapping[str, JsonSchema], prefix: str) -> dict[str, JsonSchema]:
    return {f"{prefix}.{name}": entry for name, entry in entries.items()}
