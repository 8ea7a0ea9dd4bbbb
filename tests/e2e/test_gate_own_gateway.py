"""The gate in a repository of a user's own: a gateway whose newest commit blocks its event loop."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reports.rundir.files import find_runs
from reports.rundir.reader import Run
from scenarios.exit_status import FAILED
from tests.e2e.command_line import command
from tests.e2e.own_gateway import toml
from tests.support.gateways import FOLDER
from tests.support.repositories import commit, git, new_repository

pytestmark = [pytest.mark.e2e, pytest.mark.needs_git]

SETUP = "import pathlib; pathlib.Path('installed.txt').write_text('a package')"
STORM = f"""
[gateway]
command = {toml([sys.executable, "server.py"])}
directory = ".."
pods = 1
ready_path = "/readyz"
{{setup}}

[feed]
rate_hz = 5
due_field = "ts"
due_unit = "ms"
due_clock = "wall"
seq_field = "seq"

[fleet]
clients = 20
ramp_per_s = 60

[[event]]
at_s = 3
do = "drop_all"

[phases]
duration_s = 9
during_s = 3
recovery_window_s = 3
rescue_at_s = 0
"""


def server(version: str, blocks_s: float) -> str:
    """A whole gateway in one file, which needs what its set-up installs."""
    healthy = (FOLDER / "shared.py").read_text()
    slow = healthy.replace("joined.add(sid)", f"time.sleep({blocks_s})\n        joined.add(sid)")
    assert slow != healthy
    starts = f'print("{version} with", open("installed.txt").read(), flush=True)\nserve(gateway())\n'
    return f"{slow}\n\n{starts}"


def shop(folder: Path, setup: str) -> Path:
    """A repository with two commits; the newer one blocks its loop for 0.1 s with each client."""
    new_repository(folder)
    files = {"server.py": server("old", 0), "ops/storm.toml": STORM.replace("{setup}", setup)}
    commit(folder, {**files, ".gitignore": "installed.txt\n"})
    commit(folder, {"server.py": server("new", 0.1)})
    return folder


def gated(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(
            *("gate", str(tmp_path / "shop" / "ops" / "storm.toml"), "--baseline", "git:HEAD~1"),
            *("--json", "--no-github", "--retries", "0", *arguments),
            sets=(),
            runs=tmp_path / "runs",
        ),
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.mark.timeout(1_200)
def test_a_commit_that_blocks_the_loop_is_worse_than_the_one_before(tmp_path: Path) -> None:
    folder = shop(tmp_path / "shop", f"setup = {toml([sys.executable, '-c', SETUP])}")
    (folder / "notes.txt").touch()
    done = gated(
        *(tmp_path, "--measure", "availability", "--measure", "pod_loop"),
        *("--rounds", "5", "--max-rounds", "5"),
    )
    assert done.stdout, done.stderr
    whole = json.loads(done.stdout)
    # A busy machine may make runs invalid, which is a result; but nothing makes the newer commit pass.
    assert whole["outcome"] in {"regression", "inconclusive", "invalid"}, done.stderr
    assert "set-up of git:HEAD~1 (" in done.stderr
    for side, version, ref in (("baseline", "old", "HEAD~1"), ("candidate", "new", "HEAD")):
        assert whole[side]["commit"]["id"] == git(folder, "rev-parse", ref)
        runs = [Run.load(path) for path in find_runs([tmp_path / "runs" / "latest" / side])]
        for run in runs:
            log = (run.directory / "pods" / "pod-0.log").read_text()
            assert log.startswith(f"{version} with a package\n")
    assert any("with uncommitted changes in 1 file: notes.txt." in note for note in whole["notes"])
    if whole["outcome"] == "regression":
        assert {row["key"] for row in whole["findings"] if row["answer"] == "worse"} & {
            "availability",
            "pod_loop",
        }


def test_a_version_that_lacks_what_is_installed_is_told_about_the_set_up(tmp_path: Path) -> None:
    folder = shop(tmp_path / "shop", "")
    (folder / "installed.txt").write_text("by hand")
    done = gated(tmp_path)
    assert done.returncode == FAILED, done.stdout + done.stderr
    reason = json.loads(done.stdout)["reason"]
    for part in ("git:HEAD~1 (", "FileNotFoundError", "not installed.txt", "gateway.setup"):
        assert part in reason
