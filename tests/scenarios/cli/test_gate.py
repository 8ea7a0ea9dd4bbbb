"""The gate as somebody types it: recorded runs, exit statuses, outputs, and everything that it refuses."""

import csv
import json
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from scenarios.cli.main import main
from scenarios.gate.rounds import Player, Schedule
from scenarios.host.process import AbortedError, StackError
from tests.support.command_results import assert_refused, words
from tests.support.histories import history, scenario, storm, with_seconds

SLO = [{"metric": "availability", "phase": "storm", "operator": ">=", "bound": 0.5}]


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["gate", *map(str, arguments)])


def recorded(folder: Path, back_s: float, *, runs: int = 6, **info: Any) -> Path:
    """Runs of a storm from which everybody is back after `back_s` seconds; the folder that they are in."""
    made = {"scenario": scenario(), **info}
    rows = storm(lambda t: 0.0 if t < 8 + back_s else 100.0)
    for number in range(runs):
        with_seconds(history(rows, **made), folder / f"{number:02}")
    return folder


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("fast"), 5)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("slow"), 15)


@pytest.fixture(autouse=True)
def _no_storm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may start one."""

    def play(*_: object, **__: object) -> None:
        raise AssertionError("a storm was started")

    monkeypatch.setattr("scenarios.cli.commands.gate.play", play)


def test_runs_that_are_alike_pass(fast: Path) -> None:
    result = typed("--baseline", f"runs:{fast}", "--candidate", f"runs:{fast}")
    assert result.exit_code == 0, result.output
    assert words(result).startswith("PASS: no regression")


def test_runs_that_are_worse_are_a_regression(fast: Path, slow: Path) -> None:
    result = typed("--baseline", f"runs:{fast}", "--candidate", f"runs:{slow}")
    assert result.exit_code == 1, result.output
    assert words(result).startswith("REGRESSION: ")
    assert "did not alternate" in words(result)


def test_runs_that_are_better_pass(fast: Path, slow: Path) -> None:
    assert typed("--baseline", f"runs:{slow}", "--candidate", f"runs:{fast}").exit_code == 0


def test_too_few_runs_are_inconclusive(tmp_path: Path, fast: Path) -> None:
    few = recorded(tmp_path, 5, runs=2)
    result = typed("--baseline", f"runs:{fast}", "--candidate", f"runs:{few}")
    assert result.exit_code == 4
    assert "more rounds needed to decide" in words(result)


def test_no_valid_run_is_invalid_on_either_side(tmp_path: Path, fast: Path) -> None:
    broken = recorded(tmp_path, 5, status="interrupted", problem="somebody pulled the plug")
    for baseline, candidate in ((fast, broken), (broken, fast)):
        result = typed("--baseline", f"runs:{baseline}", "--candidate", f"runs:{candidate}")
        assert result.exit_code == 3
        assert "INVALID: runs:" in words(result)
        assert "somebody pulled the plug" in words(result)


def test_a_stored_baseline_without_a_valid_run_is_invalid_before_anything_is_started(tmp_path: Path) -> None:
    broken = recorded(tmp_path / "broken", 5, status="interrupted")
    result = typed("--baseline", f"runs:{broken}", "--runs", tmp_path / "runs")
    assert result.exit_code == 3
    assert not (tmp_path / "runs").exists()


def test_objectives_alone_decide_on_recorded_runs(tmp_path: Path) -> None:
    kept = recorded(tmp_path / "kept", 5, runs=2, scenario=scenario(slo=SLO))
    broken = recorded(tmp_path / "broken", 40, runs=2, scenario=scenario(slo=SLO))
    assert typed("--candidate", f"runs:{kept}").exit_code == 0
    result = typed("--candidate", f"runs:{broken}")
    assert result.exit_code == 1
    assert words(result).startswith("REGRESSION: SLO availability ≥ 50 %")


ENOUGH: dict[str, tuple[int, int, tuple[str, ...], int]] = {
    "two runs": (2, 0, (), 0),
    "one run, and nobody asked for more": (1, 0, (), 0),
    "one run of two that were asked for": (1, 0, ("--rounds", "2"), 4),
    "one run of two, as the host invalidated the other": (1, 1, (), 4),
    "two runs of three, as the host invalidated the other": (2, 1, (), 0),
    "two runs of three that were asked for": (2, 1, ("--rounds", "3"), 4),
    "one run, as asked for": (1, 2, ("--rounds", "1"), 0),
}


@pytest.mark.parametrize(("valid", "disturbed", "options", "status"), ENOUGH.values(), ids=ENOUGH)
def test_objectives_are_met_by_as_many_valid_runs_as_there_should_be(
    tmp_path: Path, valid: int, disturbed: int, options: tuple[str, ...], status: int
) -> None:
    recorded(tmp_path / "valid", 5, runs=valid, scenario=scenario(slo=SLO))
    spoilt(tmp_path / "spoilt", disturbed)
    result = typed("--candidate", f"runs:{tmp_path}", *options)
    assert result.exit_code == status, result.output


def spoilt(folder: Path, runs: int) -> None:
    """Runs that meet the objectives, and during which others had the cores."""
    rows = [row | {"foreign_cpu": 1.0} for row in storm(lambda t: 0.0 if t < 13 else 100.0)]
    for number in range(runs):
        with_seconds(history(rows, scenario=scenario(slo=SLO)), folder / f"{number:02}")


@pytest.mark.parametrize(
    ("options", "rounds", "status"),
    [((), 3, 0), (("--max-rounds", "2"), 2, 4), (("--rounds", "1"), 2, 0)],
    ids=["goes on", "cannot go on", "one run is enough"],
)
def test_a_gate_of_objectives_goes_on_until_it_has_as_many_valid_runs_as_rounds_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], rounds: int, status: int
) -> None:
    played: list[int] = []

    async def play(
        _: Any, schedule: Schedule, directory: Path, *__: object, enough: Any, **___: object
    ) -> None:
        for number in range(1, schedule.most_rounds + 1):
            folder = directory / "candidate" / f"{number:02}"
            if number == 1:
                spoilt(folder, 1)
            else:
                recorded(folder, 5, runs=1, scenario=scenario(slo=SLO))
            played.append(number)
            if enough(number) and number >= schedule.rounds:
                return

    monkeypatch.setattr("scenarios.cli.commands.gate.play", play)
    result = typed("gate-quick", "--runs", tmp_path, *options)
    assert (result.exit_code, len(played)) == (status, rounds), result.output


FOREIGN: dict[str, tuple[dict[str, Any], str]] = {
    "another load": ({"scenario": scenario(fleet__clients=7)}, "fleet.clients"),
    "another machine": ({"machine": {"cores": 64, "cpu_model": "test", "pinned": True}}, "machine: cores"),
    "other versions": ({"versions": {"reconnect-storm": "0.1.0", "nginx": "1.9"}}, "versions: nginx"),
    "another scenario": ({"scenario": scenario(name="other")}, "name: "),
}


@pytest.mark.parametrize(("info", "said"), FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_baseline_is_refused(tmp_path: Path, fast: Path, info: dict[str, Any], said: str) -> None:
    foreign = recorded(tmp_path, 5, runs=1, **info)
    assert_refused(typed("--baseline", f"runs:{foreign}", "--candidate", f"runs:{fast}"), said)


def test_runs_of_another_schema_are_refused(tmp_path: Path, fast: Path) -> None:
    old = recorded(tmp_path, 5, runs=1)
    path = old / "00" / "run.json"
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 1'))
    assert_refused(typed("--baseline", f"runs:{old}", "--candidate", f"runs:{fast}"), "schema version 1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--baseline", "runs:/nowhere"), ("/nowhere", "no run directory")),
        pytest.param(
            *(("--baseline", "git:no-such-branch"), ("git:no-such-branch", "expected a branch")),
            marks=pytest.mark.needs_checkout,
        ),
        pytest.param(
            *(("--baseline", "git:--upload-pack=x"), ("git:--upload-pack=x", "expected a branch")),
            marks=pytest.mark.needs_checkout,
        ),
        (("--baseline", "nope.toml"), ("nope.toml", "no such scenario")),
        (("--set", "slo=[]"), ("gate-quick", "slo: missing", "--baseline")),
        (("--rounds", "5", "--max-rounds", "3"), ("--max-rounds: invalid value 3: expected >= 5",)),
        (
            ("--baseline", "gate-quick", "--rounds", "2", "--max-rounds", "3"),
            ("--max-rounds: invalid value 3: expected >= 5 to decide on 8 metrics",),
        ),
        (("--set", "fleet.clients=x"), ("fleet.clients", "'x'")),
        (("--junit", "/nowhere/at/all.xml"), ("all.xml", "no such folder")),
    ],
)
def test_a_mistake_costs_one_line_and_no_run(
    tmp_path: Path, arguments: tuple[str, ...], said: tuple[str, ...]
) -> None:
    assert_refused(typed(*arguments, "--runs", tmp_path / "runs"), *said)
    assert not (tmp_path / "runs").exists()


def test_an_unknown_measure_is_refused() -> None:
    result = typed("--measure", "joy")
    assert result.exit_code == 2
    assert "joy" in result.output


def test_a_stored_baseline_with_too_few_runs_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    few = recorded(tmp_path / "few", 5, runs=3)
    assert_refused(typed("--baseline", f"runs:{few}"), "has 3 valid runs: expected at least 5")


@pytest.mark.needs_git
def test_every_output_says_the_same(
    tmp_path: Path, fast: Path, slow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    commit(repository)
    monkeypatch.chdir(repository)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    arguments = ("--baseline", f"runs:{fast}", "--candidate", f"runs:{slow}")
    files = ("--junit", "junit.xml", "--csv", "runs.csv", "--trend", "trend.jsonl")
    for _ in range(2):
        result = typed(*arguments, *files)
        assert result.exit_code == 1, result.output
    assert "::error title=REGRESSION mass-drop::" in result.output
    assert "### mass-drop: REGRESSION" in (tmp_path / "summary.md").read_text()
    assert ET.parse("junit.xml").getroot().find(".//failure") is not None
    with Path("runs.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 2 * 6
    assert len(Path("trend.jsonl").read_text().splitlines()) == 2
    ET.parse("trend.jsonl.svg")
    printed = CliRunner().invoke(main, ["gate", *arguments, "--json", "--no-github"])
    whole = json.loads(printed.stdout)
    assert (whole["outcome"], whole["exit_status"], whole["runs"]) == ("regression", 1, None)


@pytest.mark.needs_git
def test_a_trend_needs_a_commit(tmp_path: Path, fast: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = typed("--baseline", f"runs:{fast}", "--candidate", f"runs:{fast}", "--trend", "trend.jsonl")
    assert_refused(result, "git:HEAD")


@pytest.mark.needs_git
def test_a_trend_of_somebody_else_is_left_alone(
    tmp_path: Path, fast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("trend.jsonl").write_text("mine\n")
    result = typed("--baseline", f"runs:{fast}", "--candidate", f"runs:{fast}", "--trend", "trend.jsonl")
    assert_refused(result, "trend.jsonl: line 1")
    assert Path("trend.jsonl").read_text() == "mine\n"


def commit(repository: Path) -> None:
    """A repository with one commit."""
    for arguments in (
        ("init", "--quiet"),
        (
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@localhost",
            "commit",
            "--quiet",
            "--allow-empty",
            "-m",
            "x",
        ),
    ):
        subprocess.run(["git", "-C", str(repository), *arguments], check=True)


# -- a part that failed --------------------------------------------------------------------------------------

CRASH = "pod-1 ended by itself (killed by SIGSEGV); pod-1.log is empty"


def with_a_crash(folder: Path, back_s: float, **info: Any) -> Path:
    """Six good runs, and one during which a pod crashed."""
    recorded(folder, back_s)
    rows = storm(100.0)
    crashed = {"scenario": scenario(), "status": "failed", "problem": CRASH, **info}
    with_seconds(history(rows, **crashed), folder / "06")
    return folder


def test_a_candidate_whose_pod_crashes_does_not_pass(fast: Path, tmp_path: Path) -> None:
    candidate = with_a_crash(tmp_path / "crash", 5)
    file = tmp_path / "gate.xml"
    result = typed("--baseline", f"runs:{fast}", "--candidate", f"runs:{candidate}", "--junit", file)
    assert result.exit_code == 5, result.output
    assert words(result).startswith("FAILED: a part of the stack failed in 1 of 7 runs of runs:")
    assert CRASH in words(result)
    assert "failed" in {error.get("type") for error in ET.parse(file).iter("error")}


def test_a_candidate_that_crashes_fails_even_where_it_is_worse_as_well(fast: Path, tmp_path: Path) -> None:
    candidate = with_a_crash(tmp_path / "crash", 15)
    result = typed("--baseline", f"runs:{fast}", "--candidate", f"runs:{candidate}", "--json")
    whole = json.loads(result.stdout)
    assert (result.exit_code, whole["exit_status"], whole["outcome"]) == (5, 5, "failed")


def test_a_recorded_baseline_that_crashed_once_is_compared_without_that_run(
    fast: Path, tmp_path: Path
) -> None:
    baseline = with_a_crash(tmp_path / "crash", 5)
    result = typed("--baseline", f"runs:{baseline}", "--candidate", f"runs:{fast}")
    assert result.exit_code == 0, result.output
    assert "6 valid runs of 7" in words(result)
    assert CRASH in words(result)


BROKEN_OFF: dict[str, tuple[StackError, int, str]] = {
    "by a crash": (StackError(CRASH), 5, f"FAILED: {CRASH}"),
    "by an abort condition": (AbortedError("aborted: p99"), 3, "INVALID: aborted: p99"),
}


@pytest.mark.parametrize(("error", "status", "said"), BROKEN_OFF.values(), ids=BROKEN_OFF)
def test_a_gate_that_is_broken_off_does_not_pass_on_what_it_has(
    error: StackError, status: int, said: str, fast: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(players: Any, schedule: Any, directory: Path, *_: object, **__: object) -> None:
        # As many as would do, on both sides.
        recorded(directory / "baseline", 5)
        recorded(directory / "candidate", 5)
        raise error

    monkeypatch.setattr("scenarios.cli.commands.gate.play", play)
    result = typed("mass-drop", "--baseline", "mass-drop", "--runs", tmp_path)
    assert result.exit_code == status, result.output
    assert said in words(result)
    assert "PASS" not in words(result)
    assert "Traceback" not in result.output


def test_a_gate_that_goes_on_says_what_is_undecided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(_: Any, schedule: Any, directory: Path, *__: object, enough: Any, **___: object) -> None:
        recorded(directory / "baseline", 5)
        recorded(directory / "candidate", 4)
        assert not enough(schedule.rounds)

    monkeypatch.setattr("scenarios.cli.commands.gate.play", play)
    result = typed("mass-drop", "--baseline", "mass-drop", "--runs", tmp_path)
    assert "round 5: INCONCLUSIVE: " in words(result)


def test_runs_that_failed_keep_a_candidate_from_passing(tmp_path: Path, fast: Path) -> None:
    recorded(tmp_path, 5)
    with_seconds(
        history(storm(lambda t: 0.0 if t < 13 else 100.0), scenario=scenario(), status="interrupted"),
        tmp_path / "06",
    )
    result = typed("--baseline", f"runs:{fast}", "--candidate", f"runs:{tmp_path}")
    assert result.exit_code == 4, result.output
    assert words(result).startswith("INCONCLUSIVE: INVALID runs: 1 of 7 against 0 of 6")


def test_rounds_that_left_no_run_keep_a_candidate_from_passing(tmp_path: Path, fast: Path) -> None:
    recorded(tmp_path, 5)
    (tmp_path / "06").mkdir()
    result = typed("--baseline", f"runs:{fast}", "--candidate", f"runs:{tmp_path}")
    assert result.exit_code == 4, result.output
    assert "1 round produced no run directory" in words(result)


def test_a_gate_whose_candidate_crashes_does_not_pass(
    tmp_path: Path, fast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[int] = []

    async def crashing(
        players: Sequence[Player], schedule: Schedule, directory: Path, *_: object, **options: Any
    ) -> None:
        (player,) = players
        recorded(directory / player.name, 5, scenario=msgspec.to_builtins(player.scenario))
        for number in range(1, 7):
            rounds.append(number)
            if number == schedule.rounds:
                # Whatever the runs so far say, this round never ends.
                raise StackError("pod 0 ended with status 1")
            options["enough"](number)

    monkeypatch.setattr("scenarios.cli.commands.gate.play", crashing)
    monkeypatch.setattr("scenarios.cli.commands.gate._changes", lambda *_: ())
    result = typed("gate-quick", "--baseline", f"runs:{fast}", "--runs", tmp_path)
    assert result.exit_code == 5, result.output
    assert "FAILED: pod 0 ended with status 1" in words(result)
    assert rounds == [1, 2, 3, 4, 5]


# -- what is read from a gate later --------------------------------------------------------------------------


def test_the_metrics_of_the_candidate_are_written_for_bencher(tmp_path: Path, fast: Path, slow: Path) -> None:
    file = tmp_path / "bmf.json"
    result = typed("--baseline", f"runs:{fast}", "--candidate", f"runs:{slow}", "--bencher", file)
    assert result.exit_code == 1, result.output
    measures = json.loads(file.read_text())["mass-drop"]
    assert measures["time-to-recover-s"] == {"value": 15.0, "lower_value": 15.0, "upper_value": 15.0}
    assert measures["availability-percent"].keys() == {"value", "lower_value", "upper_value"}


def test_without_a_valid_run_there_is_nothing_for_bencher(tmp_path: Path, fast: Path) -> None:
    broken = recorded(tmp_path / "broken", 5, status="interrupted", problem="somebody pulled the plug")
    file = tmp_path / "bmf.json"
    typed("--baseline", f"runs:{fast}", "--candidate", f"runs:{broken}", "--bencher", file)
    assert not file.exists()


def test_an_inconclusive_gate_tells_its_scatter_the_rounds_and_where_to_look(tmp_path: Path) -> None:
    for side in ("before", "after"):
        for number, back_s in enumerate((5, 12, 6, 14, 5, 13)):
            recorded(tmp_path / side / f"{number}", back_s, runs=1)
    result = typed("--baseline", f"runs:{tmp_path / 'before'}", "--candidate", f"runs:{tmp_path / 'after'}")
    assert result.exit_code == 4, result.output
    assert "Standard deviation between the runs of this gate:" in words(result)
    assert "time to recover 4" in words(result)
    assert "rounds to exclude a regression of 2 s and 10 %" in words(result)
    assert "`reconnect-storm doctor --noise` estimates in 20 s" in words(result)


def test_a_gate_that_is_decided_says_nothing_of_its_scatter(fast: Path, slow: Path) -> None:
    result = typed("--baseline", f"runs:{fast}", "--candidate", f"runs:{slow}")
    assert "Standard deviation" not in words(result)


@pytest.mark.needs_git
def test_a_gate_mentions_a_change_point_of_its_history(
    tmp_path: Path, fast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(tmp_path)
    monkeypatch.chdir(tmp_path)
    arguments = ("--baseline", f"runs:{fast}", "--candidate", f"runs:{fast}", "--trend", "trend.jsonl")
    typed(*arguments)
    (line,) = Path("trend.jsonl").read_text().splitlines()
    entry = json.loads(line)
    before = json.loads(line)
    availability = before["measures"]["availability"]
    availability |= {"median": availability["median"] * 1.3}
    lines = [json.dumps(before)] * 10 + [json.dumps(entry)] * 9
    Path("trend.jsonl").write_text("\n".join(lines) + "\n")
    result = typed(*arguments)
    assert result.exit_code == 0, result.output
    assert "History of 20 gates, change points for the worse: availability went from" in words(result)
    assert "see `reconnect-storm report --trend trend.jsonl`." in words(result)
    assert "\u2192" in Path("trend.jsonl.svg").read_text()
