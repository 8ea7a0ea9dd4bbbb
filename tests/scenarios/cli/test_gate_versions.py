"""`gate --baseline git:REF` in a repository of the user's own, up to the first run and after the last."""

import asyncio
import json
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from reports.gate.history import read_trend
from scenarios.cli.main import main
from scenarios.exit_status import INTERRUPTED
from scenarios.gate.repository import PROJECT
from scenarios.gate.rounds import Player
from tests.support.command_results import assert_refused, words
from tests.support.histories import history, storm, with_seconds
from tests.support.repositories import commit, git, new_repository

pytestmark = pytest.mark.needs_git

PLAYED = 4
"""Exit status of a gate that has too few runs to decide."""
RUN = "import pathlib; pathlib.Path('installed').touch()"
STORM = f"""
[gateway]
command = {json.dumps([sys.executable, "server.py"])}
setup = {json.dumps(shlex.join([sys.executable, "-c", RUN]))}
directory = ".."
[[event]]
at_s = 8
do = "drop_all"
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two commits of a gateway and its scenario; the current folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = new_repository(tmp_path / "shop")
    commit(folder, {"server.py": "old", "ops/storm.toml": STORM, ".gitignore": "/runs/\n/installed\n"})
    commit(folder, {"server.py": "new"})
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch) -> list[Player]:
    """The players that would have made runs; a good run of each is there at once."""
    seen: list[Player] = []

    async def play(players: Sequence[Player], _: object, directory: Path, *__: object, **___: Any) -> None:
        seen[:] = players
        for player in players:
            rows = storm(lambda t: 0.0 if t < 13 else 100.0)
            made = msgspec.to_builtins(player.scenario)
            with_seconds(history(rows, scenario=made), directory / player.name / "01")
            if player.version is not None:
                assert (player.version.folder / "installed").exists() or not player.scenario.gateway.setup

    monkeypatch.setattr("scenarios.cli.commands.gate.play", play)
    return seen


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["gate", *map(str, arguments), "--no-github"])


def assert_refused_at_once(result: Result, *said: str) -> None:
    """Before anything was started."""
    assert_refused(result, *said)
    assert not Path("runs").exists()


def server(player: Player) -> str:
    """The program that a player would start."""
    scenario = player.scenario
    return (Path(scenario.folder) / scenario.gateway.directory / "server.py").read_text()


# -- what is compared ----------------------------------------------------------------------------------------


def test_a_version_of_the_gateway_is_compared_with_the_working_tree(
    shop: Path, played: list[Player], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    monkeypatch.setattr(
        "scenarios.cli.commands.gate.LiveView.__exit__",
        lambda *_: found.update({player.name: server(player) for player in played}),
    )
    (shop / "server.py").write_text("newest")
    result = typed("ops/storm.toml", "--baseline", "git:HEAD~1")
    assert result.exit_code == PLAYED, result.output
    assert found == {"baseline": "old", "candidate": "newest"}
    assert [player.root for player in played] == [None, None]
    assert "Both sides have the same scenario" in words(result)


def test_two_versions_can_be_compared(shop: Path, played: list[Player]) -> None:
    result = typed("ops/storm.toml", "--baseline", "git:HEAD~1", "--candidate", "git:HEAD", "--json")
    assert result.exit_code == PLAYED, result.output
    whole = json.loads(result.stdout)
    for side, ref in (("baseline", "HEAD~1"), ("candidate", "HEAD")):
        assert whole[side]["commit"]["id"] == git(shop, "rev-parse", ref)
        assert whole[side]["working_tree"] is False
    assert len({player.scenario.folder for player in played}) == 2


def test_one_commit_can_be_both_sides(shop: Path, played: list[Player]) -> None:
    arguments = ("ops/storm.toml", "--baseline", "git:main", "--candidate", "git:HEAD")
    first = typed(*arguments)
    assert "git:HEAD" in first.output
    assert "is set up in a temporary folder, and not in the cache: another gate, or the other side" in words(
        first
    )
    assert len({player.scenario.folder for player in played}) == 2
    assert typed(*arguments).output.count(" … cached\n") == 2


def test_a_gateway_by_its_command_is_that_of_the_current_folder(shop: Path, played: list[Player]) -> None:
    command = shlex.join([sys.executable, "server.py"])
    result = typed("mass-drop", "--gateway", command, "--baseline", "git:main")
    assert result.exit_code == PLAYED, result.output
    baseline, candidate = played
    assert candidate.scenario.folder == str(shop)
    assert baseline.version is not None
    assert baseline.version.version.commit.id == git(shop, "rev-parse", "main")


def test_the_set_up_of_a_version_is_told_and_cached(shop: Path) -> None:
    first = typed("ops/storm.toml", "--baseline", "git:HEAD~1")
    assert re.search(r"set-up of git:HEAD~1 \([0-9a-f]{7}\): \S+ -c .* … \d+ s\n", first.output)
    second = typed("ops/storm.toml", "--baseline", "git:HEAD~1")
    assert re.search(r"set-up of git:HEAD~1 .* … cached\n", second.output)
    third = typed("ops/storm.toml", "--baseline", "git:HEAD~1", "--no-cache")
    assert re.search(r"set-up of git:HEAD~1 .* … \d+ s\n", third.output)


def test_a_set_up_that_fails_is_a_failed_gate(shop: Path, played: list[Player]) -> None:
    fails = shlex.join([sys.executable, "-c", "raise SystemExit('error: no such package')"])
    result = typed("ops/storm.toml", "--baseline", "git:HEAD~1", "--baseline-set", f"gateway.setup={fails}")
    assert result.exit_code == 5, result.output
    assert "FAILED: git:HEAD~1 (" in words(result)
    assert "gateway.setup failed (exit status 1)" in words(result)
    assert "error: no such package" in words(result)
    assert played == []
    (log,) = Path("runs").glob("gate/*/setup-of-baseline.log")
    assert "no such package" in log.read_text()


# -- whose scenario ------------------------------------------------------------------------------------------

OTHER = STORM.replace("at_s = 8", "at_s = 8\nenabled = true") + '[fleet]\npolicy = "incident"\n'


@pytest.mark.parametrize(
    ("option", "policies"),
    [
        ((), ["incident", "incident"]),
        (("--scenario-from", "candidate"), ["incident", "incident"]),
        (("--scenario-from", "baseline"), ["naive", "naive"]),
        (("--scenario-from", "each"), ["naive", "incident"]),
    ],
)
def test_both_sides_play_the_file_that_was_asked_for(
    shop: Path, played: list[Player], option: tuple[str, ...], policies: list[str]
) -> None:
    (shop / "ops/storm.toml").write_text(OTHER)
    result = typed("ops/storm.toml", "--baseline", "git:HEAD~1", *option)
    assert result.exit_code == PLAYED, result.output
    assert [player.scenario.fleet.policy for player in played] == policies
    assert played[1].scenario.folder == str(shop / "ops")
    assert played[0].scenario.folder != played[1].scenario.folder
    assert ("differ in fleet.policy" in words(result)) == (len(set(policies)) == 2)


def test_a_scenario_that_is_new_in_the_candidate_is_played_on_both_sides(
    shop: Path, played: list[Player]
) -> None:
    new = shop / "deploy" / "gate" / "new.toml"
    new.parent.mkdir(parents=True)
    new.write_text(STORM.replace('".."', '"../.."'))
    assert typed(new, "--baseline", "git:HEAD~1").exit_code == PLAYED
    assert [player.scenario.name for player in played] == ["new", "new"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--baseline", "git:HEAD", "--scenario-from", "each"),
            "has no file new.toml: expected --scenario-from candidate, so that both sides play the",
        ),
        (
            ("--baseline", "git:HEAD", "--scenario-from", "baseline"),
            "expected --scenario-from candidate, so that both sides play the candidate's file",
        ),
        (
            ("--candidate", "git:HEAD", "--baseline", "new.toml"),
            "expected --scenario-from baseline, so that both sides play the baseline's file",
        ),
    ],
)
def test_a_scenario_that_a_version_has_not_is_an_error_that_names_the_option(
    shop: Path, options: tuple[str, ...], said: str
) -> None:
    (shop / "new.toml").write_text(STORM.replace('".."', '""'))
    assert_refused_at_once(typed("new.toml", *options), "git:HEAD (", said)


def test_a_mistake_in_the_file_of_a_version_names_version_and_file(shop: Path) -> None:
    commit(shop, {"ops/storm.toml": STORM + "[fleet]\nclients = -1\n"})
    result = typed("ops/storm.toml", "--baseline", "git:HEAD", "--scenario-from", "each")
    assert_refused_at_once(result, "git:HEAD:ops/storm.toml: fleet.clients")


def test_whose_scenario_is_no_question_without_a_version(shop: Path) -> None:
    result = typed("ops/storm.toml", "--scenario-from", "each")
    assert_refused_at_once(result, "--scenario-from: not supported without a side git:REF")


# -- what the result says ------------------------------------------------------------------------------------


def test_each_side_is_told_by_its_commit_and_date(shop: Path) -> None:
    result = typed("ops/storm.toml", "--baseline", "git:HEAD~1")
    day = git(shop, "show", "--no-patch", "--format=%cs", "HEAD")
    old, new = (git(shop, "rev-parse", "--short=7", ref) for ref in ("HEAD~1", "HEAD"))
    assert f"Baseline: git:HEAD~1 ({old}, {day}), 1 valid runs" in words(result)
    assert f"Candidate: ops/storm.toml (working tree of {new}, {day}), 1 valid runs" in words(result)
    assert "uncommitted" not in result.output


def test_uncommitted_changes_are_in_every_output(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(shop, {".gitignore": "/installed\n"})
    (shop / "server.py").write_text("newest")
    (shop / "lib").mkdir()
    (shop / "lib" / "auth.py").touch()
    head = git(shop, "rev-parse", "HEAD")
    changes = "with uncommitted changes in 2 files: server.py, lib/."
    note = f"The candidate is the working tree of {head[:7]} {changes}"
    files = ("--junit", "gate.xml", "--trend", "trend.jsonl", "--csv", "runs.csv")
    arguments = ("ops/storm.toml", "--baseline", "git:HEAD", *files)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    for _ in range(2):
        # What the first gate wrote is no change in the second one, though nobody ignores it.
        printed = CliRunner().invoke(main, ["gate", *arguments, "--github"])
        assert note in words(printed), printed.output
    whole = json.loads(typed(*arguments, "--json").stdout)
    assert note in whole["notes"]
    assert whole["candidate"]["commit"]["dirty"] is True
    assert f"working tree of {head[:7]}" in (tmp_path / "summary.md").read_text()
    assert note in (ET.parse("gate.xml").getroot().findtext(".//system-out") or "")
    assert {entry.commit.dirty for entry in read_trend(Path("trend.jsonl"))} == {True}
    assert f"{head}-dirty" in Path("runs.csv").read_text()
    assert f"{head[:8]}-dirty" in Path("trend.jsonl.svg").read_text()


# -- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stub.toml", "gate-quick"])
def test_the_built_in_stub_is_compared_in_its_own_repository_only(shop: Path, name: str) -> None:
    (shop / "stub.toml").write_text("[[event]]\nat_s = 8\ndo = 'drop_all'\n")
    assert_refused_at_once(
        typed(name, "--baseline", "git:HEAD"),
        f"git:HEAD: {name} starts the built-in stub",
        "expected gateway.command in the scenario, or --gateway COMMAND",
    )


@pytest.mark.needs_checkout
def test_a_scenario_of_the_stub_by_its_name_means_this_project(
    played: list[Player], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = typed("gate-quick", "--baseline", "git:HEAD", "--runs", "others")
    assert result.exit_code == PLAYED, result.output
    baseline, candidate = played
    assert candidate.root == PROJECT
    assert baseline.root not in {None, PROJECT}
    assert [player.source for player in played] == ["gate-quick"] * 2
    head = subprocess.run(
        ["git", "-C", str(PROJECT), "rev-parse", "--short=7", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"Baseline: git:HEAD ({head.stdout.strip()}, " in words(result)
    refused = typed("gate-quick", "--baseline", "git:HEAD", "--scenario-from", "baseline")
    assert_refused_at_once(
        refused, "--scenario-from: invalid value 'baseline': expected each, or gateway.command"
    )


@pytest.mark.parametrize("ref", ["git:nope", "git:", "git:--upload-pack=x"])
def test_a_commit_that_is_not_there_costs_one_line(shop: Path, ref: str) -> None:
    assert_refused_at_once(typed("ops/storm.toml", "--baseline", ref), "expected a branch, a tag or a commit")


@pytest.mark.usefixtures("shop")
def test_a_commit_without_its_prefix_is_answered_with_it() -> None:
    refused = typed("ops/storm.toml", "--baseline", "HEAD~1")
    assert_refused_at_once(refused, "--baseline: invalid value 'HEAD~1': expected git:HEAD~1 for that commit")
    assert_refused_at_once(typed("ops/storm.toml", "--baseline", "ops/strom.toml"), "no such scenario")


@pytest.mark.usefixtures("shop")
def test_ctrl_c_says_which_runs_are_left_and_how_to_judge_them(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(players: Sequence[Player], _: object, directory: Path, *__: object, **___: Any) -> None:
        for player in players:
            with_seconds(history(storm(lambda _: 100.0)), directory / player.name / "01")
        raise asyncio.CancelledError

    monkeypatch.setattr("scenarios.cli.commands.gate.play", play)
    result = typed("ops/storm.toml", "--baseline", "git:HEAD~1")
    assert result.exit_code == INTERRUPTED
    assert "interrupted" in result.output
    advice = next(line for line in result.output.splitlines() if line.startswith("judge them: "))
    again = typed(*shlex.split(advice)[4:])
    assert again.exit_code == PLAYED, again.output


def test_a_scenario_outside_any_repository_is_refused(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "storm.toml").write_text(STORM)
    assert_refused_at_once(
        typed(tmp_path / "storm.toml", "--baseline", "git:HEAD"),
        f"git:HEAD: {tmp_path}: is in no git repository",
    )
