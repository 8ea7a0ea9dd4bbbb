"""The command line of `schema`: what it prints, what it writes, and what it refuses."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scenarios.cli.main import main
from scenarios.reference.result_schema import run_schema
from scenarios.reference.scenario_schema import scenario_schema


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["schema", *arguments])


def test_the_schema_of_scenarios_is_the_one_that_is_meant() -> None:
    wanted = scenario_schema()
    for arguments in ((), ("scenario",)):
        result = typed(*arguments)
        assert result.exit_code == 0
        assert json.loads(result.output) == wanted


@pytest.mark.parametrize(("what", "title"), [("result", "result"), ("run", "run.json")])
def test_results_and_run_json_have_their_own(what: str, title: str) -> None:
    assert json.loads(typed(what).output)["title"] == f"reconnect-storm {title}"


def test_results_have_every_command() -> None:
    known = json.loads(typed("result").output)["$defs"]
    assert {"run", "compare", "gate", "doctor", "measure", "calibrate-gate"} <= known.keys()


def test_a_schema_is_written_to_a_file_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / ".storm.schema.json"
    result = typed("run", "--output", str(file))
    assert result.output.split() == ["schema:", str(file)]
    assert json.loads(file.read_text(encoding="utf-8")) == run_schema()
    assert [*tmp_path.iterdir()] == [file]


def test_what_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    result = typed("--output", str(tmp_path / "no" / "file.json"))
    assert result.exit_code == 2
    assert "No such file or directory" in result.output
    assert len(result.output.splitlines()) == 1


def test_an_unknown_schema_is_refused() -> None:
    result = typed("scenarios")
    assert result.exit_code == 2
    assert "WHAT: invalid value 'scenarios': expected one of scenario, result, run" in result.output
