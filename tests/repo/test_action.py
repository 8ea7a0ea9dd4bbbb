"""The action for GitHub: its scripts are carried out with a gate and a `gh` of the test's own."""

import subprocess
from pathlib import Path

import pytest

from tests.support.action_steps import program
from tests.support.action_workspace import COMMENT, GATE, MARKER, PULL, Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


# -- outcomes ----------------------------------------------------------------------------------------

OUTCOMES: dict[str, tuple[str, int, str, int]] = {
    "a pass": ("pass", 0, "regression failed", 0),
    "a regression": ("regression", 1, "regression failed", 1),
    "a part that failed": ("failed", 5, "regression failed", 5),
    "a runner that is too busy": ("invalid", 3, "regression failed", 0),
    "a runner that is too noisy": ("inconclusive", 4, "regression failed", 0),
    "a runner that must not be too busy": ("invalid", 3, "regression, failed, invalid", 3),
    "a regression that is only told": ("regression", 1, "", 0),
    "a usage error": ("error", 2, "", 2),
}


@pytest.mark.parametrize(("outcome", "status", "fail_on", "ends"), OUTCOMES.values(), ids=OUTCOMES)
def test_the_outcome_fails_the_job_or_is_a_warning(
    outcome: str, status: int, fail_on: str, ends: int, workspace: Workspace
) -> None:
    job = workspace.job(outcome, status, fail_on=fail_on)
    assert job.status == ends, job.printed
    assert job.outputs["steps.gate.outputs.outcome"] == outcome
    assert job.outputs["steps.gate.outputs.exit-status"] == str(status)
    assert ("::error title=storm gate::" in job.printed) == bool(ends)
    assert ("::warning title=storm gate::" in job.printed) == (outcome != "pass" and not ends)
    runs = job.outputs.get("steps.gate.outputs.runs", "")
    assert bool(runs) == (outcome != "error")
    assert ("steps.report.outputs.report" in job.outputs) == bool(runs)


def test_report_and_runs_are_where_the_artefact_is_made_of(workspace: Workspace) -> None:
    job = workspace.job()
    folder = workspace.home / "storm-gate"
    assert job.outputs["steps.gate.outputs.folder"] == str(folder)
    assert job.outputs["steps.report.outputs.report"] == str(folder / "report.html")
    assert job.outputs["steps.gate.outputs.runs"].startswith(str(folder / "runs"))
    assert workspace.gate[:3] == ["storm.toml", "--runs", str(folder / "runs")]


# -- inputs ------------------------------------------------------------------------------------------


def test_arguments_are_split_as_in_a_shell_and_nothing_in_them_is_carried_out(workspace: Workspace) -> None:
    args = """--set 'fleet.policy={name="naive"}' --measure attempts "$(touch stolen)" `touch stolen`"""
    job = workspace.job(args=args, scenario="$(touch stolen).toml")
    assert job.status == 0, job.printed
    assert workspace.gate[0] == "$(touch stolen).toml"
    tail = [
        "--set",
        'fleet.policy={name="naive"}',
        "--measure",
        "attempts",
        "$(touch stolen)",
        "`touch",
        "stolen`",
    ]
    assert workspace.gate[-len(tail) :] == tail
    assert [*workspace.folder.iterdir()] == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("profile", "slow", "profile: invalid value 'slow': expected quick or full"),
        ("fail-on", "regression all", "fail-on: invalid value 'all': expected regression, failed,"),
        ("args", "--set 'a", "unmatched single quote"),
    ],
)
def test_a_wrong_input_is_an_error_before_anything_runs(
    name: str, value: str, said: str, workspace: Workspace
) -> None:
    job = workspace.job("pass", 0, github=None, **{name: value})
    assert job.status
    assert said in job.printed
    assert "gate" not in workspace.calls.read_text().splitlines()


def test_a_full_profile_has_more_rounds(workspace: Workspace) -> None:
    workspace.job(profile="full")
    assert workspace.gate[1:5] == ["--rounds", "8", "--max-rounds", "16"]
    workspace.job()
    assert "--rounds" not in workspace.gate


