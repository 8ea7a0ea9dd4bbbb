"""JSON Schema of structs: what msgspec says of their types, and what their docstrings say of their meaning.

Conditions do the checking, because their errors name the value and what is expected. Editors that evaluate no
conditions complete from `anyOf`, whose last part accepts anything, so that it never adds an error.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec import inspect as types

from scenarios.reference.docstrings import described
from scenarios.reference.parameters import Parameter, parameters

JsonSchema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ANYTHING = True
"""The schema that accepts everything."""


def partly(properties: Mapping[str, Any], **more: Any) -> JsonSchema:
    """A part of what a table has to be; strict validators want to be told that it may have other keys."""
    return {"properties": dict(properties), "additionalProperties": True, **more}


def definitions(kinds: Iterable[Any], *, written: bool = False) -> dict[str, JsonSchema]:
    """The definitions of all structs in these types, by the name in `$defs`, with titles and descriptions.

    written: by people, who want to know what is allowed; not by this program.
    """
    kinds = tuple(kinds)
    _, found = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    classes = {name: cls for kind in kinds for cls in structs_in(kind) for name in _names(cls)}
    return {name: _explained(schema, classes[name], written=written) for name, schema in found.items()}


def reference_to(kind: type[Struct], known: Mapping[str, JsonSchema]) -> JsonSchema:
    """A reference to the definition of a struct."""
    return {"$ref": f"#/$defs/{next(name for name in reversed(_names(kind)) if name in known)}"}


def structs_in(kind: Any) -> list[type[Struct]]:
    """Every struct that a type is made of, each once."""
    found: dict[type[Struct], None] = {}
    waiting = [types.type_info(kind)]
    while waiting:
        match waiting.pop():
            case types.Metadata(type=inner):
                waiting.append(inner)
            case types.StructType(cls=cls, fields=fields) if cls not in found:
                found[cls] = None
                waiting += [field.type for field in fields]
            case types.UnionType(types=parts) | types.TupleType(item_types=parts):
                waiting += parts
            case types.VarTupleType(item_type=item) | types.ListType(item_type=item):
                waiting.append(item)
            case types.DictType(value_type=item):
                waiting.append(item)
    return [*found]


def _names(cls: type[Struct]) -> tuple[str, str]:
    """What msgspec calls a class: by the longer name where two have the same short one."""
    return cls.__name__, f"{cls.__module__}.{cls.__qualname__}"


def _explained(schema: JsonSchema, kind: type[Struct], *, written: bool) -> JsonSchema:
    """The definition of a struct with the docstrings of its fields."""
    text = described(kind)
    schema = {**schema, "description": _sentences(text.sentence, text.notes)}
    if "properties" not in schema:
        return schema  # written as a list
    properties = dict(schema["properties"])
    for parameter in parameters(kind):
        properties[parameter.name] = _of_field(properties[parameter.name], parameter, written=written)
    return {**schema, "properties": properties}


def _of_field(schema: JsonSchema, parameter: Parameter, *, written: bool) -> JsonSchema:
    found = {**_portable(schema), "title": _title(parameter)}
    text = _sentences(parameter.meaning, parameter.facts if written else "")
    if text:  # a table is described by its own definition
        found["description"] = text
    found.pop("default", None)
    if not parameter.required and parameter.default not in (None, (), {}, ""):
        found["default"] = msgspec.json.decode(msgspec.json.encode(parameter.default))
    return found


def _title(parameter: Parameter) -> str:
    return f"{parameter.name} ({parameter.unit})" if parameter.unit else parameter.name


def _sentences(*parts: str) -> str:
    return " ".join(" ".join(parts).split())


def _portable(schema: JsonSchema) -> JsonSchema:
    """Without what no regular expression of JSON Schema has, or what only some dialects have."""
    found = dict(schema)
    if "pattern" in found:
        # The end of the text is `$` in all dialects but Python's, where a line break may follow it.
        found["pattern"] = found["pattern"].replace(r"\Z", "$")
    if "prefixItems" in found:
        first, *_ = found.pop("prefixItems")
        found["items"] = _portable(first)
    if found.get("type") == "object":
        found.setdefault("additionalProperties", True)
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = _portable(found[key])
    if "anyOf" in found:
        found["anyOf"] = [_portable(part) for part in found["anyOf"]]
    return found
