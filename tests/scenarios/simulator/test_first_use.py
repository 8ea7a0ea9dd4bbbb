"""The loop is compiled once for each machine, by those commands alone that need it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scenarios.simulator.loop import compiled


@pytest.mark.parametrize("command", ["--help", "compare --help", "gate --help"])
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
@pytest.mark.parametrize("missing", ["numba", "llvmlite"])
def test_a_prediction_without_the_compiler_is_refused_in_one_line(command: str, missing: str) -> None:
    asks = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"from scenarios.cli.main import main; main({[command, 'mass-drop']!r})"
    )
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert f"{command}: Numba is not installed" in done.stderr
    assert "pip install numba" in done.stderr


def test_machine_code_is_kept_where_the_user_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "said"))
    said = compiled._folder()
    assert said is not None
    assert said.is_relative_to(tmp_path / "said")
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    usual = compiled._folder()
    assert usual is not None
    assert usual.parent == tmp_path / "cache" / "reconnect-storm"
    assert usual.name == said.name


def test_a_home_that_cannot_be_written_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(compiled.tempfile, "gettempdir", lambda: str(tmp_path))  # type: ignore[attr-defined]
    found = compiled._folder()
    assert found is not None
    assert found.is_relative_to(tmp_path / f"cache-of-{os.getuid()}")