def test_accepted_regressions_are_read_where_the_file_is_there(workspace: Workspace) -> None:
    workspace.job()
    assert "--accepted" not in workspace.gate
    (workspace.folder / "live").mkdir()
    (workspace.folder / "live" / "storm-accepted.toml").write_text("")
    workspace.job(working_directory="live")
    place = workspace.gate.index("--accepted")
    assert workspace.gate[place + 1] == "storm-accepted.toml"


# -- installation ------------------------------------------------------------------------------------


def test_the_program_is_this_versions_from_its_lock_unless_another_is_named(workspace: Workspace) -> None:
    workspace.job()
    installed = [
        line for line in workspace.calls.read_text().splitlines() if line.startswith("python -m pip")
    ]
    assert installed[0].endswith("--no-deps --require-hashes --requirement /action/requirements.lock")
    assert installed[1].endswith("--no-deps /action")
    workspace.calls.write_text("")
    workspace.job(version="1.2.3")
    assert "install --quiet --disable-pip-version-check reconnect-storm==1.2.3" in workspace.calls.read_text()
    workspace.calls.write_text("")
    (workspace.folder / "bin").mkdir()
    program(workspace.folder / "bin" / "storm", GATE)
    assert workspace.job(program="bin/storm").status == 0
    assert "python" not in workspace.calls.read_text()


# -- the comment -------------------------------------------------------------------------------------


def test_the_comment_is_written_once_and_then_updated(workspace: Workspace) -> None:
    workspace.job("regression", 1)
    workspace.job("regression", 1)
    text = f"{MARKER}\n{COMMENT}\n[Report and runs](https://github.com/artifact)\n"
    assert workspace.comments == [text]
    workspace.job("regression", 1, artifact_name="other")
    assert len(workspace.comments) == 2


def test_a_gate_that_could_not_run_replaces_an_earlier_result(workspace: Workspace) -> None:
    workspace.job()
    (workspace.home / "storm-gate" / "comment.md").unlink()
    workspace.job("error", 2)
    (text,) = workspace.comments
    assert "**The storm gate did not run** (exit status 2)" in text
    assert "https://github.com/me/mine/actions/runs/5" in text


def test_a_comment_of_somebody_else_is_left_alone(workspace: Workspace) -> None:
    theirs = {"id": 1, "user": {"type": "User"}, "body": MARKER}
    workspace.set(comments=[theirs])
    workspace.job()
    assert len(workspace.comments) == 2
    assert workspace.comments[0] == MARKER


@pytest.mark.parametrize("state", ["read_only", "unreachable"])
def test_a_token_that_may_not_comment_fails_nothing(state: str, workspace: Workspace) -> None:
    workspace.set(**{state: True})
    job = workspace.job()
    assert job.status == 0, job.printed
    assert "::notice title=reconnect-storm::no comment" in job.printed
    assert workspace.comments == []


def test_without_a_pull_request_or_where_none_is_wanted_there_is_no_comment(workspace: Workspace) -> None:
    workspace.job(github={"github.action_path": "/action"})
    workspace.job(comment="false")
    assert workspace.comments == []


# -- the label ---------------------------------------------------------------------------------------


def reason(workspace: Workspace) -> str:
    words = workspace.gate
    return words[words.index("--accept-all") + 1] if "--accept-all" in words else ""


def test_a_label_accepts_and_the_reason_says_who_added_it(workspace: Workspace) -> None:
    workspace.set(labels=["bug", "storm-accepted"], who=["ann", "bob"])
    workspace.job()
    assert reason(workspace) == "label storm-accepted on pull request 7, added by bob"


def test_a_label_that_is_alike_accepts_nothing(workspace: Workspace) -> None:
    workspace.set(labels=["not-storm-accepted", "storm.accepted"])
    workspace.job()
    assert reason(workspace) == ""


