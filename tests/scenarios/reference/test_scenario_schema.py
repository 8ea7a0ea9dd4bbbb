"""The schema accepts what the loader accepts, and refuses unknown keys, wrong types, values out of range."""

import copy
import json
import math
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from scenarios.events.registry import EVENTS
from scenarios.limits.registry import LIMITS
from scenarios.policies.registry import POLICIES
from scenarios.reference.examples import example
from scenarios.reference.keys import Key, keys
from scenarios.reference.scenario_schema import CHOSEN_BY_NAME, FILE, scenario_schema
from scenarios.scenario.arms import arms
from scenarios.scenario.loader import catalog, load
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import ScenarioError, build

ROOT = Path(__file__).parents[3]
FILES = [*catalog().values(), *sorted((ROOT / "examples").glob("*/storm.toml"))]
SCHEMA = scenario_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def name_of(path: Path) -> str:
    return "/".join(path.parts[-2:])


def complaints(table: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(table)]


def parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def loads(table: dict[str, Any]) -> bool:
    try:
        build(table, source="storm.toml")
    except ScenarioError:
        return False
    return True


def fits_the_types(table: dict[str, Any]) -> bool:
    try:
        msgspec.convert(table, Scenario)
    except msgspec.ValidationError:
        return False
    return True


# -- files that exist -----------------------------------------------------------------------------


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_scenario_file_fits_the_schema(path: Path) -> None:
    assert complaints(parsed(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_first_line_of_a_scenario_file_leads_to_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    directive, place = first.split(" ")
    assert directive == "#:schema"
    assert (path.parent / place).resolve() == FILE.resolve()


@pytest.mark.parametrize("name", ["mass-drop", "nat"])
def test_the_first_line_changes_no_scenario(name: str, tmp_path: Path) -> None:
    text = catalog()[name].read_text(encoding="utf-8")
    without = tmp_path / f"{name}.toml"
    without.write_text(text.partition("\n")[2], encoding="utf-8")
    assert load(str(without)) == load(name)


def test_what_the_program_has_for_editors_is_the_schema() -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == SCHEMA


# -- what editors show ----------------------------------------------------------------------------


@pytest.mark.parametrize("key", keys().values(), ids=keys())
def test_a_key_has_a_meaning(key: Key) -> None:
    assert key.meaning.endswith((".", "`"))


def test_every_definition_and_every_key_has_a_title_and_a_text() -> None:
    for name, definition in SCHEMA["$defs"].items():
        assert definition["title"], name
        for key, schema in definition.get("properties", {}).items():
            if schema is not True and "const" not in schema and "$ref" not in schema:
                assert schema["title"].startswith(key), (name, key)
                assert schema["description"], (name, key)


def test_a_key_says_its_unit_its_bounds_and_its_default() -> None:
    timeout = SCHEMA["$defs"]["Fleet"]["properties"]["connect_timeout_s"]
    assert timeout["title"] == "connect_timeout_s (seconds)"
    assert timeout["description"].endswith("Seconds, above 0, up to 86,400. Default: `1`.")
    assert timeout["default"] == 1.0
    ramp = SCHEMA["$defs"]["Fleet"]["properties"]["max_attempts_per_s"]
    assert "Per second, whole number, 0 to 1,000,000." in ramp["description"]


def test_a_policy_has_the_defaults_of_its_name() -> None:
    assert SCHEMA["$defs"]["policy.incident"]["properties"]["min_ms"]["default"] == 200.0
    assert SCHEMA["$defs"]["policy.socketio-js"]["properties"]["reconnectionDelay"]["default"] == 1000.0


def test_no_pattern_is_of_one_dialect_only() -> None:
    assert "\\Z" not in json.dumps(SCHEMA)


# -- single keys ----------------------------------------------------------------------------------

ACCEPTED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a whole number where a number is expected": {"fleet": {"connect_timeout_s": 2}},
    "shares of clients": {"fleet": {"clients_per_ip": [{"share": 1.0, "clients_per_ip": 3}]}},
    "a command in words": {"gateway": {"command": ["node", "server.js"]}},
    "a policy of one's own": {"fleet": {"policy": "my_policy:delays"}},
    "a policy of one's own with parameters": {"fleet": {"policy": {"name": "my:delays", "base_s": "x"}}},
    "a stock client of one version": {"fleet": {"policy": "socketio-js@4.8"}},
    "a parameter of an older file": {"fleet": {"policy": {"name": "socketio-js", "min_ms": 200}}},
    "several limits": {"edge": {"limit": "per-ip+global"}},
    "several limits with parameters": {
        "edge": {"limit": {"name": "per-ip + lag-shed", "per-ip": {"burst": 5}, "dry_run": True}}
    },
    "a random time": {"event": [{"at_s": 3, "do": "feed_stall", "every_s": [3, 4], "times": 2}]},
    "a key of an event in an arm": {"arms": {"late": {"event.0.at_s": 3}}},
    "parameters in a matrix": {"matrix": {"fleet.policy.min_ms": [1, 2]}},
    "a switch in a matrix": {"matrix": {"event.1.enabled": [True, False]}},
    "a variable in an arm": {"arms": {"one": {'gateway.environment."A"': "1"}}},
    "a list in an arm": {"arms": {"one": {"event.0.every_s": [1, 2]}}},
    "a table in an arm": {"arms": {"one": {"gateway.metrics": {"path": "/m"}}}},
}


@pytest.mark.parametrize("table", ACCEPTED.values(), ids=ACCEPTED)
def test_the_schema_accepts(table: dict[str, Any]) -> None:
    assert complaints(table) == []


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown table": ({"flet": {}}, "'flet' was unexpected"),
    "an unknown key": ({"fleet": {"clents": 3}}, "'clents' was unexpected"),
    "an unknown key of a nested table": ({"gateway": {"metrics": {"pth": ""}}}, "'pth' was unexpected"),
    "too small a number": ({"fleet": {"clients": 0}}, "less than the minimum"),
    "a number where text is expected": ({"gateway": {"path": 3}}, "not of type 'string'"),
    "text where a number is expected": ({"gateway": {"pods": "two"}}, "not of type 'integer'"),
    "an unknown choice": ({"edge": {"proxy": "caddy"}}, "'caddy' is not one of"),
    "an unknown policy": ({"fleet": {"policy": "naiv"}}, "'naiv' is not one of"),
    "a version of a policy that has none": ({"fleet": {"policy": "naive@1"}}, "does not match"),
    "an unknown policy in a table": ({"fleet": {"policy": {"name": "naiv"}}}, "'naiv' is not one of"),
    "a policy without a name": ({"fleet": {"policy": {"min_ms": 3}}}, "'name' is a required property"),
    "a parameter of another policy": (
        {"fleet": {"policy": {"name": "naive", "min_ms": 3}}},
        "'min_ms' was unexpected",
    ),
    "a parameter out of range": (
        {"fleet": {"policy": {"name": "incident", "jitter": 2}}},
        "greater than the maximum",
    ),
    "an unknown limit": ({"edge": {"limit": "per-ipp"}}, "'per-ipp' is not one of"),
    "an unknown limit among several": ({"edge": {"limit": "per-ip+globl"}}, "does not match"),
    "a parameter of another limit": ({"edge": {"limit": {"name": "lag-shed", "burst": 1}}}, "'burst'"),
    "a parameter beside several limits": (
        {"edge": {"limit": {"name": "per-ip+global", "burst": 1}}},
        "'burst' was unexpected",
    ),
    "an unknown event": ({"event": [{"at_s": 3, "do": "drop_al"}]}, "'drop_al' is not one of"),
    "an event without a name": ({"event": [{"at_s": 3}]}, "'do' is a required property"),
    "a key of another event": ({"event": [{"at_s": 3, "do": "drop_all", "share": 1}]}, "'share'"),
    "a missing parameter": ({"event": [{"at_s": 3, "do": "drop_share"}]}, "'share' is a required"),
    "an unknown key in a matrix": ({"matrix": {"fleet.polcy": ["naive"]}}, "fleet.polcy"),
    "an unknown value in a matrix": ({"matrix": {"fleet.policy": ["nave"]}}, "'nave' is not one of"),
    "a matrix without values": ({"matrix": {"fleet.policy": []}}, "non-empty"),
    "a value twice in a matrix": ({"matrix": {"fleet.clients": [3, 3]}}, "non-unique"),
    "a list in a matrix": ({"matrix": {"event.0.every_s": [[1, 2]]}}, "should not be valid"),
    "an unknown key in an arm": ({"arms": {"one": {"fleet.polcy": "naive"}}}, "fleet.polcy"),
    "an unknown key of an event in an arm": ({"arms": {"one": {"event.0.shre": 0.5}}}, "event.0.shre"),
    "a metric of another phase": (
        {"slo": [{"metric": "amplification", "phase": "before", "operator": "<", "bound": 1}]},
        "'amplification' is not one of",
    ),
}


