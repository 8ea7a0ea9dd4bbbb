"""What can follow in a shell: scenarios, keys of `--set`, and their values."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

CATALOG = Path(__file__).parents[1] / "catalog"
SCHEMA = CATALOG / "scenario.schema.json"

VARIED = frozenset({"matrix", "arms"})
"""Tables whose keys are paths with dots."""

Schema = Mapping[str, Any]
Words = dict[str, str]
"""Words, each with a sentence about it; one that ends with `.`, `=` or `/` goes on."""


def is_scenario(word: str) -> bool:
    """Whether a word of the command line names a scenario."""
    return word.endswith(".toml") or word in _catalog()


def scenario_words(incomplete: str) -> Words:
    """Scenarios of the catalogue, and TOML files and folders that begin like this."""
    return {name: "" for name in [*_catalog(), *_files(incomplete)] if name.startswith(incomplete)}


def setting_words(incomplete: str, scenario: str) -> Words:
    """Keys that begin like this or, behind `=`, the values of the key. scenario: its events can be set."""
    key, equals, value = incomplete.partition("=")
    *parents, last = key.split(".")
    place: Any = _table(scenario)
    schemas = _schemas(_schema())
    for parent in parents:
        schemas = _all_below(schemas, parent, place)
        place = _entry(place, parent)
    if equals:
        values = [found for schema in _all_below(schemas, last, place) for found in _values(schema)]
        return {f"{key}={found}": "" for found in values if found.startswith(value)}
    before = "".join(f"{parent}." for parent in parents)
    words = {name: text for schema in schemas for name, text in _keys(schema, place).items()}
    return {f"{before}{name}": text for name, text in words.items() if name.startswith(last)}


def _catalog() -> list[str]:
    return sorted(path.stem for path in CATALOG.glob("*.toml"))


def _files(incomplete: str) -> Iterator[str]:
    folder = incomplete.rpartition("/")[0] + "/" if "/" in incomplete else ""
    try:
        found = sorted(Path(folder or ".").expanduser().iterdir())
    except OSError:
        return
    for path in found:
        if path.suffix == ".toml" and path.is_file():
            yield f"{folder}{path.name}"
        elif path.is_dir() and not path.name.startswith("."):
            yield f"{folder}{path.name}/"


def _table(scenario: str) -> Any:
    path = CATALOG / f"{scenario}.toml" if scenario in _catalog() else Path(scenario)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}


@cache
def _schema() -> Schema:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return schema


def _schemas(schema: Any) -> list[Schema]:
    """The schema itself, and those that it consists of."""
    if not isinstance(schema, dict):
        return []
    found: list[Schema] = [schema]
    if "$ref" in schema:
        place: Any = _schema()
        for step in schema["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        found += _schemas(place)
    for part in schema.get("anyOf", []):
        found += _schemas(part)
    return found


def _all_below(schemas: list[Schema], step: str, value: Any) -> list[Schema]:
    return [below for schema in schemas for below in _below(schema, step, value)]


def _below(schema: Schema, step: str, value: Any) -> list[Schema]:
    """The schemas of a key, or of a place in a list of that value."""
    if step == "do":
        return _schemas(_schema()["$defs"]["EventName"])
    if step.isdecimal():
        entry = _entry(value, step)
        do = entry.get("do") if isinstance(entry, dict) else None
        return _schemas(_schema()["$defs"].get(f"event.{do}", schema.get("items")))
    return _schemas(schema.get("properties", {}).get(step))


def _keys(schema: Schema, value: Any) -> Words:
    """The keys of a table, or the places in a list of tables."""
    if schema.get("type") == "array" and isinstance(value, list):
        tables = {place: entry for place, entry in enumerate(value) if isinstance(entry, dict)}
        return {f"{place}.": str(entry.get("do", "")) for place, entry in tables.items()}
    words = {}
    for name, below in schema.get("properties", {}).items():
        kinds = _schemas(below)
        text = next((kind["description"] for kind in kinds if "description" in kind), "")
        words[f"{name}{'.' if name not in VARIED and _goes_on(kinds) else '='}"] = text.partition(". ")[0]
    return words


def _goes_on(kinds: list[Schema]) -> bool:
    """Whether it is always a table, or a list of tables."""
    types = {kind["type"] for kind in kinds if "type" in kind}
    items = [item for kind in kinds for item in _schemas(kind.get("items"))]
    return types == {"object"} or (types == {"array"} and any("properties" in item for item in items))


def _values(schema: Schema) -> list[str]:
    if schema.get("type") == "boolean":
        return ["true", "false"]
    named = [*schema.get("enum", []), *([schema["const"]] if "const" in schema else [])]
    return [str(value) for value in named]


def _entry(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    places = isinstance(value, list) and step.isdecimal() and int(step) < len(value)
    return value[int(step)] if places else None