LABELLED = {**PULL, "github.event.pull_request.labels.*.name": ["storm-accepted"]}


def test_a_label_that_is_gone_by_now_accepts_nothing(workspace: Workspace) -> None:
    workspace.job(github=LABELLED)
    assert reason(workspace) == ""


def test_where_the_labels_cannot_be_read_those_of_the_event_count(workspace: Workspace) -> None:
    workspace.set(unreachable=True)
    workspace.job(github=LABELLED)
    assert reason(workspace) == "label storm-accepted on pull request 7"
    workspace.job(github=LABELLED, accept_label="")
    assert reason(workspace) == ""


# -- the baseline ------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "protocol.file.allow=always"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def commits(workspace: Workspace) -> dict[str, str]:
    """main with two commits, a branch from the first one, and their merge, which is checked out."""
    found = {}
    git(workspace.folder, "init", "--quiet", "--initial-branch=main")
    for name in ("first", "second"):
        git(workspace.folder, "commit", "--quiet", "--allow-empty", f"--message={name}")
        found[name] = git(workspace.folder, "rev-parse", "HEAD")
    git(workspace.folder, "checkout", "--quiet", "-b", "change", found["first"])
    git(workspace.folder, "commit", "--quiet", "--allow-empty", "--message=change")
    found["change"] = git(workspace.folder, "rev-parse", "HEAD")
    git(workspace.folder, "checkout", "--quiet", "--detach", "main")
    git(workspace.folder, "merge", "--quiet", "--no-ff", "--message=merge", "change")
    found["merge"] = git(workspace.folder, "rev-parse", "HEAD")
    return found


ZERO = "0" * 40
BASELINES: dict[str, tuple[str, str, str, str]] = {
    "the merge of a pull request": ("pull_request.base.sha", "second", "merge", "second"),
    "the branch of a pull request alone": ("pull_request.base.sha", "second", "change", "first"),
    "a queue of merges": ("merge_group.base_sha", "second", "merge", "second"),
    "a push": ("before", "first", "second", "first"),
    "a push of a new branch": ("before", ZERO, "second", "first"),
    "a push of the first commit": ("before", ZERO, "first", ""),
    "a schedule": ("schedule", "", "second", "first"),
}


@pytest.mark.parametrize(("key", "before", "head", "baseline"), BASELINES.values(), ids=BASELINES)
def test_the_baseline_is_what_the_change_is_made_to(
    key: str, before: str, head: str, baseline: str, workspace: Workspace, commits: dict[str, str]
) -> None:
    git(workspace.folder, "checkout", "--quiet", "--detach", commits[head])
    event = {"github.action_path": "/action", f"github.event.{key}": commits.get(before, before)}
    job = workspace.job(github=event, baseline="")
    assert job.status == 0, job.printed
    found = workspace.gate[workspace.gate.index("--baseline") + 1] if "--baseline" in workspace.gate else ""
    assert found == (f"git:{commits[baseline]}" if baseline else "")
    assert ("only the SLOs are checked" in job.printed) == (not baseline)


@pytest.mark.parametrize("reachable", [True, False])
def test_a_shallow_clone_gets_the_commit_that_it_lacks_or_says_what_to_set(
    reachable: bool, workspace: Workspace, commits: dict[str, str], tmp_path: Path
) -> None:
    upstream = workspace.folder
    git(upstream, "branch", "head", commits["merge"])
    git(upstream, "config", "uploadpack.allowAnySHA1InWant", "true")
    workspace.folder = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=head", f"file://{upstream}", "clone")
    if not reachable:
        git(workspace.folder, "remote", "set-url", "origin", f"file://{tmp_path}/gone")
    event = {"github.action_path": "/action", "github.event.pull_request.base.sha": commits["second"]}
    job = workspace.job(github=event, baseline="")
    if reachable:
        assert workspace.gate[workspace.gate.index("--baseline") + 1] == f"git:{commits['second']}"
    else:
        assert job.status == 2
        assert "set fetch-depth: 0 at actions/checkout" in job.printed
