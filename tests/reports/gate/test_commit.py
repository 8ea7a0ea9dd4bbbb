"""The commits of a gate's sides, in words."""

import msgspec
import pytest

from reports.gate.commit import Commit, dirty_note
from reports.gate.decision import decide
from reports.gate.measures import gauges
from reports.gate.sides import side
from reports.gate.text import lines

COMMIT = Commit("0123456789abcdef", "2026-11-26T00:00:00+00:00")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["server.js"], "in 1 file: server.js."),
        (["a", "b", "c"], "in 3 files: a, b, c."),
        (["a", "b", "c", "d", "e"], "in 5 files: a, b, c, d, e."),
        (["a", "b", "c", "d", "e", "f", "g"], "in 7 files: a, b, c, d, e, …."),
        (["two\nlines", "\x1b[31mred"], "in 2 files: two?lines, ?[31mred."),
    ],
)
def test_uncommitted_changes_are_one_sentence(files: list[str], said: str) -> None:
    expected = f"The candidate is the working tree of 0123456 with uncommitted changes {said}"
    assert dirty_note("candidate", COMMIT, files) == expected


def test_a_dirty_commit_has_the_mark_that_git_gives_it() -> None:
    assert COMMIT.label == COMMIT.id
    assert Commit(COMMIT.id, COMMIT.date, dirty=True).label == f"{COMMIT.id}-dirty"


def test_a_commit_that_was_kept_before_there_was_a_mark_can_be_read() -> None:
    kept = b'{"id": "0123456789abcdef", "date": "2026-11-26T00:00:00+00:00"}'
    assert msgspec.json.decode(kept, type=Commit) == COMMIT


@pytest.mark.parametrize(
    ("working_tree", "said"),
    [(False, "x (0123456, 2026-11-26), "), (True, "x (working tree of 0123456, 2026-11-26), ")],
)
def test_each_side_is_told_by_its_commit(working_tree: bool, said: str) -> None:
    found = side("x", [], commit=COMMIT, working_tree=working_tree)
    assert lines(decide(None, found, gauges()))[0].startswith(f"Candidate: {said}")
    assert lines(decide(None, side("x", []), gauges()))[0].startswith("Candidate: x, ")
