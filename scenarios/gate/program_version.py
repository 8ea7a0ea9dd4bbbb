"""Another version of this program, in a folder of its own: asked and started by its command line."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from reports.rundir.schema import SCHEMA_VERSION
from scenarios.exit_status import GOOD, INVALID, USAGE
from scenarios.fields import invalid
from scenarios.gate.repository import CheckoutError
from scenarios.scenario.redact import secrets_in
from scenarios.scenario.redact_text import hide

_ASK_TIMEOUT_S = 60
_ENTRIES = (
    ("reconnect_storm/__main__.py", "reconnect_storm"),
    ("scenarios/cli/__main__.py", "scenarios.cli"),
    ("scenarios/cli.py", "scenarios.cli"),
)
"""The file that a version's command line is in, newest layout first, and the module to start it by."""


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
        answer = hide(probed.stdout.strip(), secrets_in(overrides))[:200]
        raise CheckoutError(f"{name}: invalid answer of `probe`: {answer!r}") from None
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
