"""Versions that are kept for the next gate: whole ones only, few of them, and none twice at once."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.gate.kept import MOST_KEPT, Place, kept, key_of, remove, temporary


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "versions"


@contextlib.contextmanager
def opened(cache: Path, key: str = "a") -> Iterator[Place]:
    def waits() -> None:
        raise AssertionError("nobody else uses it")

    with kept(key, waits, cache) as place:
        yield place


def made(cache: Path, key: str = "a") -> Path:
    """A version that a gate has set up; its folder."""
    with opened(cache, key) as place:
        (place.folder / "file").touch()
        place.finish()
        return place.folder


def test_a_version_that_was_set_up_is_there_for_the_next_gate(cache: Path) -> None:
    folder = made(cache)
    with opened(cache) as place:
        assert (place.finished, place.folder) == (True, folder)
        assert (folder / "file").exists()


def test_another_version_has_another_folder(cache: Path) -> None:
    made(cache)
    with opened(cache, "b") as place:
        assert not place.finished
        assert not list(place.folder.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit, None])
def test_a_set_up_that_did_not_succeed_leaves_nothing(cache: Path, error: type[BaseException] | None) -> None:
    with contextlib.suppress(BaseException), opened(cache) as place:
        (place.folder / "half").touch()
        if error is not None:
            raise error
    assert not place.folder.exists()
    with opened(cache) as place:
        assert not place.finished


def test_what_a_gate_has_left_that_was_killed_is_never_used(cache: Path) -> None:
    (cache / "a" / "files").mkdir(parents=True)
    (cache / "a" / "files" / "half").touch()
    with opened(cache) as place:
        assert not place.finished
        assert not list(place.folder.iterdir())


def test_what_a_gate_has_left_that_was_killed_is_removed_by_a_gate_of_another_version(cache: Path) -> None:
    (cache / "a" / "files").mkdir(parents=True)
    (cache / "a.lock").touch()
    made(cache, "b")
    assert not (cache / "a").exists()
    assert not (cache / "a.lock").exists()


def test_a_gate_that_fails_later_keeps_what_was_set_up(cache: Path) -> None:
    with contextlib.suppress(RuntimeError), opened(cache) as place:
        place.finish()
        raise RuntimeError
    with opened(cache) as place:
        assert place.finished


def test_two_gates_use_one_version_at_once(cache: Path) -> None:
    made(cache)
    with opened(cache) as first, opened(cache) as second:
        assert first.folder == second.folder


def test_a_second_gate_waits_until_the_first_has_set_up(cache: Path) -> None:
    waiting = threading.Event()
    found: list[bool] = []

    def second() -> None:
        with kept("a", waiting.set, cache) as place:
            found.append(place.finished)

    with opened(cache) as place:
        other = threading.Thread(target=second)
        other.start()
        assert waiting.wait(30)
        assert found == []
        place.finish()
        other.join(30)
        assert found == [True]


def test_a_second_gate_sets_up_where_the_first_has_failed(cache: Path) -> None:
    waiting = threading.Event()
    found: list[bool] = []

    def second() -> None:
        with kept("a", waiting.set, cache) as place:
            found.append(place.finished)
            place.finish()

    other = threading.Thread(target=second)
    with opened(cache):
        other.start()
        assert waiting.wait(30)
    other.join(30)
    assert found == [False]
    with opened(cache) as place:
        assert place.finished


def used_at(cache: Path, key: str, time_s: float) -> None:
    os.utime(cache / key / "finished", (time_s, time_s))


def test_only_the_versions_that_were_used_last_are_kept(cache: Path) -> None:
    names = [f"v{number}" for number in range(MOST_KEPT)]
    for number, name in enumerate(names):
        made(cache, name)
        used_at(cache, name, 1_000 + number)
    made(cache, "v0")  # is used again
    made(cache, "new")
    left = {path.name for path in cache.iterdir() if path.is_dir()}
    assert left == {"new", "v0", *names[2:]}
    assert len(left) == MOST_KEPT
    assert {path.stem for path in cache.glob("*.lock")} == left


def test_a_version_in_use_is_not_removed(cache: Path) -> None:
    made(cache, "old")
    with opened(cache, "old"):
        used_at(cache, "old", 1)
        for number in range(MOST_KEPT + 2):
            made(cache, f"v{number}")
        assert (cache / "old" / "files" / "file").exists()
    made(cache, "last")
    assert not (cache / "old").exists()


def test_only_the_user_can_read_what_is_kept(cache: Path) -> None:
    folder = made(cache)
    assert [path.stat().st_mode & 0o077 for path in (cache, folder, cache / "a.lock")] == [0, 0, 0]


def test_read_only_folders_are_removed_with_the_rest(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").touch()
    (deep / "link").symlink_to(tmp_path)
    for folder in (deep, deep.parent):
        folder.chmod(0o500)
    remove(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert tmp_path.exists()
    remove(tmp_path / "a")


def test_a_temporary_folder_is_gone_afterwards() -> None:
    with temporary() as place:
        place.finish()
        assert place.folder.is_dir()
        assert not place.finished
    assert not place.folder.exists()


@given(st.lists(st.text(), min_size=1), st.data())
def test_a_key_differs_where_any_part_differs_and_shows_none(parts: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(parts) - 1))
    other = [*parts]
    other[place] += data.draw(st.text(min_size=1))
    assert key_of(*parts) == key_of(*parts)
    assert key_of(*parts) != key_of(*other)
    assert key_of(*parts).isalnum()
    assert key_of("".join(parts)) != key_of(*parts, "")
