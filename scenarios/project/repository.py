"""The repository that a project is in, and the CI system that it has."""

import re
from pathlib import Path

from msgspec import Struct

from scenarios.project.folder import read

_OTHER_CI = (
    ".circleci",
    ".drone.yml",
    ".travis.yml",
    ".woodpecker",
    ".woodpecker.yml",
    "Jenkinsfile",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    "buildspec.yml",
)
_HEAD = re.compile(r"ref: refs/(?:heads|remotes/origin)/(\S+)")


class Repository(Struct, frozen=True):
    """Where CI files belong."""

    root: Path
    """Its top folder; the project's own where there is no repository."""
    branch: str
    """The branch that changes are merged into."""
    systems: tuple[str, ...]
    """`github`, `gitlab`."""
    other_ci: str
    """The file of another CI system; empty where there is none, or one of the two."""


def repository(folder: Path) -> Repository:
    """The repository around the folder, which is an absolute path."""
    root = next((one for one in (folder, *folder.parents) if (one / ".git").exists()), folder)
    systems = []
    if (root / ".gitlab-ci.yml").is_file():
        systems.append("gitlab")
    if (root / ".github").is_dir():
        systems.insert(0, "github")
    other = "" if systems else next((name for name in _OTHER_CI if (root / name).exists()), "")
    if not systems and not other:
        systems = ["github"]
    return Repository(root, _branch(root), tuple(systems), other)


def _branch(root: Path) -> str:
    """The default branch of the remote, or else the branch that is checked out, if it has a usual name."""
    for name in ("refs/remotes/origin/HEAD", "HEAD"):
        match = _HEAD.match(read(root / ".git" / name))
        if match and (name != "HEAD" or match[1] in {"main", "master", "trunk", "develop"}):
            return match[1]
    return "main"
