"""The gate as somebody types it with accepted regressions, and as a CI job that comments on a change."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from reports.gate.history import GateFileError
from scenarios.cli.main import main
from scenarios.gate.acceptance import accepted_changes, job_address
from tests.support.histories import history, scenario, storm, with_seconds

SLOWER = ("verdict", "availability", "effective_p99_after", "time_to_recover_s")
DAY = "2999-12-31"


def recorded(folder: Path, back_s: float) -> Path:
    """Runs of a storm from which everybody is back after `back_s` seconds; the folder that they are in."""
    rows = storm(lambda t: 0.0 if t < 8 + back_s else 100.0)
    for number in range(6):
        with_seconds(history(rows, scenario=scenario()), folder / f"{number:02}")
    return folder


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A baseline, and a candidate that recovers later."""
    folder = tmp_path_factory.mktemp("sides")
    fast, slow = recorded(folder / "fast", 5), recorded(folder / "slow", 15)
    return ["--baseline", f"runs:{fast}", "--candidate", f"runs:{slow}"]


def typed(*arguments: object, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, ["gate", *map(str, arguments)], env=env)


def accepting(folder: Path, *measures: str, until: str = DAY, **more: str) -> Path:
    keys = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
    entries = (
        f'[[accept]]\nmeasure = "{one}"\nreason = "a gentler ramp"\nuntil = {until}\n{keys}'
        for one in measures
    )
    file = folder / "storm-accepted.toml"
    file.write_text("".join(entries), encoding="utf-8")
    return file


def worse(result: Result) -> dict[str, Any]:
    return {
        one["key"]: one["accepted"]
        for one in json.loads(result.stdout)["findings"]
        if one["answer"] == "worse"
    }


def test_exactly_the_regressions_that_a_file_names_pass(tmp_path: Path, sides: list[str]) -> None:
    keys = [*worse(typed(*sides, "--json"))]
    assert keys
    result = typed(*sides, "--accepted", accepting(tmp_path, *keys), "--json")
    assert result.exit_code == 0, result.output
    assert set(worse(result).values()) == {f"a gentler ramp (until {DAY}, storm-accepted.toml)"}
    result = typed(*sides, "--accepted", accepting(tmp_path, *keys[1:]), "--json")
    assert result.exit_code == 1


def test_a_label_accepts_all_of_them_and_is_named(sides: list[str]) -> None:
    result = typed(*sides, "--accept-all", "label storm-accepted on pull request 7")
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert text.startswith("PASS: ")
    assert "accepted: label storm-accepted on pull request 7" in text


def test_an_expired_entry_is_ignored_and_both_the_log_and_the_result_say_so(
    tmp_path: Path, sides: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    file = accepting(tmp_path, *SLOWER, until="2020-01-31")
    result = typed(*sides, "--accepted", file)
    assert result.exit_code == 1
    assert "expired on 2020-01-31, and is ignored" in " ".join(result.output.split())
    assert "verdict: expired on 2020-01-31" in caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "--accepted: "),
        ("[[accept]]\nmeasure = 3", "accept[0].measure: invalid value 3: expected one of verdict, "),
    ],
    ids=["no file", "a wrong measure"],
)
def test_a_file_that_cannot_be_used_is_one_line(
    text: str | None, said: str, tmp_path: Path, sides: list[str]
) -> None:
    file = tmp_path / "storm-accepted.toml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    result = typed(*sides, "--accepted", file)
    assert result.exit_code == 2, result.output
    assert len(result.output.splitlines()) == 1
    assert said in result.output
    assert str(file) in result.output


def test_a_job_on_github_leaves_a_comment_a_summary_and_outputs(tmp_path: Path, sides: list[str]) -> None:
    files = {name: tmp_path / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    env = {name: str(path) for name, path in files.items()} | {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "me/mine",
        "GITHUB_RUN_ID": "5",
    }
    comment = tmp_path / "comment.md"
    result = typed(*sides, "--comment", comment, env=env)
    assert result.exit_code == 1
    assert files["GITHUB_OUTPUT"].read_text() == "outcome=regression\nruns=\n"
    assert "REGRESSION" in files["GITHUB_STEP_SUMMARY"].read_text()
    text = comment.read_text(encoding="utf-8")
    assert "REGRESSION" in text.splitlines()[0]
    assert text.endswith("[Log of this job](https://github.com/me/mine/actions/runs/5)\n")


def test_a_comment_needs_an_existing_folder(tmp_path: Path, sides: list[str]) -> None:
    result = typed(*sides, "--comment", tmp_path / "none" / "comment.md")
    assert result.exit_code == 2
    assert "no such folder" in result.output


# -- the file against the baseline's commit ----------------------------------------------------------


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize("baseline", [COMMIT, "f" * 40, ""], ids=["that one", "another one", "no commit"])
def test_an_entry_for_one_commit_counts_against_that_commit_alone(baseline: str, tmp_path: Path) -> None:
    file = accepting(tmp_path, "attempts", baseline=COMMIT[:9])
    found = accepted_changes(file, "", baseline, today=date(2026, 1, 1))
    assert bool(found.reasons) == (baseline == COMMIT)
    assert bool(found.ignored) == (baseline != COMMIT)


def test_without_a_file_and_without_a_reason_nothing_is_accepted(tmp_path: Path) -> None:
    assert accepted_changes(None, " ", "").reasons == {}
    with pytest.raises(GateFileError, match="cannot be read"):
        accepted_changes(tmp_path, "", "")


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, ""),
        ({"GITHUB_ACTIONS": "true"}, ""),
        ({"CI_JOB_URL": "https://gitlab.example/1"}, "https://gitlab.example/1"),
    ],
    ids=["nowhere", "half of GitHub", "GitLab"],
)
def test_a_job_says_where_its_log_is(environment: dict[str, str], address: str) -> None:
    assert job_address(environment) == address
