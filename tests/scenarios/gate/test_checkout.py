"""Another version of this project: found, taken out, and refused where it cannot run."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.rundir.schema import SCHEMA_VERSION
from scenarios.gate.checkout import (
    PROJECT,
    CheckoutError,
    check_can_run,
    checkout,
    command_of,
    revision,
)


def git(repository: Path, *arguments: str) -> None:
    who = ("-c", "user.name=x", "-c", "user.email=x@localhost")
    subprocess.run(["git", "-C", str(repository), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits: a file with one word, then with another."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    for word in ("first", "second"):
        (folder / "file").write_text(word)
        git(folder, "add", "file")
        git(folder, "commit", "--quiet", "-m", word)
    git(folder, "tag", "v2")
    return folder


@pytest.mark.needs_git
def test_a_version_is_taken_out_and_gone_afterwards(repository: Path) -> None:
    (repository / "file").write_text("not committed")
    with checkout("HEAD~1", repository) as root:
        assert (root / "file").read_text() == "first"
    assert not root.exists()
    assert (repository / "file").read_text() == "not committed"
    assert not (repository / ".git" / "worktrees").exists()


@pytest.mark.needs_git
def test_a_version_is_gone_whatever_happens(repository: Path) -> None:
    with pytest.raises(KeyboardInterrupt), checkout("v2", repository) as root:
        raise KeyboardInterrupt
    assert not root.exists()


@pytest.mark.needs_git
def test_a_commit_has_an_id_and_a_date(repository: Path) -> None:
    found = revision("v2", repository)
    assert len(found.id) == 40
    assert found.date.startswith("20")


@pytest.mark.needs_git
@pytest.mark.parametrize("ref", ["nope", "", "-x", "--help", "HEAD:file", "HEAD~9"])
def test_what_is_no_commit_is_refused(repository: Path, ref: str) -> None:
    with (
        pytest.raises(CheckoutError, match="expected a branch, a tag or a commit"),
        checkout(ref, repository),
    ):
        pass


@pytest.mark.needs_git
def test_a_folder_without_a_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckoutError, match="git:HEAD"):
        revision("HEAD", tmp_path)


def test_a_machine_without_git_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CheckoutError, match="git cannot be run"):
        revision("HEAD", tmp_path)


@pytest.fixture
def other_version(tmp_path: Path) -> Callable[..., Path]:
    """Makes a version with its command line in a file, and what that prints and ends with by command."""

    def make(file: str, answers: dict[str, tuple[str, int]]) -> Path:
        path = tmp_path / file
        path.parent.mkdir(parents=True)
        for folder in path.relative_to(tmp_path).parents[:-1]:
            (tmp_path / folder / "__init__.py").touch()
        path.write_text(
            f"import sys\nanswers = {answers!r}\ncommand = sys.argv[1]\n"
            "if command not in answers:\n"
            "    sys.exit(print(f\"Error: No such command '{command}'.\", file=sys.stderr) or 2)\n"
            "text, status = answers[command]\n"
            "print(text, file=sys.stderr if status else sys.stdout)\nsys.exit(status)\n"
        )
        return tmp_path

    return make


LAYOUTS = ["scenarios/cli.py", "scenarios/cli/__main__.py", "reconnect_storm/__main__.py"]
SAME = json.dumps({"schema_version": SCHEMA_VERSION, "a later key": [1]})


@pytest.mark.parametrize("file", LAYOUTS)
@pytest.mark.parametrize(
    ("answers", "refusal"),
    [
        pytest.param({"probe": (SAME, 0)}, "", id="it answers"),
        pytest.param({"doctor": ("ok", 0)}, "", id="it has no probe, and can run the scenario"),
        pytest.param({"doctor": ("!! cores", 3)}, "", id="it has no probe, and this machine is busy"),
        pytest.param(
            {"doctor": ("reconnect-storm: x: no such scenario", 2)},
            "git:old: cannot run gate-quick: x: no such scenario",
            id="it has no probe, and not this scenario",
        ),
        pytest.param(
            {"probe": ("reconnect-storm: x: no such scenario", 2)},
            "git:old: cannot run gate-quick: x: no such scenario",
            id="it has not this scenario",
        ),
        pytest.param(
            {"probe": ("Traceback …\nModuleNotFoundError: No module named 'x'", 1)},
            "git:old: cannot run gate-quick: No module named 'x'",
            id="it crashes",
        ),
        pytest.param(
            {"probe": ('{"schema_version": 1}', 0)},
            f"git:old: schema version of its run directories: invalid value 1: expected {SCHEMA_VERSION}",
            id="its run directories are others",
        ),
        pytest.param({"probe": ("hello", 0)}, "git:old: invalid answer of `probe`: 'hello'", id="no JSON"),
        pytest.param({"probe": ("[2]", 0)}, "git:old: invalid answer of `probe`: '[2]'", id="no object"),
        pytest.param({}, "git:old: cannot run gate-quick: No such command 'doctor'.", id="neither"),
    ],
)
def test_a_version_of_any_layout_is_asked_through_its_command_line(
    other_version: Callable[..., Path], file: str, answers: dict[str, tuple[str, int]], refusal: str
) -> None:
    root = other_version(file, answers)
    if not refusal:
        check_can_run("git:old", root, "gate-quick", ())
        return
    with pytest.raises(CheckoutError, match=re.escape(refusal)):
        check_can_run("git:old", root, "gate-quick", ())


def test_the_newest_layout_counts_where_a_version_has_several(other_version: Callable[..., Path]) -> None:
    root = other_version("reconnect_storm/__main__.py", {})
    (root / "scenarios").mkdir()
    (root / "scenarios/cli.py").touch()
    assert command_of(root)[-1] == "reconnect_storm"


@pytest.mark.needs_git
def test_another_project_cannot_run(repository: Path) -> None:
    with pytest.raises(CheckoutError, match="git:v2: not a version of reconnect-storm"):
        check_can_run("git:v2", repository, "gate-quick", ())


@pytest.mark.needs_checkout
def test_this_version_can_run_what_it_has_and_nothing_else() -> None:
    check_can_run("git:HEAD", PROJECT, "gate-quick", ())
    with pytest.raises(CheckoutError, match="git:HEAD: cannot run nope: nope: no such scenario"):
        check_can_run("git:HEAD", PROJECT, "nope", ())
    with pytest.raises(CheckoutError, match=r"git:HEAD: cannot run gate-quick: .*fleet\.nope"):
        check_can_run("git:HEAD", PROJECT, "gate-quick", ("fleet.nope=1",))
