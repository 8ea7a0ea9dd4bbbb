"""Another version of this project, taken out of its repository into a folder that is gone afterwards.

`git archive` leaves no trace in the repository, whatever ends this program, and runs no hooks.
"""

import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from reports.rundir.schema import SCHEMA_VERSION
from scenarios.exit_status import GOOD, INVALID, USAGE
from scenarios.fields import invalid
from scenarios.scenario.redact import secrets_in
from scenarios.scenario.redact_text import hide

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout that this program runs from."""

_GIT_TIMEOUT_S = 60
_ASK_TIMEOUT_S = 60
_ENTRIES = (
    ("reconnect_storm/__main__.py", "reconnect_storm"),
    ("scenarios/cli/__main__.py", "scenarios.cli"),
    ("scenarios/cli.py", "scenarios.cli"),
)
"""The file that a version's command line is in, newest layout first, and the module to start it by."""


class CheckoutError(Exception):
    """A version that does not exist, or cannot run; the message says which and why."""


class Revision(Struct, frozen=True):
    """A commit."""

    id: str
    date: str
    """When it was committed, in ISO 8601."""


def revision(ref: str, repository: Path = PROJECT) -> Revision:
    """The commit that a branch, a tag or an id stands for. Raises CheckoutError."""
    if repository == PROJECT and not (PROJECT / ".git").exists():
        # git would look in the folders above, and find the repository that an environment is in.
        raise CheckoutError(
            f"git:{ref}: invalid in an installation: expected a clone of reconnect-storm that is run itself; "
            "run directories can be compared everywhere: runs:FOLDER"
        )
    found = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if found.returncode:
        because = found.stderr.decode(errors="replace").strip() or f"no such commit in {repository}"
        raise CheckoutError(
            f"git:{ref}: {because}; expected a branch, a tag or a commit of this clone "
            "(a shallow clone has few)"
        )
    commit = found.stdout.decode().strip()
    shown = _git(repository, "show", "--no-patch", "--format=%cI", commit, "--")
    return Revision(commit, shown.stdout.decode().strip())


_SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
"""Python 3.11.2, which Debian 12 has, knows no filters yet."""


@contextmanager
def checkout(ref: str, repository: Path = PROJECT) -> Iterator[Path]:
    """The files of that version, in a temporary folder. Raises CheckoutError."""
    commit = revision(ref, repository).id
    archive = _git(repository, "archive", "--format=tar", commit)
    if archive.returncode:
        raise CheckoutError(f"git:{ref}: {archive.stderr.decode(errors='replace').strip()}")
    with tempfile.TemporaryDirectory(prefix="reconnect-storm-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(folder, **_SAFELY)  # noqa: S202 - an archive that git has just made
        yield Path(folder)


def command_of(root: Path) -> list[str]:
    """What starts the command line of the version in `root`, to be run there. Raises CheckoutError."""
    for file, module in _ENTRIES:
        if (root / file).is_file():
            return [sys.executable, "-m", module]
    files = ", ".join(file for file, _ in _ENTRIES)
    raise CheckoutError(f"{root}: has none of {files}: expected a version of reconnect-storm")


def check_can_run(name: str, root: Path, scenario: str, overrides: Sequence[str]) -> None:
    """Raises CheckoutError where the version in `root` cannot run the scenario, or writes other run
    directories than this one reads; `name` is what the user called it.

    The version is asked through its own command line, never by importing its modules: `probe`, or
    `doctor` where it has no `probe` yet. What such a version writes is checked when it is read.
    """
    try:
        command = command_of(root)
    except CheckoutError:
        raise CheckoutError(f"{name}: not a version of reconnect-storm") from None
    settings = [part for override in overrides for part in ("--set", override)]
    probed = _ask(name, root, [*command, "probe", scenario, *settings])
    if probed.returncode == USAGE and "no such command" in probed.stderr.lower():
        probed = _ask(name, root, [*command, "doctor", scenario, *settings])
        if probed.returncode in {GOOD, INVALID}:
            return
    if probed.returncode != GOOD:
        # Another version may hide less.
        because = hide(_complaint(probed.stderr), secrets_in(overrides))
        raise CheckoutError(f"{name}: cannot run {scenario}: {because}")
    try:
        found = json.loads(probed.stdout)["schema_version"]
    except (ValueError, KeyError, TypeError):
        raise CheckoutError(f"{name}: invalid answer of `probe`: {probed.stdout.strip()[:200]!r}") from None
    if found != SCHEMA_VERSION:
        raise CheckoutError(
            invalid(f"{name}: schema version of its run directories", found, str(SCHEMA_VERSION))
        )


def _ask(name: str, root: Path, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(  # noqa: S603
            command, cwd=root, capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise CheckoutError(f"{name}: no answer of its command line within {_ASK_TIMEOUT_S} s") from None


def _complaint(stderr: str) -> str:
    """The last line that a command has written, without the command's or the exception's name."""
    last = (stderr.strip().splitlines() or ["it says nothing"])[-1]
    return last.removeprefix("reconnect-storm: ").split("Error: ", 1)[-1]


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
