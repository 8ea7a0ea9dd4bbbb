"""The loop is compiled once for each machine, by those commands alone that need it."""

import subprocess
import sys
from pathlib import Path

import pytest

from scenarios.simulator import first_use
from scenarios.simulator.machine import kept

_WITHOUT = {
    "llvmlite": "import sys; sys.modules['llvmlite'] = None\n",
    "numba": (
        "import importlib.metadata as metadata\n"
        "def version(name, known=metadata.version):\n"
        "    if name == 'numba': raise metadata.PackageNotFoundError(name)\n"
        "    return known(name)\n"
        "metadata.version = version\n"
    ),
}


@pytest.mark.parametrize("command", ["--help", "compare --help", "gate --help", "run --help"])
def test_commands_that_predict_nothing_do_not_load_the_compiler(command: str) -> None:
    asks = (
        "import sys; from scenarios.cli.main import main\n"
        f"try: main({command.split()!r})\n"
        "except SystemExit: pass\n"
        "print('loaded:', 'numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded: False\n")


@pytest.mark.parametrize("command", ["simulate", "tune"])
@pytest.mark.parametrize("missing", _WITHOUT)
def test_a_prediction_without_the_compiler_is_refused_in_one_line(command: str, missing: str) -> None:
    asks = f"{_WITHOUT[missing]}from scenarios.cli.main import main; main({[command, 'mass-drop']!r})"
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert f"{command}: Numba is not installed" in done.stderr
    assert "pip install numba" in done.stderr


@pytest.mark.parametrize(
    ("is_made", "place", "said"),
    [
        pytest.param(True, Path(), [], id="there is machine code"),
        pytest.param(False, Path(), ["half a minute, once"], id="it is kept"),
        pytest.param(False, None, ["half a minute; there is no folder"], id="it cannot be kept"),
    ],
)
def test_whoever_has_to_wait_for_the_compiler_is_told_so_first(
    is_made: bool, place: Path | None, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(first_use, "is_made", lambda: is_made)
    monkeypatch.setattr(kept, "place", lambda: place)
    monkeypatch.setattr(first_use, "machine_play", lambda: told.append("made"))
    first_use.prepare(told.append)
    assert told[1:] == (["made"] if said else [])
    assert all(part in line for part, line in zip(said, told, strict=False))
