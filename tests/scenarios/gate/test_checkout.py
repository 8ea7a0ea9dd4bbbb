"""The files of a commit, exactly, and nothing else anywhere."""

import contextlib
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scenarios.gate.checkout import check_out
from scenarios.gate.repository import CheckoutError, repository_of, revision
from tests.support.repositories import commit, git, new_repository, trace

pytestmark = pytest.mark.needs_git


@pytest.fixture
def into(tmp_path: Path) -> Callable[..., Path]:
    """Checks a commit of a repository out; the folder."""

    def check(folder: Path, ref: str = "HEAD") -> Path:
        target = tmp_path / f"files-of-{folder.name}"
        target.mkdir()
        repository = repository_of(folder)
        check_out(repository, revision(ref, repository).id, target)
        return target

    return check


def test_a_version_has_the_files_of_its_commit(tmp_path: Path, into: Callable[..., Path]) -> None:
    folder = new_repository(tmp_path / "repository", file="first")
    commit(folder, {"file": "second", "new": ""})
    (folder / "file").write_text("not committed")
    files = into(folder, "HEAD~1")
    assert [path.name for path in files.iterdir()] == ["file"]
    assert (files / "file").read_text() == "first"


def test_the_repository_is_left_as_it_was_and_no_hook_runs(tmp_path: Path, into: Callable[..., Path]) -> None:
    folder = new_repository(tmp_path / "repository", file="first")
    for setting in ("core.splitIndex", "core.sparseCheckout", "submodule.recurse"):
        git(folder, "config", setting, "true")
    for hook in ("post-index-change", "post-checkout", "fsmonitor-watchman"):
        path = folder / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
        path.chmod(0o755)
    git(folder, "config", "core.fsmonitor", str(folder / ".git/hooks/fsmonitor-watchman"))
    before = trace(folder)
    assert (into(folder) / "file").exists()
    assert trace(folder) == before
    assert not (tmp_path / "hook-ran").exists()


def test_attributes_for_archives_leave_nothing_out(tmp_path: Path, into: Callable[..., Path]) -> None:
    attributes = "tests export-ignore\nversion export-subst\n"
    folder = new_repository(tmp_path / "repository")
    commit(folder, {".gitattributes": attributes, "tests/data": "x", "version": "$Format:%H$"})
    files = into(folder)
    assert (files / "tests" / "data").exists()
    assert (files / "version").read_text() == "$Format:%H$"


def test_line_ends_and_filters_are_those_of_a_checkout(tmp_path: Path, into: Callable[..., Path]) -> None:
    folder = new_repository(tmp_path / "repository")
    git(folder, "config", "filter.large.smudge", "sed s/pointer/content/")
    git(folder, "config", "filter.large.clean", "sed s/content/pointer/")
    attributes = "*.bin filter=large\n*.bat text eol=crlf\n"
    commit(folder, {".gitattributes": attributes, "model.bin": "content\n", "run.bat": "a\n"})
    # The attributes of the commit count, not those of the working tree.
    (folder / ".gitattributes").unlink()
    files = into(folder)
    assert (files / "model.bin").read_text() == "content\n"
    assert (files / "run.bat").read_bytes() == b"a\r\n"


def test_modes_links_and_names_are_kept(tmp_path: Path, into: Callable[..., Path]) -> None:
    folder = new_repository(tmp_path / "repository")
    names = ("with space", "ünï", "-dash", "a\nb")
    (folder / "link").symlink_to("with space")
    commit(folder, dict.fromkeys(names, "x"))
    (folder / "with space").chmod(0o755)
    commit(folder, {})
    files = into(folder)
    assert {path.name for path in files.iterdir()} == {*names, "link"}
    assert os.access(files / "with space", os.X_OK)
    assert not os.access(files / "-dash", os.X_OK)
    assert (files / "link").readlink() == Path("with space")


# -- hostile trees -------------------------------------------------------------------------------------------


def tree(folder: Path, *entries: tuple[str, str, str]) -> str:
    """The id of a tree that git itself would not make: (mode, id, name) of each entry."""
    content = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(entry) for mode, entry, name in entries)
    done = subprocess.run(
        ["git", "-C", str(folder), "hash-object", "-t", "tree", "--literally", "-w", "--stdin"],
        input=content,
        check=True,
        capture_output=True,
    )
    return done.stdout.decode().strip()


