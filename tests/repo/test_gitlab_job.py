"""The job for GitLab: its scripts are carried out with a gate and a `curl` of the test's own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.repo.test_ci_files import GITLAB
from tests.support.action_steps import program
from tests.support.action_workspace import GATE

CURL = f"""#!{sys.executable}
# The notes of a merge request in a file; a token that may not write is refused.
import json, os, re, sys
path = os.environ["NOTES"]
found = json.load(open(path))
url = next(word for word in sys.argv if word.startswith("https://"))
assert "PRIVATE-TOKEN: t0ken" in sys.argv
assert url.startswith("https://gitlab.example/api/v4/projects/9/merge_requests/7/notes")
body = next((open(word[5:]).read() for word in sys.argv if word.startswith("body@")), None)
if body is None:
    if found["unreachable"]:
        sys.exit("curl: (22) The requested URL returned error: 502")
    print(json.dumps(found["notes"]))
elif found["read_only"]:
    sys.exit("curl: (22) The requested URL returned error: 403")
elif "PUT" in sys.argv:
    (note,) = [one for one in found["notes"] if url.endswith("/" + str(one["id"]))]
    note["body"] = body
else:
    found["notes"].append(dict(id=100 + len(found["notes"]), body=body))
json.dump(found, open(path, "w"))
"""


class Pipeline:
    """A checkout on a runner of GitLab, with a merge request."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.notes = folder / "notes.json"
        self.calls = folder / "calls"
        self.programs = folder / "storm" / "bin"
        self.fakes = folder / "fakes"
        self.job = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))["storm-gate"]
        self.folder.mkdir()
        subprocess.run(["git", "init", "--quiet", str(self.folder)], check=True)
        program(self.programs / "reconnect-storm", GATE)
        program(self.fakes / "curl", CURL)
        self.set()

    def set(self, **values: Any) -> None:
        """What `curl` finds at GitLab."""
        usual = {"notes": [], "read_only": False, "unreachable": False}
        self.notes.write_text(json.dumps({**usual, **values}))

    @property
    def bodies(self) -> list[str]:
        return [note["body"] for note in json.loads(self.notes.read_text())["notes"]]

    def carry_out(
        self, part: str, outcome: str = "pass", status: int = 0, **variables: Any
    ) -> "subprocess.CompletedProcess[str]":
        script = "\n".join(self.job[part]).replace("/tmp/storm/bin", str(self.programs))
        output = self.folder.parent / "output"
        own = {name: value for name, value in self.job["variables"].items() if not value.startswith("$")}
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=self.folder,
            env={
                "PATH": f"{self.fakes}:{Path(sys.executable).parent}:/usr/bin:/bin",
                "CI_PROJECT_DIR": str(self.folder),
                "CI_JOB_URL": "https://gitlab.example/job",
                "CI_JOB_NAME": "storm-gate",
                "CI_API_V4_URL": "https://gitlab.example/api/v4",
                "CI_PROJECT_ID": "9",
                "CI_MERGE_REQUEST_IID": "7",
                "CI_MERGE_REQUEST_DIFF_BASE_SHA": "abc",
                "CALLS": str(self.calls),
                "NOTES": str(self.notes),
                "GITHUB_OUTPUT": str(output),
                "FAKE_OUTCOME": outcome,
                "FAKE_STATUS": str(status),
                **own,
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def arguments(self) -> list[str]:
        return self.calls.read_text().splitlines()


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline(tmp_path)


@pytest.mark.parametrize(
    ("outcome", "status"), [("pass", 0), ("regression", 1), ("invalid", 3), ("error", 2)]
)
def test_the_job_ends_as_the_gate_does(outcome: str, status: int, pipeline: Pipeline) -> None:
    done = pipeline.carry_out("script", outcome, status)
    assert done.returncode == status, done.stderr
    folder = pipeline.folder / "storm-gate"
    assert pipeline.arguments[:4] == ["gate", "storm.toml", "--baseline", "git:abc"]
    assert str(folder / "junit.xml") in pipeline.arguments
    seen = subprocess.run(["git", "-C", folder.parent, "status", "--short"], capture_output=True, check=True)
    assert seen.stdout == b""
    assert pipeline.job["artifacts"]["paths"] == ["storm-gate/"]
    assert pipeline.job["allow_failure"]["exit_codes"] == [3, 4]


def test_a_file_a_label_and_arguments_go_to_the_gate(pipeline: Pipeline) -> None:
    (pipeline.folder / "live").mkdir()
    (pipeline.folder / "live" / "storm-accepted.toml").write_text("")
    more: dict[str, Any] = {
        "STORM_FOLDER": "live",
        "STORM_ARGS": "--max-rounds 6",
        "CI_MERGE_REQUEST_LABELS": "a,storm-accepted,b",
    }
    assert pipeline.carry_out("script", **more).returncode == 0
    assert pipeline.arguments[-6:] == [
        *("--accepted", "storm-accepted.toml", "--accept-all", "label storm-accepted on !7"),
        *("--max-rounds", "6"),
    ]


def test_a_label_that_is_alike_accepts_nothing(pipeline: Pipeline) -> None:
    pipeline.carry_out("script", CI_MERGE_REQUEST_LABELS="not-storm-accepted")
    assert "--accept-all" not in pipeline.arguments


def test_the_note_is_written_once_and_then_updated(pipeline: Pipeline) -> None:
    for _ in range(2):
        pipeline.carry_out("script", "regression", 1)
        done = pipeline.carry_out("after_script", STORM_NOTE_TOKEN="t0ken")
        assert done.returncode == 0, done.stderr
    (text,) = pipeline.bodies
    assert text.startswith("<!-- reconnect-storm: storm-gate -->\n### storm: REGRESSION\n")
    assert "[Runs](https://gitlab.example/job/artifacts/browse/storm-gate/)" in text


def test_a_gate_that_could_not_run_is_a_note_as_well(pipeline: Pipeline) -> None:
    pipeline.carry_out("after_script", STORM_NOTE_TOKEN="t0ken")
    assert "**The storm gate did not run**: see the [log](https://gitlab.example/job)" in pipeline.bodies[0]


@pytest.mark.parametrize("state", ["read_only", "unreachable"])
def test_a_token_that_may_not_write_fails_nothing(state: str, pipeline: Pipeline) -> None:
    pipeline.set(**{state: True})
    done = pipeline.carry_out("after_script", STORM_NOTE_TOKEN="t0ken")
    assert done.returncode == 0
    assert "no note: " in done.stdout
    assert pipeline.bodies == []


def test_without_a_token_there_is_no_note(pipeline: Pipeline) -> None:
    assert pipeline.carry_out("after_script").returncode == 0
    assert pipeline.bodies == []
