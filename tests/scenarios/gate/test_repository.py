"""Commits of a repository, found by what somebody typed, and its uncommitted changes."""

import re
from pathlib import Path

import pytest

from scenarios.gate.repository import (
    CheckoutError,
    Repository,
    beside,
    file_of,
    is_tracked,
    repository_of,
    revision,
    uncommitted,
)
from tests.support.repositories import commit, git, new_repository, trace

pytestmark = pytest.mark.needs_git


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two commits, the second one with the tag v2."""
    made = new_repository(tmp_path / "repository", file="first")
    commit(made, {"file": "second", "ops/storm.toml": "name = 'x'"})
    git(made, "tag", "v2")
    return made


@pytest.fixture
def repository(folder: Path) -> Repository:
    return repository_of(folder)


# -- which commit --------------------------------------------------------------------------------------------


def test_a_commit_has_an_id_and_a_date(repository: Repository) -> None:
    found = revision("v2", repository)
    assert len(found.id) == 40
    assert found.id.startswith(found.short)
    assert found.date.startswith("20")


@pytest.mark.parametrize("ref", ["nope", "", "-x", "--help", "HEAD:file", "HEAD~9", "v2\n", "$(id)"])
def test_what_is_no_commit_is_refused(repository: Repository, ref: str) -> None:
    with pytest.raises(CheckoutError, match="expected a branch, a tag or a commit"):
        revision(ref, repository)


def test_a_folder_without_a_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckoutError, match=re.escape(f"{tmp_path}: is in no git repository")):
        repository_of(tmp_path)


def test_a_machine_without_git_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CheckoutError, match="git cannot be run"):
        repository_of(tmp_path)


def test_variables_of_a_git_hook_lead_to_no_other_repository(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = new_repository(tmp_path / "other", file="x")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert repository_of(folder).top == folder


def test_three_dots_are_the_merge_base_with_head(folder: Path, repository: Repository) -> None:
    parted = git(folder, "rev-parse", "HEAD")
    git(folder, "checkout", "--quiet", "-b", "feature")
    commit(folder, {"file": "of the feature"})
    git(folder, "checkout", "--quiet", "main")
    commit(folder, {"file": "of main"})
    git(folder, "checkout", "--quiet", "feature")
    assert revision("main...", repository).id == parted
    assert revision("main", repository).id != parted


def test_histories_without_a_common_commit_have_no_merge_base(folder: Path, repository: Repository) -> None:
    git(folder, "checkout", "--quiet", "--orphan", "other")
    commit(folder, {"file": "new"})
    with pytest.raises(CheckoutError, match=r"git:main\.\.\.: has no merge base with HEAD"):
        revision("main...", repository)


def cloned(folder: Path, *options: str) -> Repository:
    clone = folder.with_name("clone")
    git(folder, "clone", "--quiet", *options, f"file://{folder}", str(clone))
    return repository_of(clone)


def test_a_branch_of_the_remote_is_suggested(folder: Path) -> None:
    clone = cloned(folder)
    git(clone.top, "checkout", "--quiet", "-b", "feature")
    git(clone.top, "branch", "--quiet", "-D", "main")
    with pytest.raises(CheckoutError, match=r"git:main: .*: did you mean git:origin/main\? expected"):
        revision("main", clone)
    assert revision("origin/main", clone).id == git(folder, "rev-parse", "main")


@pytest.mark.parametrize(("typed", "meant"), [("master", "main"), ("mian", "main"), ("v22", "v2")])
def test_a_name_that_is_alike_is_suggested(repository: Repository, typed: str, meant: str) -> None:
    with pytest.raises(CheckoutError, match=rf"did you mean git:{meant}\?"):
        revision(typed, repository)


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("HEAD~1", "run `git fetch --deepen=50 origin`; in GitHub Actions"),
        ("release", "run `git fetch --deepen=50 origin`, or `git fetch origin release`; in GitHub Actions"),
        ("origin/release", "`git fetch origin release`"),
    ],
)
def test_a_shallow_clone_is_told_how_to_get_more(folder: Path, typed: str, advice: str) -> None:
    shallow = cloned(folder, "--depth=1")
    with pytest.raises(CheckoutError, match=re.escape(advice)) as refused:
        revision(typed, shallow)
    assert "fetch-depth: 0" in str(refused.value)


def test_a_whole_clone_is_not_told_to_fetch(repository: Repository) -> None:
    with pytest.raises(CheckoutError) as refused:
        revision("release", repository)
    assert "fetch" not in str(refused.value)


# -- files of a commit ---------------------------------------------------------------------------------------


def test_a_file_is_read_as_in_a_commit(folder: Path, repository: Repository) -> None:
    (folder / "file").write_text("not committed")
    assert file_of(repository, "HEAD~1", "file") == b"first"
    assert file_of(repository, "HEAD", "ops/storm.toml") == b"name = 'x'"
    assert file_of(repository, "HEAD~1", "ops/storm.toml") is None


def test_folders_and_links_are_no_files(folder: Path, repository: Repository) -> None:
    (folder / "link").symlink_to("/etc/passwd")
    commit(folder, {})
    for path in ("ops", "link", "f*", ":(top)file", "../file"):
        assert file_of(repository, "HEAD", path) is None, path


def test_a_file_is_tracked_once_it_is_added(folder: Path, repository: Repository) -> None:
    (folder / "new").touch()
    assert is_tracked(repository, folder / "file")
    assert not is_tracked(repository, folder / "new")


# -- the working tree ----------------------------------------------------------------------------------------


def test_a_clean_working_tree_has_no_changes(repository: Repository) -> None:
    assert uncommitted(repository) == ()


def test_changed_staged_deleted_and_new_files_are_uncommitted(folder: Path, repository: Repository) -> None:
    commit(folder, {"gone": "x", "old name": "a text that is long enough", ".gitignore": "*.log\n"})
    (folder / "file").write_text("changed")
    (folder / "gone").unlink()
    (folder / "staged").touch()
    git(folder, "add", "staged")
    git(folder, "mv", "old name", "new name")
    (folder / "ignored.log").touch()
    (folder / "ops" / "new").touch()
    expected = {"file", "gone", "staged", "old name", "new name", "ops/new"}
    assert set(uncommitted(repository)) == expected


def test_what_this_program_writes_is_no_change(folder: Path, repository: Repository) -> None:
    (folder / "runs" / "gate").mkdir(parents=True)
    (folder / "runs" / "gate" / "run.json").touch()
    (folder / "out").mkdir()
    (folder / "out" / "gate.xml").touch()
    assert uncommitted(repository, [folder / "runs", folder / "out" / "gate.xml", Path("/elsewhere")]) == ()
    (folder / "out" / "more").touch()
    assert uncommitted(repository, [folder / "runs", folder / "out" / "gate.xml"]) == ("out/",)


def test_looking_at_changes_leaves_no_trace(folder: Path, repository: Repository) -> None:
    (folder / "file").touch()
    before = trace(folder)
    uncommitted(repository)
    assert trace(folder) == before


def test_what_is_installed_beside_the_committed_files_is_found(folder: Path) -> None:
    commit(folder, {".gitignore": "node_modules\n.env\n"})
    for name in ("node_modules/socket.io", "ops/.venv"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").touch()
    (folder / ".env").touch()
    assert set(beside(folder)) == {"node_modules", ".env"}
    assert set(beside(folder / "ops")) == {".venv"}