def blob(folder: Path, text: str) -> str:
    (folder / ".git" / "text").write_text(text)
    return git(folder, "hash-object", "-w", "--no-filters", str(folder / ".git" / "text"))


@pytest.mark.parametrize("name", ["..", ".git", "../evil", "/tmp/evil"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, into: Callable[..., Path], name: str) -> None:
    folder = new_repository(tmp_path / "repository", file="x")
    inner = tree(folder, ("100644", blob(folder, "evil"), "evil"))
    mode, entry = ("100644", blob(folder, "evil")) if "/" in name else ("40000", inner)
    made = git(folder, "commit-tree", "-m", "x", tree(folder, (mode, entry, name)))
    with pytest.raises(CheckoutError, match="cannot be written"):
        into(folder, made)
    assert not list(tmp_path.rglob("evil"))


def test_nothing_is_written_through_a_link(tmp_path: Path, into: Callable[..., Path]) -> None:
    folder = new_repository(tmp_path / "repository", file="x")
    (tmp_path / "elsewhere").mkdir()
    link = blob(folder, str(tmp_path / "elsewhere"))
    inner = tree(folder, ("100644", blob(folder, "evil"), "evil"))
    made = git(folder, "commit-tree", "-m", "x", tree(folder, ("120000", link, "a"), ("40000", inner, "a")))
    with contextlib.suppress(CheckoutError):
        into(folder, made)
    assert not list((tmp_path / "elsewhere").iterdir())


# -- submodules ----------------------------------------------------------------------------------------------


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    """A repository with a submodule that has one itself, all initialised; two commits."""
    inner = new_repository(tmp_path / "inner", deep="deep, first")
    middle = new_repository(tmp_path / "middle", file="middle")
    git(middle, "submodule", "--quiet", "add", str(inner), "vendor/inner")
    commit(middle, {})
    outer = new_repository(tmp_path / "outer", file="outer")
    git(outer, "submodule", "--quiet", "add", "--name", "a-name", str(middle), "lib/middle")
    git(outer, "submodule", "--quiet", "update", "--init", "--recursive")
    commit(outer, {})
    inner_of_outer = outer / "lib/middle/vendor/inner"
    commit(inner_of_outer, {"deep": "deep, second"})
    commit(outer / "lib/middle", {})
    commit(outer, {})
    return outer


@pytest.mark.parametrize(("ref", "deep"), [("HEAD~1", "deep, first"), ("HEAD", "deep, second")])
def test_submodules_are_as_in_the_commit(
    nested: Path, into: Callable[..., Path], ref: str, deep: str
) -> None:
    files = into(nested, ref)
    assert (files / "lib/middle/file").read_text() == "middle"
    assert (files / "lib/middle/vendor/inner/deep").read_text() == deep
    assert not list(files.rglob(".git"))


def test_a_submodule_that_the_working_tree_has_not_any_more_is_found(
    nested: Path, into: Callable[..., Path]
) -> None:
    git(nested, "rm", "--quiet", "-r", "lib/middle")
    commit(nested, {})
    files = into(nested, "HEAD~1")
    assert (files / "lib/middle/vendor/inner/deep").read_text() == "deep, second"


def test_a_submodule_that_is_not_initialised_is_an_error_with_the_command(
    nested: Path, into: Callable[..., Path]
) -> None:
    clone = nested.with_name("clone")
    git(nested, "clone", "--quiet", str(nested), str(clone))
    command = f"run `git -C {clone} submodule update --init lib/middle`"
    with pytest.raises(CheckoutError, match=re.escape(f"lib/middle is not initialised: {command}")):
        into(clone)


def test_a_submodule_that_lacks_the_commit_is_an_error_with_the_command(
    nested: Path, into: Callable[..., Path]
) -> None:
    lacking = "1" * 40
    git(nested, "update-index", "--cacheinfo", f"160000,{lacking},lib/middle")
    git(nested, "commit", "--quiet", "-m", "x")
    command = f"run `git -C {nested / 'lib/middle'} fetch origin {lacking}`"
    with pytest.raises(CheckoutError, match=re.escape(f"lib/middle lacks the commit 1111111: {command}")):
        into(nested)


def test_a_repository_inside_that_nobody_can_fetch_is_left_empty(
    tmp_path: Path, into: Callable[..., Path]
) -> None:
    folder = new_repository(tmp_path / "repository", file="x")
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},embedded")
    git(folder, "commit", "--quiet", "-m", "x")
    assert not list((into(folder) / "embedded").iterdir())
