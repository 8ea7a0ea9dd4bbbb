"""What commands print with `--json`, and run.json, fit their schemas."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from reports.gate.decision import Side, decide
from reports.gate.measures import gauges
from reports.rundir.schema import RunInfo
from scenarios.cli.commands.doctor import Finding
from scenarios.cli.commands.gate_output import as_json
from scenarios.cli.main import main
from scenarios.reference.result_schema import RESULTS, result_schema, run_schema
from tests.support.gate_runs import run, side
from tests.support.histories import history, seconds, storm, with_seconds

RESULT = result_schema({"doctor": tuple[Finding, ...]})
RUN = run_schema()


def complaints(value: Any, schema: dict[str, Any]) -> list[str]:
    return [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(value)
    ]


def of(command: str) -> dict[str, Any]:
    """The schema of one command."""
    return {**RESULT, "anyOf": [{"$ref": f"#/$defs/{command}"}]}


def printed(*arguments: str) -> Any:
    return json.loads(CliRunner().invoke(main, arguments).stdout)


@pytest.fixture(scope="module", params=["recovered", "failed"])
def directory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory as a run leaves it."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    if request.param == "failed":
        with_seconds(history(seconds(0, 3), status="failed", problem="pod-0 ended"), folder)
    else:
        with_seconds(history(storm(lambda t: 100.0 if t > 12 else 20.0)), folder)
    return folder


@pytest.mark.parametrize("schema", [RESULT, RUN], ids=["results", "run.json"])
def test_the_schema_is_one(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert all(definition.get("title") or "$ref" in definition or "items" in definition
               for definition in schema["$defs"].values())  # fmt: skip


def test_run_json_fits_its_schema_before_and_after_the_run_was_judged(directory: Path) -> None:
    file = directory / "run.json"
    info = json.loads(file.read_text(encoding="utf-8"))
    for results in ("summary", "validity", "verdict"):
        info[results] = {}
    assert complaints(info, RUN) == []
    printed("report", str(directory), "--json")
    judged = json.loads(file.read_text(encoding="utf-8"))
    assert judged["verdict"]
    assert complaints(judged, RUN) == []


def test_a_key_of_run_json_that_is_missing_or_wrong_is_named(directory: Path) -> None:
    info = json.loads((directory / "run.json").read_text(encoding="utf-8"))
    del info["arm"]
    info["status"] = "good"
    text = "\n".join(complaints(info, RUN))
    assert "'arm' is a required property" in text
    assert "'good' is not one of" in text


def test_a_report_on_runs_fits(directory: Path) -> None:
    found = printed("report", str(directory), "--json")
    for command in ("run", "compare", "simulate", "report"):
        assert complaints(found, of(command)) == []
    (result,) = found
    assert result.keys() <= RESULT["$defs"]["RunResult"]["properties"].keys()


DECISIONS: dict[str, tuple[Side | None, Side]] = {
    "alike": (side(*[run(availability=0.7)] * 4), side(*[run(availability=0.7)] * 4, name="candidate")),
    "without a baseline": (None, side(run(availability=0.7), name="candidate")),
    "never recovered": (side(run(time_to_recover_s=3)), side(run(time_to_recover_s=None), name="candidate")),
    "a lower bound": (side(run(effective_p99_after=[3.0])), side(run(effective_p99_after=3.0))),
    "nothing valid": (side(run()), side(run("INVALID"), name="candidate")),
}


@pytest.mark.parametrize("sides", DECISIONS.values(), ids=DECISIONS)
def test_the_decision_of_a_gate_fits(sides: tuple[Side | None, Side], tmp_path: Path) -> None:
    found = json.loads(as_json(decide(*sides, gauges()), "gate-quick", tmp_path))
    assert complaints(found, of("gate")) == []
    assert found.keys() <= RESULT["$defs"]["GateResult"]["properties"].keys()


def test_the_lists_of_what_there_is_and_of_checks_fit() -> None:
    assert complaints(printed("list", "--json"), of("list")) == []
    assert complaints(printed("doctor", "--json"), of("doctor")) == []


def test_the_findings_of_lint_fit(tmp_path: Path) -> None:
    file = tmp_path / "chat.conf"
    file.write_text("location /ws { proxy_pass http://127.0.0.1:3000; }\n", encoding="utf-8")
    found = printed("lint", str(file), "--fail-on", "never", "--json")
    assert complaints(found, of("lint")) == []
    assert {one["rule"] for one in found} >= {"nginx-websocket-headers"}


def test_a_result_of_another_command_does_not_fit() -> None:
    assert complaints(printed("list", "--json"), of("gate"))


def test_every_command_with_json_has_a_schema() -> None:
    from click import Context

    from scenarios.cli.main import COMMANDS

    with_json = set()
    for name in COMMANDS:
        command = main.get_command(Context(main), name)
        assert command is not None
        if any("--json" in parameter.opts for parameter in command.params):
            with_json.add(name)
    assert with_json == {*RESULTS, "doctor"}


def test_every_field_of_run_json_is_in_its_schema() -> None:
    assert {*RUN["properties"]} == {*RunInfo.__struct_fields__}
    assert RUN["properties"]["verdict"]["then"] == {"$ref": "#/$defs/Verdict"}


def test_fields_have_the_words_of_their_docstrings() -> None:
    phase = RESULT["$defs"]["PhaseSummary"]["properties"]["effective_p99"]
    assert phase["description"].startswith("Over all clients")
    assert "Required" not in json.dumps(RESULT)