@pytest.mark.parametrize(("table", "said"), REFUSED.values(), ids=REFUSED)
def test_the_schema_refuses_what_the_loader_refuses(table: dict[str, Any], said: str) -> None:
    assert said in "\n".join(complaints(table))
    with pytest.raises(ScenarioError):
        arms(build(copy.deepcopy(table), source="storm.toml"))


# -- registries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVENTS)
def test_the_example_of_an_event_fits(name: str) -> None:
    assert complaints(parsed(example(EVENTS[name]))) == []


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_fits_by_name_and_as_a_table_with_its_parameters(name: str) -> None:
    kind, defaults = POLICIES[name]
    parameters = {**json.loads(msgspec.json.encode(kind())), **defaults}
    given = {key: value for key, value in parameters.items() if value is not None}
    for spec in (name, {"name": name, **given}):
        assert complaints({"fleet": {"policy": spec}, "phases": {"rescue_policy": spec}}) == []


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_fits_by_name_and_as_a_table_with_its_parameters(name: str) -> None:
    parameters = json.loads(msgspec.json.encode(LIMITS[name]()))
    given = {key: value for key, value in parameters.items() if value is not None}
    for spec in (name, {"name": name, **given}):
        assert complaints({"edge": {"limit": spec}}) == []


# -- any value for any key ------------------------------------------------------------------------

