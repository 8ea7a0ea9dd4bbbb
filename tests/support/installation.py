"""The program as a wheel, in an environment of its own with what `requirements.lock` names."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]

Command = Callable[..., "subprocess.CompletedProcess[str]"]

DECOYS = ("gateway_stub", "nginx", "reconnect", "reports", "scenarios", "tests", "tools")
"""Packages that a user's folder may have; ours must neither be hidden by them nor hide them."""

SMALL = (
    "fleet.clients=20",
    "fleet.ramp_per_s=60",
    "gateway.handshake_cpu_ms=1",
    'event=[{at_s=3, do="drop_all"}]',
    "phases.duration_s=7",
    "phases.during_s=2",
    "phases.recovery_window_s=2",
    "phases.rescue_at_s=0",
)
"""Overrides of `mass-drop` that make it a storm of a few seconds."""


def build(folder: Path) -> None:
    """Makes the source distribution, and from it the wheel."""
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def install(wheel: Path, environment: Path) -> Path:
    """Makes an environment with the wheel; returns its programs' folder.

    The dependencies are links to this environment's, for exactly the distributions that `requirements.lock`
    names: an import of what only development needs fails, and nothing has to be fetched.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=120)
    (site,) = (environment / "lib").glob("python*/site-packages")
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE):
        files = distribution(name).files or []
        for top in {file.parts[0] for file in files if file.parts[0] not in {"..", "__pycache__"}}:
            link = site / top
            if not link.exists():
                link.symlink_to(Path(str(distribution(name).locate_file(top))))
    # Where Python has no ensurepip, as on Debian, `make setup` makes an environment without pip.
    has_pip = sys.executable if find_spec("pip") else str(Path(sys.base_prefix) / "bin" / "python3")
    python = environment / "bin" / "python"
    pip = [has_pip, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], check=True, timeout=120
    )
    return environment / "bin"


def foreign_folder(folder: Path) -> Path:
    """A project of somebody else's, all of whose packages fail when they are imported."""
    for name in DECOYS:
        (folder / name).mkdir(parents=True)
        for file in ("__init__.py", "__main__.py", "cli.py"):
            (folder / name / file).write_text(
                f"raise SystemExit('{name} of the user was imported')\n", encoding="utf-8"
            )
    (folder / "manage.py").write_text("print('manage')\n", encoding="utf-8")
    (folder / "our_policy.py").write_text(
        "def steady(rng, pause_s):\n    while True:\n        yield pause_s\n", encoding="utf-8"
    )
    return folder


def in_folder(programs: Path, folder: Path) -> Command:
    """Runs `reconnect-storm` there, with that folder in PYTHONPATH, as users of Django have it."""

    def command(
        *arguments: str, sets: tuple[str, ...] = (), env: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        overrides = [part for override in sets for part in ("--set", override)]
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("COV", "PYTEST"))}
        return subprocess.run(
            [str(programs / "reconnect-storm"), *arguments, *overrides],
            cwd=folder,
            env={**inherited, "PYTHONPATH": str(folder), **(env or {})},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return command
