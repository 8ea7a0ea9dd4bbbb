"""Results that outlive a search which was stopped, and the pool that computes them."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Struct

from scenarios.tuning import results
from scenarios.tuning.results import Results, ResultsError, play, pool


class Task(Struct, frozen=True):
    candidate: str
    trigger: str = "large"
    seed: int = 1


class Length(Struct, frozen=True):
    letters: int


TASKS = [Task(name) for name in ("a", "bb", "ccc", "dddd")]


def length(task: Task) -> Length:
    return Length(len(task.candidate))


def stopping_at(name: str) -> Callable[[Task], Length]:
    def evaluate(task: Task) -> Length:
        if task.candidate == name:
            raise KeyboardInterrupt
        return length(task)

    return evaluate


def kept(folder: Path, question: object = "the same") -> Results[Length]:
    return Results(folder / "evaluations.jsonl", Length, question)


def names(found: Results[Length]) -> list[str]:
    return [name for name, _, _ in found.known]


def test_every_task_has_a_result_and_none_is_played_twice(tmp_path: Path) -> None:
    found, done = kept(tmp_path), []
    for _ in range(2):
        play(TASKS, length, found, None, lambda: done.append(1))
    assert names(found) == [task.candidate for task in TASKS]
    assert len(done) == len(TASKS)


def test_what_was_finished_before_ctrl_c_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        play(TASKS, stopping_at("ccc"), kept(tmp_path), None, lambda: None)
    again, done = kept(tmp_path), []
    assert names(again) == ["a", "bb"]
    play(TASKS, length, again, None, lambda: done.append(1))
    assert len(done) == 2
    assert names(kept(tmp_path)) == [task.candidate for task in TASKS]


def test_half_a_line_is_forgotten(tmp_path: Path) -> None:
    play(TASKS, length, kept(tmp_path), None, lambda: None)
    path = tmp_path / "evaluations.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    again = kept(tmp_path)
    assert names(again) == ["a", "bb", "ccc"]
    play(TASKS, length, again, None, lambda: None)
    assert names(kept(tmp_path)) == ["a", "bb", "ccc", "dddd"]


def test_a_first_line_of_which_half_is_there_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "evaluations.jsonl").write_bytes(b'{"quest')
    play(TASKS[:1], length, kept(tmp_path), None, lambda: None)
    assert names(kept(tmp_path)) == ["a"]


def test_results_about_something_else_are_refused(tmp_path: Path) -> None:
    kept(tmp_path)
    with pytest.raises(ResultsError, match=r"evaluations\.jsonl: results of another scenario"):
        kept(tmp_path, "another question")


@pytest.mark.parametrize("processes", [1, 2])
def test_one_process_and_several_come_to_the_same(tmp_path: Path, processes: int) -> None:
    found = kept(tmp_path)
    with pool(processes) as executor:
        assert (executor is None) == (processes == 1)
        play(TASKS, length, found, executor, lambda: None)
    assert {name: one.letters for (name, _, _), one in found.known.items()} == {
        task.candidate: len(task.candidate) for task in TASKS
    }


def test_processes_of_the_pool_leave_ctrl_c_to_who_started_them(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[object] = []
    monkeypatch.setattr(signal, "signal", lambda number, handler: set_to.append((number, handler)))
    results._ignore_interrupts()
    assert set_to == [(signal.SIGINT, signal.SIG_IGN)]
