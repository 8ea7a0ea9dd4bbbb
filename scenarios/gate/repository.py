"""A git repository, asked without leaving a trace in it: commits, files of a commit, uncommitted changes."""

import difflib
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout that this program runs from."""
MERGE_BASE = "..."
"""Behind a name: the commit from which it and HEAD went separate ways."""

_TIMEOUT_S = 60
_COMMIT_TIMEOUT_S = 1_800
"""To write all files of a commit; a filter such as Git LFS may have to download them."""
_OF_ONE_REPOSITORY = frozenset(
    {
        *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE", "GIT_COMMON_DIR"),
        *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE"),
    }
)
"""Variables that a git hook sets; they would lead every command to the hook's repository."""
_NO_TRACE = tuple(
    part
    for setting in (
        "core.hooksPath=/dev/null",
        "core.fsmonitor=false",
        "core.splitIndex=false",
        "core.sparseCheckout=false",
        "submodule.recurse=false",
    )
    for part in ("-c", setting)
)
"""No hook runs, and nothing is written beside the index, or into submodules."""
_REGULAR = ("100644", "100755")
_USUAL = ("main", "master")
_PLAIN_NAME = re.compile(r"[\w./-]+")


class CheckoutError(Exception):
    """A version that does not exist, or cannot run; the message says which and why."""


class Revision(Struct, frozen=True):
    """A commit."""

    id: str
    date: str
    """When it was committed, in ISO 8601."""

    @property
    def short(self) -> str:
        """The first digits of its id."""
        return self.id[:7]


class Repository(Struct, frozen=True):
    """A working tree, or a submodule of which there may be none."""

    top: Path
    git_folder: Path

    @property
    def common_folder(self) -> Path:
        """The git folder that all working trees of one clone share."""
        found = git(self, "rev-parse", "--git-common-dir")
        return (self.git_folder / _text(found.stdout)).resolve() if found.returncode == 0 else self.git_folder


def repository_of(folder: Path) -> Repository:
    """The repository that a folder is in. Raises CheckoutError."""
    found = git(folder, "rev-parse", "--show-toplevel", "--absolute-git-dir")
    if found.returncode:
        because = _complaint(found)
        none = not because or "not a git repository" in because
        raise CheckoutError(f"{folder}: {'is in no git repository' if none else because}")
    top, git_folder = _text(found.stdout).splitlines()
    return Repository(Path(top), Path(git_folder))


def project() -> Repository:
    """The clone of reconnect-storm that this program runs from. Raises CheckoutError in an installation."""
    if not (PROJECT / ".git").exists():
        # git would look in the folders above, and find the repository that an environment is in.
        raise CheckoutError("this program is an installation, and no clone of reconnect-storm")
    return repository_of(PROJECT)


def revision(ref: str, repository: Repository) -> Revision:
    """The commit that a branch, a tag or an id stands for; with `...` behind it, its merge base with HEAD.

    Raises CheckoutError.
    """
    commit = _commit_id(ref.removesuffix(MERGE_BASE), repository)
    if ref.endswith(MERGE_BASE):
        base = git(repository, "merge-base", "HEAD", commit)
        if base.returncode:
            advice = _deepen("", repository) or "expected a branch that has a commit in common with HEAD"
            raise CheckoutError(f"git:{ref}: has no merge base with HEAD: {advice}")
        commit = _text(base.stdout)
    shown = git(repository, "show", "--no-patch", "--format=%cI", commit, "--")
    return Revision(commit, _text(shown.stdout))


def _commit_id(ref: str, repository: Repository) -> str:
    found = git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if found.returncode:
        because = _complaint(found) or f"no such commit in {repository.top}"
        raise CheckoutError(
            f"git:{ref}: {because}: {_did_you_mean(ref, repository)}"
            f"expected a branch, a tag or a commit{_deepen(ref, repository)}"
        )
    return _text(found.stdout)


def _did_you_mean(ref: str, repository: Repository) -> str:
    listed = git(
        repository,
        *("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads", "refs/remotes", "refs/tags"),
    )
    names = _text(listed.stdout).split()
    remote = [name for name in names if name.partition("/")[2] == ref]
    usual = [name for name in _USUAL if ref in _USUAL and name in names]
    meant = remote or usual or difflib.get_close_matches(ref, names, n=1)
    return f"did you mean git:{meant[0]}? " if meant and _PLAIN_NAME.fullmatch(meant[0]) else ""


def _deepen(ref: str, repository: Repository) -> str:
    """How to get more commits into a shallow clone; nothing for others."""
    asked = git(repository, "rev-parse", "--is-shallow-repository")
    if _text(asked.stdout) != "true":
        return ""
    name = ref.removeprefix("origin/")
    fetch = f", or `git fetch origin {shlex.quote(name)}`" if name and _PLAIN_NAME.fullmatch(name) else ""
    return (
        f"; this clone is shallow, and lacks older commits: run `git fetch --deepen=50 origin`{fetch}; "
        "in GitHub Actions, give actions/checkout `fetch-depth: 0`"
    )


# -- the files of a commit -----------------------------------------------------------------------------------


