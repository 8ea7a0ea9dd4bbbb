"""Another version of this project: found, taken out, and refused where it cannot run."""

import subprocess
from pathlib import Path

import pytest

from scenarios.checkout import PROJECT, CheckoutError, check_can_run, checkout, revision


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
        pytest.raises(CheckoutError, match="allowed: a branch, a tag or a commit"),
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


@pytest.mark.needs_git
def test_another_project_cannot_run(repository: Path) -> None:
    with pytest.raises(CheckoutError, match=r"git:v2: found no scenarios/cli\.py"):
        check_can_run("git:v2", repository, "gate-quick", ())


@pytest.mark.needs_checkout
def test_this_version_can_run_what_it_has_and_nothing_else() -> None:
    check_can_run("git:HEAD", PROJECT, "gate-quick", ())
    with pytest.raises(CheckoutError, match="git:HEAD: it cannot run nope: nope: no such scenario"):
        check_can_run("git:HEAD", PROJECT, "nope", ())


def test_a_version_that_writes_other_run_directories_is_refused(tmp_path: Path) -> None:
    for name, text in (
        ("scenarios/cli.py", ""),
        ("scenarios/scenario_file.py", "def load(name, overrides): pass"),
        ("reports/record.py", "SCHEMA_VERSION = 1"),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        (path.parent / "__init__.py").touch()
    with pytest.raises(CheckoutError, match="git:old: found run directories of schema version 1, allowed: 2"):
        check_can_run("git:old", tmp_path, "gate-quick", ())
