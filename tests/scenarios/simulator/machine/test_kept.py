"""Machine code is kept for the next time, for as many versions as are in use."""

import ast
import os
from pathlib import Path

import pytest

from scenarios.simulator.machine import kept
from scenarios.simulator.machine.kept import Code

ROOT = Path(__file__).parents[4]
CODE = Code("play", b"\x7fELF\n\n")


def test_machine_code_is_kept_where_the_user_has_other_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = kept.place()
    assert place is not None
    assert place.parent == tmp_path / "reconnect-storm" / "simulator"
    assert kept.read(place) is None
    kept.write(place, CODE)
    assert kept.read(place) == CODE
    assert [*place.parent.iterdir()] == [place]
    place.write_bytes(place.read_bytes()[:-1])
    assert kept.read(place) is None, "a disk was full"


@pytest.mark.parametrize("home", ["cannot be written", "is not known"])
def test_a_user_without_a_place_of_its_own_has_one_among_the_temporary_files(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    if home == "is not known":

        def nowhere(_name: str) -> Path:
            raise OSError("no home")

        monkeypatch.setattr(kept, "cache_folder", nowhere)
    monkeypatch.setattr(kept.tempfile, "gettempdir", lambda: str(tmp_path))  # type: ignore[attr-defined]
    place = kept.place()
    assert place is not None
    assert place.parent == tmp_path / f"reconnect-storm-of-{os.getuid()}"


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_folders", lambda: iter([tmp_path]))
    monkeypatch.setattr(kept.os, "getuid", lambda: -1)  # type: ignore[attr-defined]
    assert kept.place() is None


def test_a_folder_that_somebody_has_put_a_link_in_place_of_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may make files beside it could have this user's files removed, wherever they are."""
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    monkeypatch.setattr(kept, "_folders", lambda: iter([tmp_path / "link"]))
    assert kept.place() is None


def test_files_of_other_kinds_stay(tmp_path: Path) -> None:
    others = [tmp_path / f"{number}.txt" for number in range(12)]
    for path in others:
        path.touch()
    kept.write(tmp_path / "new.o", CODE)
    assert {*tmp_path.iterdir()} == {*others, tmp_path / "new.o"}


def test_what_was_used_last_is_kept(tmp_path: Path) -> None:
    kept.write(tmp_path / "0.o", CODE)
    for number in range(12):
        (tmp_path / f"{number}.o").write_bytes((tmp_path / "0.o").read_bytes())
        os.utime(tmp_path / f"{number}.o", (number, number))
    assert kept.read(tmp_path / "0.o") is not None, "it is in use"
    kept.write(tmp_path / "new.o", CODE)
    expected = {"new.o", "0.o", *(f"{number}.o" for number in range(6, 12))}
    assert {path.name for path in tmp_path.iterdir()} == expected


def test_a_place_that_has_gone_is_no_obstacle(tmp_path: Path) -> None:
    kept.write(tmp_path / "gone" / "new.o", CODE)
    assert not (tmp_path / "gone").exists()
    assert kept._used_at(tmp_path / "gone") == 0


def test_another_source_has_other_machine_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, versions = tmp_path / "source.py", set()
    monkeypatch.setattr(kept, "sources", lambda: [source])
    for text in ("WIDTH = 1", "WIDTH = 2", "WIDTH = 1"):
        source.write_text(text, encoding="utf-8")
        versions.add(kept._version())
    assert len(versions) == 2


def test_the_version_knows_every_module_that_the_loop_takes_something_from() -> None:
    known = {str(source.relative_to(ROOT)) for source in kept.sources()}
    for source in (ROOT / "scenarios/simulator/loop").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                inside = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                files = [f"{name.replace('.', '/')}.py" for name in inside]
                own = {file for file in files if (ROOT / file).exists()}
                assert own <= known, source