# Python's `$` also matches before a line break at the end; in JSON Schema it does not.
TEXTS = st.text(max_size=5).filter(lambda text: not text.endswith("\n"))
NUMBERS = st.floats(allow_nan=False).filter(lambda number: not math.isfinite(number) or number % 1 != 0)
VALUES = st.one_of(
    st.integers(-3, 100_000_000),
    NUMBERS,
    st.booleans(),
    TEXTS,
    st.just({}),
    st.lists(st.one_of(st.integers(-1, 3), TEXTS), max_size=3),
    st.sampled_from(["SIGTERM", "hash", "before", "<=", "wall", "/x", "http://x"]),
)
SINGLE = [
    key
    for key in keys().values()
    if not key.table.listed and key.path not in {"matrix", "arms", "event", "slo"}
]


def with_value(key: Key, value: Any) -> dict[str, Any]:
    table: dict[str, Any] = {key.parameter.name: value}
    for name in reversed([part for part in key.table.path.split(".") if part]):
        table = {name: table}
    if key.table.path == "hypothesis":
        given = {"metric": "availability", "operator": "<", "bound": 1, "statement": "It recovers."}
        table = {"hypothesis": {**given, key.parameter.name: value}}
    return table


@given(st.sampled_from(SINGLE), VALUES)
def test_any_value_of_a_key_is_accepted_by_both_or_refused_by_both(key: Key, value: Any) -> None:
    table = with_value(key, value)
    if key.parameter.name in CHOSEN_BY_NAME:
        if loads(copy.deepcopy(table)):
            assert complaints(table) == []
    else:
        assert (complaints(table) == []) == fits_the_types(table), (table, complaints(table))


@given(st.sampled_from([*EVENTS]), st.data(), VALUES)
def test_any_value_of_an_event_is_accepted_by_both_or_refused_by_both(
    name: str, data: st.DataObject, value: Any
) -> None:
    key = data.draw(st.sampled_from(EVENTS[name].__struct_fields__))
    (event,) = parsed(example(EVENTS[name]))["event"]
    table = {"event": [{**event, key: value}]}
    if key in CHOSEN_BY_NAME:
        if loads(copy.deepcopy(table)):
            assert complaints(table) == []
    else:
        assert (complaints(table) == []) == fits_the_types(table), (table, complaints(table))


@settings(max_examples=20)  # each of them checks a whole file
@given(st.sampled_from(FILES), st.data(), st.from_regex(r"[a-z][a-z_]{2,8}", fullmatch=True))
def test_an_unknown_key_is_refused_by_both_wherever_it_stands(
    path: Path, data: st.DataObject, unknown: str
) -> None:
    table = parsed(path.read_text(encoding="utf-8"))
    places = [table, *(value for name, value in table.items() if name not in {"matrix", "arms"})]
    tables = [entry for value in places for entry in (value if isinstance(value, list) else [value])]
    place = data.draw(st.sampled_from([entry for entry in tables if isinstance(entry, dict)]))
    if unknown in keys() or any(unknown == path.rpartition(".")[2] for path in keys()):
        return
    place[unknown] = 1
    assert f"'{unknown}' was unexpected" in "\n".join(complaints(table))
    assert not loads(table)
