"""Small git repositories for tests."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

_SETTINGS = ("user.name=x", "user.email=x@localhost", "protocol.file.allow=always", "commit.gpgsign=false")


def git(repository: Path, *arguments: str) -> str:
    """Runs git in a repository; what it printed."""
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    done = subprocess.run(
        ["git", "-C", str(repository), *settings, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def new_repository(folder: Path, **files: str) -> Path:
    """A repository with a branch `main`; with a commit if there are files."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    if files:
        commit(folder, files)
    return folder


def commit(repository: Path, files: Mapping[str, str], message: str = "x") -> str:
    """Writes files by their paths, and commits everything; the commit's id."""
    for name, text in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(repository, "rev-parse", "HEAD")


def trace(repository: Path) -> dict[str, bytes]:
    """Everything in the git folder of a repository."""
    files = (path for path in (repository / ".git").rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files}
