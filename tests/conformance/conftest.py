"""The real libraries, installed from the locks of this folder, and what they did under virtual time."""

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from tests.conformance.scripts import Script

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LATEST_VARIABLE = "RECONNECT_STORM_CONFORMANCE"
"""`latest` installs the newest versions instead of those of the locks: have they drifted from the models?"""
NPM_OPTIONS = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
# Wheels that run anywhere: one hash each. What they need besides is what this program needs, too.
PIP_OPTIONS = ["--quiet", "--no-deps", "--platform", "any", "--only-binary", ":all:", "--target", "packages"]


class Recording(Struct, frozen=True):
    """What a real client did."""

    package: str
    version: str
    chains: dict[str, list[list[float]]]
    """By script, the delays of each client in milliseconds."""


Record = Callable[[str, Mapping[str, Script]], Recording]


def npm(latest: bool) -> Sequence[str]:
    """The command that installs the libraries of npm."""
    if not latest:
        return ["npm", "ci", *NPM_OPTIONS]
    package = json.loads((HERE / "javascript" / "package.json").read_text(encoding="utf-8"))
    newest = [f"{name}@latest" for name in package["dependencies"]]
    return ["npm", "install", "--no-save", "--force", *NPM_OPTIONS, *newest]


def pip(latest: bool) -> Sequence[str]:
    """The command that installs the libraries of PyPI."""
    # An environment may have been made without pip.
    python = sys.executable if importlib.util.find_spec("pip") else "python3"
    install = [python, "-m", "pip", "--disable-pip-version-check", "install", *PIP_OPTIONS]
    if not latest:
        return [*install, "--require-hashes", "-r", "requirements.lock"]
    lock = (HERE / "python" / "requirements.lock").read_text(encoding="utf-8")
    return [*install, *re.findall(r"(?m)^[\w-]+(?===)", lock)]


def installed(
    config: pytest.Config, language: str, lock: str, command: Callable[[bool], Sequence[str]]
) -> Path:
    """A folder with the drivers of that language and the packages of its lock, kept in pytest's cache."""
    latest = os.environ.get(LATEST_VARIABLE) == "latest"
    digest = (
        datetime.now(UTC).date().isoformat()
        if latest
        else hashlib.sha256((HERE / language / lock).read_bytes()).hexdigest()[:16]
    )
    assert config.cache is not None
    folder = Path(config.cache.mkdir(f"conformance-{language}-{digest}"))
    with (folder / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        shutil.copytree(HERE / language, folder, dirs_exist_ok=True)
        if not (folder / "complete").exists():
            done = subprocess.run(
                command(latest), cwd=folder, capture_output=True, text=True, timeout=300, check=False
            )
            if done.returncode:
                pytest.skip(f"{language}/{lock} could not be installed: {done.stderr.strip()}")
            (folder / "complete").touch()
    return folder


def recorded(command: Sequence[str], scripts: Mapping[str, Script], **environment: str) -> Recording:
    """Plays the scripts against one library in a process of its own."""
    done = subprocess.run(
        command,
        input=json.dumps(msgspec.to_builtins(scripts)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=Recording)


@pytest.fixture(scope="session")
def node_clients(pytestconfig: pytest.Config) -> Record:
    """Plays scripts against a library of npm."""
    folder = installed(pytestconfig, "javascript", "package-lock.json", npm)
    return lambda name, scripts: recorded(["node", str(folder / "drive.js"), name], scripts)


@pytest.fixture(scope="session")
def python_clients(pytestconfig: pytest.Config) -> Record:
    """Plays scripts against a library of PyPI."""
    folder = installed(pytestconfig, "python", "requirements.lock", pip)
    return lambda name, scripts: recorded(
        [sys.executable, "-m", "tests.conformance.python.drive", name.replace("-", "_")],
        scripts,
        PYTHONPATH=str(folder / "packages"),
        PYTHONWARNINGS="ignore",
    )
