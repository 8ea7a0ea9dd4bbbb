"""A team's own deploy as the trigger: a stand-in for kubectl that works, fails, or hangs."""

import json
import signal
from pathlib import Path

import psutil
import pytest

from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from scenarios.exit_status import FAILED
from tests.e2e.command_line import (
    GOOD_OR_INVALID,
    PATIENCE_S,
    SMALL_STORM,
    started,
    storm_processes,
    wait_for,
)
from tests.e2e.own_gateway import begin_of, end_of, files_with

pytestmark = pytest.mark.e2e

SECRET = "s3cret-of-the-cluster"
ROLLOUT = ["kubectl", "rollout", "restart", "deployment/gateway"]
AT_S = 4


@pytest.fixture
def kubectl(tmp_path: Path) -> Path:
    """A program of that name, alone in a folder, for the test to write."""
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.touch(mode=0o755)
    return program


def storm(command: list[str], **keys: object) -> tuple[str, ...]:
    event = {"at_s": AT_S, "do": "exec", "command": command, **keys}
    inline = ", ".join(f"{key}={json.dumps(value)}" for key, value in event.items())
    return (*SMALL_STORM, f"event=[{{{inline}}}]", 'commands.allow=[["kubectl", "rollout"]]')


def path_with(kubectl: Path) -> dict[str, str]:
    return {"PATH": f"{kubectl.parent}:/usr/local/bin:/usr/bin:/bin"}


def ended(runs: Path, kubectl: Path, command: str, sets: tuple[str, ...]) -> tuple[int, str, Run]:
    """Exit status, what was printed, and the run."""
    options = ("--force",) if command == "rehearse" else ("--retries", "0")
    arguments = (command, "mass-drop", "--allow-exec", *options)
    with started(*arguments, sets=sets, runs=runs, environment=path_with(kubectl)) as process:
        output, _ = process.communicate(timeout=180)
    (path,) = find_runs([runs / "latest"])
    return process.returncode, output, Run.load(path)


def test_a_rehearsal_is_triggered_by_a_deploy_of_the_users_own(tmp_path: Path, kubectl: Path) -> None:
    kubectl.write_text('#!/bin/sh\necho "restarted: $*"\nsleep 1\n')
    runs = tmp_path / "runs"
    sets = storm([*ROLLOUT, f"--token={SECRET}"])
    status, output, run = ended(runs, kubectl, "rehearse", sets)
    assert status in GOOD_OR_INVALID, output
    assert run.info.status == "complete", output
    begin, end = begin_of(run, "exec"), end_of(run, "exec")
    assert begin["command"] == [*ROLLOUT, "--token=(hidden)"]
    assert begin["kind"] == "fault"
    assert end["exit_status"] == 0
    assert end["t_s"] >= begin["t_s"] + 1 >= AT_S + 1
    assert run.info.trigger_s == AT_S
    assert run.info.trigger_end_s is not None
    assert run.info.trigger_end_s > AT_S
    log = (run.directory / end["log"]).read_text()
    assert log == f"restarted: {' '.join(ROLLOUT[1:])} --token=(hidden)\n"
    assert files_with(runs, SECRET) == []
    for report in ("rehearsal.md", "rehearsal.html"):
        assert "exec kubectl rollout restart" in (run.directory / report).read_text(encoding="utf-8")


def test_a_command_that_fails_fails_the_run_with_what_it_said(tmp_path: Path, kubectl: Path) -> None:
    kubectl.write_text("#!/bin/sh\necho 'error: deployments is forbidden' >&2\nexit 3\n")
    status, output, run = ended(tmp_path / "runs", kubectl, "run", storm(ROLLOUT))
    assert status == FAILED, output
    said = "exec `kubectl rollout restart deployment/gateway` failed (exit status 3)"
    assert said in output
    assert run.info.status == "failed"
    assert run.info.problem.startswith(said)
    assert run.info.problem.endswith("error: deployments is forbidden")
    assert end_of(run, "exec")["problem"] == run.info.problem
    assert run.rows, "what was measured by then is kept"


HANGS = """#!/bin/sh
sleep 987 &
echo $! $$ > "{pids}"
wait
"""


def hanging(tmp_path: Path, kubectl: Path) -> Path:
    pids = tmp_path / "pids"
    kubectl.write_text(HANGS.format(pids=pids))
    return pids


def assert_gone(pids: Path) -> None:
    found = [int(pid) for pid in pids.read_text().split()]
    assert len(found) == 2
    assert not any(map(psutil.pid_exists, found))


def test_a_command_that_hangs_is_ended_at_its_limit(tmp_path: Path, kubectl: Path) -> None:
    pids = hanging(tmp_path, kubectl)
    # Long enough for a shell on a busy machine to say who it is.
    sets = storm(ROLLOUT, at_s=1, timeout_s=6)
    status, output, run = ended(tmp_path / "runs", kubectl, "run", sets)
    assert status == FAILED, output
    assert "timed out after 6 s" in run.info.problem
    assert_gone(pids)


def test_ctrl_c_in_the_middle_of_a_command_leaves_nothing(tmp_path: Path, kubectl: Path) -> None:
    pids = hanging(tmp_path, kubectl)
    runs = tmp_path / "runs"
    sets = (*storm(ROLLOUT), "phases.duration_s=60")
    with started("run", "--allow-exec", sets=sets, runs=runs, environment=path_with(kubectl)) as process:
        wait_for("the command to hang", lambda: pids.exists() and len(pids.read_text().split()) == 2)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, output
    assert storm_processes() == []
    assert_gone(pids)
    (path,) = find_runs([runs])
    run = Run.load(path)
    assert run.info.status == "interrupted"
    assert begin_of(run, "exec")
    assert not [line for line in run.events if line["event"] == "exec" and line.get("phase") == "end"]
