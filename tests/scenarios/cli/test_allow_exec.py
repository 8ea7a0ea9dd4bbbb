"""Commands of a scenario run only where somebody has asked for it, and never in a model."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scenarios.cli.main import main
from scenarios.runner.plan import plans
from scenarios.scenario.loader import load
from tests.support.command_results import assert_refused

EXEC = (
    *("--set", 'commands.allow=[["touch"]]'),
    *("--set", 'event=[{at_s=6, do="exec", command=["touch", "here"]}]'),
)
MISSING = (
    *("--set", 'commands.allow=[["no-such-kubectl"]]'),
    *("--set", 'event=[{at_s=6, do="exec", command=["no-such-kubectl"]}]'),
)


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("command", ["run", "compare", "rehearse", "gate"])
def test_a_scenario_with_commands_is_refused_unless_they_are_asked_for(tmp_path: Path, command: str) -> None:
    result = typed(command, "mass-drop", *EXEC, "--set", "matrix={}", "--runs", str(tmp_path / "runs"))
    assert_refused(result, "event[0].do", "`touch here`", "expected --allow-exec")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", ["run", "compare", "rehearse", "gate"])
def test_a_command_that_does_not_exist_is_found_before_anything_is_started(
    tmp_path: Path, command: str
) -> None:
    arguments = (*MISSING, "--set", "matrix={}", "--allow-exec", "--runs", str(tmp_path / "runs"))
    assert_refused(typed(command, "mass-drop", *arguments), "event[0].command: no-such-kubectl was not found")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("settings", "good", "said"),
    [
        (EXEC, True, "touch here; they run only with --allow-exec"),
        (MISSING, False, "event[0].command: no-such-kubectl was not found"),
    ],
    ids=["there", "missing"],
)
def test_the_doctor_looks_for_the_commands(settings: tuple[str, ...], good: bool, said: str) -> None:
    found = {one["what"]: one for one in json.loads(typed("doctor", *settings, "--json").output)}
    assert found["Commands"]["good"] is good
    assert said in found["Commands"]["found"]


@pytest.mark.parametrize("command", ["simulate", "tune"])
def test_a_model_refuses_commands_and_says_what_stands_for_them(tmp_path: Path, command: str) -> None:
    result = typed(command, "mass-drop", *EXEC, "--runs", str(tmp_path / "runs"))
    assert_refused(result, "event[0].do: exec not supported by simulate and tune", "such as deploy or scale")


def test_a_model_has_nothing_against_a_command_that_is_switched_off() -> None:
    # The check of the command line alone: nothing is simulated.
    from scenarios.cli.commands.simulate import check_known

    off = 'event=[{at_s=6, do="exec", command=["touch"], enabled=false}, {at_s=6, do="drop_all"}]'
    check_known(load("mass-drop", ['commands.allow=[["touch"]]', off]))


def test_every_run_of_a_comparison_knows_whether_commands_are_allowed(tmp_path: Path) -> None:
    def allowed(*, allow_exec: bool) -> set[bool]:
        made = plans(load("mass-drop"), repeats=2, directory=tmp_path, allow_exec=allow_exec)
        return {plan.allow_exec for plan in made if not plan.control}

    assert allowed(allow_exec=False) == {False}
    assert allowed(allow_exec=True) == {True}
