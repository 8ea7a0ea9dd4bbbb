"""The files of a commit and of its submodules, written into a folder of their own."""

import shlex
import tempfile
from pathlib import Path, PurePosixPath

from scenarios.gate.repository import (
    CheckoutError,
    Repository,
    git,
    gitlinks,
    repository_of,
    write_files,
)


def check_out(repository: Repository, commit: str, folder: Path) -> None:
    """Writes exactly the files of a commit into a folder that is empty. Raises CheckoutError."""
    with tempfile.TemporaryDirectory(prefix="reconnect-storm-") as scratch:
        _check_out(repository, commit, folder, Path(scratch) / "index", "")


def _check_out(repository: Repository, commit: str, folder: Path, index: Path, above: str) -> None:
    write_files(repository, commit, folder, index)
    for path, linked in gitlinks(repository, commit).items():
        inner = folder / path
        if not inner.resolve().is_relative_to(folder.resolve()):
            raise CheckoutError(f"the submodule {above}{path} leads out of its repository")
        submodule = _submodule(repository, commit, path, linked, above)
        if submodule is not None:
            inner.mkdir(parents=True, exist_ok=True)
            _check_out(submodule, linked, inner, index, f"{above}{path}/")


def _submodule(repository: Repository, commit: str, path: str, linked: str, above: str) -> Repository | None:
    """A local repository that has this commit of a submodule; None for one that git itself cannot fetch.

    Raises CheckoutError.
    """
    name = _name(repository, commit, path)
    found = []
    if (repository.top / path / ".git").exists():
        found.append(repository_of(repository.top / path))
    if name:
        folders = dict.fromkeys((repository.git_folder, repository.common_folder))
        kept = [folder / "modules" / name for folder in folders]
        found += [Repository(repository.top / path, folder) for folder in kept if (folder / "HEAD").is_file()]
    for submodule in found:
        if git(submodule, "cat-file", "-e", f"{linked}^{{commit}}").returncode == 0:
            return submodule
    if found:
        raise CheckoutError(
            f"the submodule {above}{path} lacks the commit {linked[:7]}: run"
            f" `git -C {shlex.quote(str(repository.top / path))} fetch origin {linked}`"
        )
    if not name:
        return None
    raise CheckoutError(
        f"the submodule {above}{path} is not initialised: run"
        f" `git -C {shlex.quote(str(repository.top))} submodule update --init {shlex.quote(path)}`"
    )


def _name(repository: Repository, commit: str, path: str) -> str:
    """What .gitmodules of the commit calls the submodule; empty where it does not know it."""
    blob = f"--blob={commit}:.gitmodules"
    listed = git(repository, "config", blob, "-z", "--get-regexp", r"^submodule\..*\.path$")
    for line in listed.stdout.decode(errors="surrogateescape").split("\0"):
        key, _, value = line.partition("\n")
        name = key.removeprefix("submodule.").removesuffix(".path")
        if value == path and ".." not in PurePosixPath(name).parts and not name.startswith("/"):
            return name
    return ""
