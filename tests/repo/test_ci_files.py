"""The files for CI systems: they parse, and everything in them is something that there is."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from scenarios.cli.main import main
from scenarios.project.render import github_workflow, gitlab_job
from scenarios.project.repository import Repository
from scenarios.scenario.loader import catalog
from tests.support.action_steps import ACTION, EXPRESSION

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
GITLAB = ROOT / "ci" / "gitlab" / "storm.gitlab-ci.yml"
FILES = [*WORKFLOWS, ACTION, GITLAB]
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
WRITTEN = github_workflow(None, Repository(ROOT, "main", (), ""), ROOT)
PERMISSIONS = {
    "storm-gate.yml": {"contents": "read", "pull-requests": "write"},
    "tests.yml": {"contents": "read"},
}


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def scripts(found: Any) -> Iterator[str]:
    """Every script in a workflow, an action or a GitLab file."""
    if isinstance(found, dict):
        for key, value in found.items():
            if key == "run" and isinstance(value, str):
                yield value
            elif key in {"script", "before_script", "after_script"}:
                yield "\n".join(value)
            else:
                yield from scripts(value)
    elif isinstance(found, list):
        for value in found:
            yield from scripts(value)


def steps(found: Any) -> Iterator[dict[str, Any]]:
    """Every step that uses an action."""
    if isinstance(found, dict):
        if "uses" in found:
            yield found
        for value in found.values():
            yield from steps(value)
    elif isinstance(found, list):
        for value in found:
            yield from steps(value)


def commands(path: Path, program: str) -> list[list[str]]:
    """The arguments of every call of that program in a line of its own."""
    lines = (line for script in scripts(loaded(path)) for line in script.splitlines())
    called = (line for line in lines if re.match(rf"\s*(\S*/)?{program} ", line))
    return [shlex.split(line.partition("||")[0], comments=True)[1:] for line in called]


def name_of(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_a_workflow_calls_what_there_is(path: Path) -> None:
    for target, *_ in commands(path, "make"):
        assert target in TARGETS
    for script in re.findall(r"\.ci/\w+", path.read_text(encoding="utf-8")):
        assert os.access(ROOT / script, os.X_OK), script
    assert commands(path, "make") or commands(path, "reconnect-storm")


@pytest.mark.parametrize("path", [ACTION, GITLAB], ids=name_of)
def test_every_option_of_a_gate_in_a_script_exists(path: Path) -> None:
    gate = main.get_command(click.Context(main), "gate")
    assert gate is not None
    options = {option for parameter in gate.params for option in (*parameter.opts, *parameter.secondary_opts)}
    (script,) = (
        script for script in scripts(loaded(path)) if re.search(r"\bgate \"\$(STORM_)?SCENARIO\"", script)
    )
    lines = [line for line in script.splitlines() if "git rev-parse" not in line]
    named = set(re.findall(r"(?<=[ (])--[a-z-]+", "\n".join(lines)))
    assert {"--accepted", "--accept-all", "--baseline", "--comment", "--junit", "--runs"} <= named <= options


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_a_workflow_asks_for_no_permission_that_it_does_not_need(path: Path) -> None:
    assert loaded(path)["permissions"] == PERMISSIONS[path.name]


TEXTS = {**{path.name: path.read_text(encoding="utf-8") for path in FILES}, "written by init": WRITTEN}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_no_value_of_an_event_is_part_of_a_script(text: str) -> None:
    assert all("${{" not in script for script in scripts(yaml.safe_load(text)))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_script_can_be_parsed(text: str) -> None:
    for script in scripts(yaml.safe_load(text)):
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_action_is_pinned_to_a_major_version_and_gets_inputs_that_it_has(text: str) -> None:
    inputs = loaded(ACTION)["inputs"]
    for step in steps(yaml.safe_load(text)):
        uses = step["uses"]
        assert uses == "./" or re.search(r"@v\d", uses), uses
        if uses == "./" or uses.startswith("reconnect-storm/"):
            assert {*step.get("with", {})} <= {*inputs}
            scenario = step["with"]["scenario"]
            assert scenario in catalog() or scenario == inputs["scenario"]["default"]


def test_the_action_uses_every_input_and_no_other() -> None:
    text = ACTION.read_text(encoding="utf-8")
    action = yaml.safe_load(text)
    used = set(re.findall(r"\binputs\.([a-z-]+)", text))
    assert used == {*action["inputs"]}
    assert all(spec["description"] for spec in action["inputs"].values())


def test_every_step_that_the_action_reads_from_comes_before() -> None:
    seen: set[str] = set()
    for step in loaded(ACTION)["runs"]["steps"]:
        assert set(re.findall(r"\bsteps\.([a-z]+)\.", str(step))) <= seen
        seen |= {step.get("id", "")}
        assert "run" not in step or step["shell"] == "bash"
    outputs = loaded(ACTION)["outputs"].values()
    named = {match for spec in outputs for match in EXPRESSION.findall(spec["value"])}
    assert {name.split(".")[1] for name in named} <= seen


def test_the_job_for_gitlab_is_what_init_writes() -> None:
    """After a change of the template, write the file again with what `gitlab_job` returns here."""
    assert GITLAB.read_text(encoding="utf-8") == gitlab_job(None, None, ROOT), (
        "write it again with gitlab_job"
    )


# -- linters that were written for these files ---------------------------------------------------------------

PINS = """rules:
  unpinned-uses:
    config:
      policies:
        "actions/*": ref-pin
        "reconnect-storm/*": ref-pin
"""
"""A tag is enough for GitHub's own actions, and for ours."""
KINDS = {"github-workflows": [*WORKFLOWS], "github-actions": [ACTION], "gitlab-ci": [GITLAB]}


def linted(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    words = [str(Path(sys.executable).with_name(program)), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The workflow that `init` writes, at its place: zizmor looks at paths."""
    path = tmp_path / ".github" / "workflows" / "storm.yml"
    path.parent.mkdir(parents=True)
    path.write_text(WRITTEN, encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_for_a_ci_system_has_the_form_that_the_system_publishes(kind: str, written: Path) -> None:
    files = KINDS[kind] + ([written] if kind == "github-workflows" else [])
    found = linted("check-jsonschema", "--builtin-schema", f"vendor.{kind}", *files)
    assert found.returncode == 0, found.stdout


def test_a_security_linter_has_nothing_against_workflows_and_action(tmp_path: Path, written: Path) -> None:
    config = tmp_path / "zizmor.yml"
    config.write_text(PINS, encoding="utf-8")
    files = (*WORKFLOWS, ACTION, written)
    found = linted(
        "zizmor", "--offline", "--no-progress", "--min-severity=medium", "--config", config, *files
    )
    assert found.returncode == 0, found.stdout


def test_the_security_linter_finds_a_value_that_goes_into_a_script(tmp_path: Path, written: Path) -> None:
    text = WRITTEN.replace(
        "      - uses: actions/checkout",
        "      - run: echo ${{ github.head_ref }}\n      - uses: actions/checkout",
        1,
    )
    assert text != WRITTEN
    written.write_text(text, encoding="utf-8")
    found = linted("zizmor", "--offline", "--no-progress", "--min-severity=medium", written)
    assert found.returncode != 0
    assert "template-injection" in found.stdout
