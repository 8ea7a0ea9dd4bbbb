"""The files for CI systems: they parse, and every command in them is one that there is."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from scenarios.cli.main import main
from scenarios.scenario.loader import catalog

ROOT = Path(__file__).parents[2]
FILES = [*sorted((ROOT / ".github" / "workflows").glob("*.yml")), ROOT / "docs" / "data" / "gitlab-ci.yml"]
WORKFLOWS = FILES[:-1]
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def scripts(found: Any) -> Iterator[str]:
    """Every script in a workflow or a GitLab file."""
    if isinstance(found, dict):
        for key, value in found.items():
            if key == "run" and isinstance(value, str):
                yield value
            elif key == "script":
                yield from value
            else:
                yield from scripts(value)
    elif isinstance(found, list):
        for value in found:
            yield from scripts(value)


def commands(path: Path, program: str) -> list[list[str]]:
    """The arguments of every call of that program."""
    found = []
    for script in scripts(yaml.safe_load(path.read_text(encoding="utf-8"))):
        for line in script.splitlines():
            words = shlex.split(line.partition("||")[0], comments=True)
            if words and words[0].rpartition("/")[2] == program:
                found.append(words[1:])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_ci_file_calls_what_there_is(path: Path) -> None:
    for target, *_ in commands(path, "make"):
        assert target in TARGETS
    for script in re.findall(r"\.ci/\w+", path.read_text(encoding="utf-8")):
        assert os.access(ROOT / script, os.X_OK), script
    called = commands(path, "reconnect-storm")
    assert called or commands(path, "make")
    for name, *arguments in called:
        command = main.get_command(click.Context(main), name)
        assert command is not None, name
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in arguments if word.startswith("--")} <= options
        if name == "gate":
            assert arguments[0] in catalog()


def test_both_systems_have_a_gate() -> None:
    gates = [
        path.name for path in FILES if any(call[0] == "gate" for call in commands(path, "reconnect-storm"))
    ]
    assert gates == ["storm-gate.yml", "gitlab-ci.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_reads_and_writes_nothing_but_its_files(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    # What a fork can name must not be part of a script.
    assert all("${{" not in script for script in scripts(workflow))
