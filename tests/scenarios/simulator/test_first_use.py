"""The loop is compiled once for each machine, by those commands alone that need it."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scenarios.simulator import first_use
from scenarios.simulator.loop import compiled

ROOT = Path(__file__).parents[3]


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
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "said"))
    said = compiled._folder()
    assert said is not None
    assert said.parent == tmp_path / "said" / "reconnect-storm"
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    usual = compiled._folder()
    assert usual is not None
    assert usual.parent == tmp_path / "cache" / "reconnect-storm" / "simulator"
    assert usual.name == said.name


@pytest.mark.parametrize("home", ["cannot be written", "is not known"])
def test_a_user_without_a_place_of_its_own_has_one_among_the_temporary_files(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    if home == "is not known":

        def nowhere(_name: str) -> Path:
            raise OSError("no home")

        monkeypatch.setattr(compiled, "cache_folder", nowhere)
    monkeypatch.setattr(compiled.tempfile, "gettempdir", lambda: str(tmp_path))  # type: ignore[attr-defined]
    found = compiled._folder()
    assert found is not None
    assert found.parent == tmp_path / f"reconnect-storm-of-{os.getuid()}"


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_bases", lambda: iter([tmp_path]))
    monkeypatch.setattr(compiled.os, "getuid", lambda: -1)  # type: ignore[attr-defined]
    assert compiled._folder() is None


def test_the_folders_that_were_used_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    base = tmp_path / "reconnect-storm"
    used = compiled._folder()
    assert used is not None
    for number in range(12):
        old = base / f"{number:016x}"
        (old / "loop").mkdir(parents=True)
        os.utime(old, (number, number))
    assert compiled._folder() == used
    kept = {f"{number:016x}" for number in range(12 - compiled._KEPT_FOLDERS + 1, 12)}
    assert {folder.name for folder in base.iterdir()} == {used.name, *kept}
    os.utime(base / f"{11:016x}", (0, 0))
    assert compiled._folder() == used
    assert (base / f"{11:016x}").exists(), "there is room for it"


def test_another_source_and_another_checkout_have_other_machine_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text("WIDTH = 1", encoding="utf-8")
    second.write_text("WIDTH = 1", encoding="utf-8")
    os.utime(second, ns=(first.stat().st_mtime_ns, first.stat().st_mtime_ns))
    versions = set()
    for source in (first, second):
        monkeypatch.setattr(compiled, "sources", lambda source=source: [source])
        versions.add(compiled._version())
    first.write_text("WIDTH = 2", encoding="utf-8")
    monkeypatch.setattr(compiled, "sources", lambda: [first])
    versions.add(compiled._version())
    assert len(versions) == 3


def test_the_version_knows_every_module_that_the_loop_takes_something_from() -> None:
    known = {str(source.relative_to(ROOT)) for source in compiled.sources()}
    for source in (ROOT / "scenarios/simulator/loop").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                inside = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                files = [f"{name.replace('.', '/')}.py" for name in inside]
                own = {file for file in files if (ROOT / file).exists()}
                assert own <= {*known, "scenarios/host/caches.py"}, source


@pytest.mark.parametrize(
    ("is_made", "folder", "said"),
    [
        pytest.param(True, Path(), [], id="there is machine code"),
        pytest.param(False, Path(), ["half a minute, once"], id="it is kept"),
        pytest.param(False, None, ["half a minute; there is no folder"], id="it cannot be kept"),
    ],
)
def test_whoever_has_to_wait_for_the_compiler_is_told_so_first(
    is_made: bool, folder: Path | None, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(first_use, "is_made", lambda: is_made)
    monkeypatch.setattr(first_use, "FOLDER", folder)
    monkeypatch.setattr(first_use, "Engine", lambda *_, **__: told.append("made"))
    first_use.prepare(told.append)
    assert told[1:] == (["made"] if said else [])
    assert all(part in line for part, line in zip(said, told, strict=False))