def file_of(repository: Repository, commit: str, path: str) -> bytes | None:
    """The content of a file of a commit; None where it has no file with this path."""
    listed = git(repository, "--literal-pathspecs", "ls-tree", "-z", "--full-tree", commit, "--", path)
    entries = [entry for entry in _entries(listed.stdout) if entry[2] == path]
    if not entries or entries[0][0] not in _REGULAR:
        return None
    return git(repository, "cat-file", "blob", entries[0][1]).stdout


def gitlinks(repository: Repository, commit: str) -> dict[str, str]:
    """The submodules of a commit: their paths, and the commit of each. Raises CheckoutError."""
    listed = git(repository, "ls-tree", "-r", "-z", "--full-tree", commit)
    if listed.returncode:
        raise CheckoutError(f"{repository.top}: {_complaint(listed)}")
    return {path: entry for mode, entry, path in _entries(listed.stdout) if mode == "160000"}


def _entries(listed: bytes) -> Iterator[tuple[str, str, str]]:
    """Mode, id and path of each entry of a tree."""
    for line in filter(None, listed.split(b"\0")):
        about, _, path = line.partition(b"\t")
        mode, _, entry = about.decode().split()
        yield mode, entry, os.fsdecode(path)


def is_tracked(repository: Repository, path: Path) -> bool:
    """Whether the index has a file with this path."""
    listed = git(repository.top, "--literal-pathspecs", "ls-files", "--error-unmatch", "--", str(path))
    return listed.returncode == 0


def write_files(repository: Repository, commit: str, folder: Path, index: Path) -> None:
    """Writes the files of a commit into a folder that is empty, as `git checkout` would: with the end-of-line
    conversion and the filters, such as Git LFS, that the repository is configured for. Submodules are empty
    folders. index: a file that does not exist. Raises CheckoutError.

    git itself refuses a path that leads out of the folder, through `..` or a symbolic link.
    """
    written = _run(
        [
            *("git", f"--git-dir={repository.git_folder}", f"--work-tree={folder}", *_NO_TRACE),
            *("read-tree", "--reset", "-u", "--no-recurse-submodules", "--no-sparse-checkout", commit),
        ],
        directory=folder,
        variables={"GIT_INDEX_FILE": str(index)},
        timeout_s=_COMMIT_TIMEOUT_S,
    )
    index.unlink(missing_ok=True)
    if written.returncode:
        raise CheckoutError(f"the files of {commit[:7]} cannot be written: {_complaint(written)}")


# -- the working tree ----------------------------------------------------------------------------------------


def uncommitted(repository: Repository, but_not: Sequence[Path] = ()) -> tuple[str, ...]:
    """Files of the working tree that differ from HEAD, untracked ones among them if they are not ignored.

    but_not: files and folders that do not count, such as those that this program itself writes. Raises
    CheckoutError.
    """
    top = repository.top.resolve()
    inside = [path.resolve() for path in but_not if path.resolve().is_relative_to(top)]
    excluded = [f":(top,exclude,literal){path.relative_to(top)}" for path in inside if path != top]
    found = git(
        repository.top,
        *(*_NO_TRACE, "--no-optional-locks", "status", "--porcelain=v1", "-z"),
        *("--no-renames", "--untracked-files=normal", "--", ":(top)", *excluded),
    )
    if found.returncode:
        raise CheckoutError(f"{repository.top}: {_complaint(found)}")
    return tuple(os.fsdecode(line[3:]) for line in found.stdout.split(b"\0") if line)


def beside(folder: Path) -> tuple[str, ...]:
    """What a folder of the working tree has, and no commit: ignored or untracked."""
    listed = git(folder, "ls-files", "--others", "--directory", "--no-empty-directory", "-z")
    paths = [os.fsdecode(path).rstrip("/") for path in listed.stdout.split(b"\0") if path]
    return tuple(path for path in paths if "/" not in path)


# -- git -----------------------------------------------------------------------------------------------------


def git(place: Repository | Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """Runs git in a repository or a folder. Raises CheckoutError where there is none, or it does not end."""
    if isinstance(place, Path):
        where = ["-C", str(place)]
    else:
        # git would enter the working tree that the configuration names, and a submodule's may be gone.
        where = [f"--git-dir={place.git_folder}", f"--work-tree={place.git_folder}"]
    return _run(["git", *where, *arguments], timeout_s=_TIMEOUT_S)


def _run(
    command: Sequence[str],
    *,
    timeout_s: float,
    directory: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[bytes]":
    inherited = {name: value for name, value in os.environ.items() if name not in _OF_ONE_REPOSITORY}
    try:
        return subprocess.run(  # noqa: S603
            command,
            cwd=directory,
            env={**inherited, "GIT_TERMINAL_PROMPT": "0", **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except OSError as error:
        raise CheckoutError(f"git cannot be run: {error}") from None
    except subprocess.TimeoutExpired:
        raise CheckoutError(f"git {command[-1]}: no end within {timeout_s:g} s") from None


def _text(output: bytes) -> str:
    return os.fsdecode(output).strip()


def _complaint(done: "subprocess.CompletedProcess[bytes]") -> str:
    """What git has written to standard error, in one line."""
    return " ".join(done.stderr.decode(errors="replace").split()).removeprefix("fatal: ")
