"""Another version of this project, taken out of its repository into a folder that is gone afterwards.

`git archive` leaves no trace in the repository, whatever ends this program, and runs no hooks.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from reports.record import SCHEMA_VERSION
from scenarios.secrets import hide, secrets_in

PROJECT = Path(__file__).resolve().parents[1]
"""The checkout that this program runs from."""

_GIT_TIMEOUT_S = 60
_PROBE = (
    "import sys; from reports.record import SCHEMA_VERSION; from scenarios.scenario_file import load; "
    "load(sys.argv[1], sys.argv[2:]); print(SCHEMA_VERSION)"
)


class CheckoutError(Exception):
    """A version that is not there, or cannot run; the message says what was found and what is allowed."""


class Revision(Struct, frozen=True):
    """A commit."""

    id: str
    date: str
    """When it was committed, in ISO 8601."""


def revision(ref: str, repository: Path = PROJECT) -> Revision:
    """The commit that a branch, a tag or an id stands for. Raises CheckoutError."""
    found = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if found.returncode:
        because = found.stderr.decode(errors="replace").strip() or f"no such commit in {repository}"
        raise CheckoutError(
            f"git:{ref}: {because}; allowed: a branch, a tag or a commit that this clone has "
            "(a shallow clone has few)"
        )
    commit = found.stdout.decode().strip()
    shown = _git(repository, "show", "--no-patch", "--format=%cI", commit, "--")
    return Revision(commit, shown.stdout.decode().strip())


@contextmanager
def checkout(ref: str, repository: Path = PROJECT) -> Iterator[Path]:
    """The files of that version, in a temporary folder. Raises CheckoutError."""
    commit = revision(ref, repository).id
    archive = _git(repository, "archive", "--format=tar", commit)
    if archive.returncode:
        raise CheckoutError(f"git:{ref}: {archive.stderr.decode(errors='replace').strip()}")
    with tempfile.TemporaryDirectory(prefix="reconnect-storm-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(folder, filter="data")
        yield Path(folder)


def check_can_run(name: str, root: Path, scenario: str, overrides: Sequence[str]) -> None:
    """Raises CheckoutError where the version in `root` cannot run the scenario, or writes other run
    directories than this one reads; `name` is what the user called it."""
    if not (root / "scenarios" / "cli.py").is_file():
        raise CheckoutError(
            f"{name}: found no scenarios/cli.py in it, allowed: a version of this project that has `run`"
        )
    probed = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _PROBE, scenario, *overrides],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=_GIT_TIMEOUT_S,
        check=False,
    )
    if probed.returncode:
        # The name of the exception says nothing to whoever asked.
        last = (probed.stderr.strip().splitlines() or ["it says nothing"])[-1].split("Error: ", 1)[-1]
        # Another version may hide less.
        raise CheckoutError(f"{name}: it cannot run {scenario}: {hide(last, secrets_in(overrides))}")
    found = probed.stdout.strip()
    if found != str(SCHEMA_VERSION):
        raise CheckoutError(
            f"{name}: found run directories of schema version {found}, allowed: {SCHEMA_VERSION}"
        )


def _git(repository: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(  # noqa: S603
            ["git", "-C", str(repository), *arguments],  # noqa: S607
            capture_output=True,
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        raise CheckoutError(f"git cannot be run: {error}") from None
