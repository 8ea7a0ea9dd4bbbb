"""The action with the real gate: a gateway of Python in a repository with one commit, judged by its SLO."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_init import GENTLE, PYTHON_GATEWAY, typed
from tests.support.action_steps import program
from tests.support.action_workspace import PULL, Workspace

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


def test_the_steps_of_the_action_gate_a_gateway_of_the_users_own(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    (workspace.folder / "server.py").write_text(PYTHON_GATEWAY)
    assert typed(workspace.folder, "init", "--gateway", f"{sys.executable} server.py").returncode == 0
    program(
        workspace.folder / "storm",
        f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m reconnect_storm "$@"\n',
    )
    # An objective that a busy machine meets as well; what it is held to here is the action.
    slo = "slo=[{metric='availability', operator='>=', bound=0.01}]"
    sets = " ".join(f'--set "{one}"' for one in (*GENTLE, slo))
    given: dict[str, Any] = {"program": "storm", "args": f"--rounds 1 --max-rounds 1 --retries 0 {sets}"}
    job = workspace.job(github=PULL, baseline="", fail_on="regression failed", **given)
    outcome = job.outputs["steps.gate.outputs.outcome"]
    # A busy machine may make the run invalid, which is a result and not a failure.
    assert (outcome, job.status) in {("pass", 0), ("invalid", 0)}, job.printed
    assert Path(job.outputs["steps.report.outputs.report"]).is_file()
    assert Path(job.outputs["steps.gate.outputs.runs"]).is_dir()
    (comment,) = workspace.comments
    assert f": {outcome.upper()}" in comment
    assert "[Report and runs](https://github.com/artifact)" in comment
