"""JSON Schema of scenario files, for editors and validators.

It refuses what the loader refuses of one key by itself: unknown keys and names, wrong types, values out of
range. What depends on several keys, the loader alone checks.
"""

import json

from reports.rundir.slo_metrics import PHASE_METRICS, SLO_METRICS, STORM_METRICS
from scenarios.reference.choices import events, limits, policies
from scenarios.reference.definitions import ANYTHING, DIALECT, JsonSchema, definitions, partly
from scenarios.reference.variables import arms, matrix
from scenarios.scenario.loader import CATALOG
from scenarios.scenario.model import Scenario

FILE = CATALOG / "scenario.schema.json"
"""The schema as it is in the repository and in an installation; `make docs` writes it."""

CHOSEN_BY_NAME = {"policy": "Policy", "rescue_policy": "Policy", "limit": "Limit"}
"""Which registry the keys choose from that are a name, or a table with a name and parameters."""


def stored_schema() -> JsonSchema:
    """The schema as FILE has it: the same one, without the second that it takes to make it."""
    found: JsonSchema = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def scenario_schema() -> JsonSchema:
    """The schema, made from the types; all definitions are in `$defs`."""
    found = definitions([Scenario], written=True)
    for definition in found.values():
        definition["properties"] = {
            name: _of_key(name, schema) for name, schema in definition["properties"].items()
        }
    for name in ("Objective", "Hypothesis"):
        found[name] = _with_metrics(found[name])
    chosen = events(found)
    root = found.pop("Scenario")
    root["properties"]["event"] |= {"items": {"$ref": "#/$defs/Event"}}
    root["properties"]["matrix"] |= matrix()
    root["properties"]["arms"] |= arms()
    plain = {name: schema for name, schema in found.items() if "do" not in schema["properties"]}
    return {
        "$schema": DIALECT,
        **root,
        "title": "reconnect-storm scenario",
        "$defs": {**plain, **policies(), **limits(), **chosen},
    }


def _of_key(name: str, schema: JsonSchema) -> JsonSchema:
    parts = [part for part in schema.get("anyOf", []) if part != {"type": "null"}]
    if not parts:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if [part.get("type") for part in parts] == ["string", "object"]:
        registry = CHOSEN_BY_NAME[name]
        by_name, by_table = ({"$ref": f"#/$defs/{registry}{form}"} for form in ("Name", "Table"))
        choice = {"if": partly({}, type="object"), "then": by_table, "else": by_name}
        return {**rest, "anyOf": [by_name, by_table, ANYTHING], **choice}
    return {**parts[0], **rest} if len(parts) == 1 else {**rest, "anyOf": parts}


def _with_metrics(schema: JsonSchema) -> JsonSchema:
    """An SLO names a metric that is measured in its phase."""
    names = [f"{metric.name}, {metric.unit}" for metric in SLO_METRICS.values()]
    metric = {"enum": [*SLO_METRICS], "x-taplo": {"docs": {"enumValues": names}}}
    in_a_phase = partly({"phase": {"enum": ["before", "during", "after"]}}, required=["phase"])
    return {
        **schema,
        "properties": {**schema["properties"], "metric": schema["properties"]["metric"] | metric},
        "if": in_a_phase,
        "then": partly({"metric": {"enum": [*PHASE_METRICS]}}),
        "else": partly({"metric": {"enum": [*STORM_METRICS]}}),
    }
