"""`compare` as somebody types it, with a runner that writes the runs without running anything."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from scenarios.cli.main import main
from scenarios.runner.plan import Plan
from tests.support.command_results import words
from tests.support.histories import END_S, history, seconds, storm, with_seconds

ARMS = 'arms={naive={"fleet.policy"="naive"}, incident={"fleet.policy"="incident"}}'


class Runner:
    """Writes run directories: `incident` recovers after ten seconds, `naive` never; a control is calm."""

    def __init__(self) -> None:
        self.played: list[str] = []
        self.unsteady = False

    def __call__(self, plan: Plan, _retries: int, _view: object) -> bool:
        self.played.append(plan.directory.name)
        recovers = plan.arm == "incident" or (self.unsteady and plan.round % 2 == 0)
        rows = seconds(0, 30) if plan.control else storm(lambda t: 100.0 if recovers and t >= 18 else 5.0)
        run = history(
            rows,
            trigger_s=None if plan.control else 8,
            scenario=msgspec.to_builtins(plan.scenario),
            arm=plan.arm,
            round=plan.round,
            control=plan.control,
            started_utc=f"2026-11-22T20:{len(self.played):02}:00Z",
        )
        with_seconds(run, plan.directory)
        return True


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Runner:
    made = Runner()
    monkeypatch.setattr("scenarios.cli.commands.run.run_until_quiet", made)
    monkeypatch.setattr("scenarios.host.machine.leftovers", list)
    return made


def typed(folder: Path, *arguments: str) -> Result:
    sets = (
        "matrix={}",
        ARMS,
        "fleet.clients=100",
        f"phases.duration_s={END_S}",
        "phases.rescue_at_s=0",
    )
    overrides = [part for override in sets for part in ("--set", override)]
    return CliRunner().invoke(main, ["compare", "--runs", str(folder), *overrides, *arguments])


def test_a_comparison_says_before_it_starts_what_it_will_take(tmp_path: Path, runner: Runner) -> None:
    result = typed(tmp_path)
    assert words(result).startswith(
        "1 round of 2 arms and 1 control run: at most 3 min, without retries. 1 round: no test of the arms."
    )
    assert len(runner.played) == 3
    assert "Decided" not in result.output


def test_until_decided_it_ends_with_the_round_that_decides(tmp_path: Path, runner: Runner) -> None:
    result = typed(tmp_path, "--until-decided", "--max-rounds", "6")
    assert result.exit_code == 0, result.output
    assert runner.played[-1].startswith("05-")
    assert (
        "Decided after 5 rounds, against the reference “naive”: “incident”: better than the reference"
        in words(result)
    )
    assert "Not decided" not in result.output


def test_until_decided_it_ends_at_the_limit_and_says_what_is_open(tmp_path: Path, runner: Runner) -> None:
    runner.unsteady = True
    result = typed(tmp_path, "--until-decided", "--max-rounds", "6")
    assert runner.played[-1].startswith("06-")
    assert "Not decided: “incident”." in words(result)


def test_json_on_stdout_is_not_mixed_with_sentences(tmp_path: Path, runner: Runner) -> None:
    result = typed(tmp_path, "--until-decided", "--max-rounds", "5", "--json")
    assert len(msgspec.json.decode(result.stdout)) == len(runner.played) == 11
    assert "Decided after 5 rounds" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--until-decided", "--set", "arms={}"), "mass-drop: --until-decided: needs at least 2 arms"),
        (("--max-rounds", "5"), "--max-rounds: needs --until-decided"),
        (("--until-decided", "--max-rounds", "4"), "expected >= 5, the fewest that can decide anything"),
        (
            ("--until-decided", "--repeats", "7", "--max-rounds", "6"),
            "invalid value 6: expected >= 7, the value of --repeats",
        ),
    ],
)
def test_limits_that_decide_nothing_are_refused(
    tmp_path: Path, runner: Runner, arguments: tuple[str, ...], said: str
) -> None:
    result = typed(tmp_path, *arguments)
    assert result.exit_code == 2
    assert said in words(result)
    assert not runner.played
