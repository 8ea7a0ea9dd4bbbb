"""The rounds of a comparison, with a runner that runs nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scenarios.runner.plan import Plan, plans
from scenarios.runner.progress import Progress
from scenarios.runner.rounds import play_rounds
from scenarios.scenario.loader import load

MOST = 5


class View:
    """Counts the runs that were announced."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.more = 0

    def begin(self, title: str) -> None:
        self.titles.append(title)

    def expect_more(self, runs: int) -> None:
        self.more += runs

    def repeat(self, reason: str) -> None: ...

    def show(self, progress: Progress) -> None: ...


def played(rounds: int, decided_after: int, *, disturbed: str = "") -> tuple[list[str], View, int]:
    """The folders that were played, what was announced, and how often it was asked."""
    todo = plans(
        load("mass-drop", ['matrix={"fleet.policy"=["naive", "incident"]}']),
        repeats=MOST,
        directory=Path("runs"),
    )
    folders: list[str] = []
    answers: Iterator[bool] = (number >= decided_after for number in range(rounds, 100))
    asked = 0

    def play(plan: Plan) -> bool:
        folders.append(plan.directory.name)
        return plan.directory.name != disturbed

    def decided() -> bool:
        nonlocal asked
        asked += 1
        return next(answers)

    view = View()
    play_rounds(todo, view, rounds=rounds, play=play, decided=decided)
    return folders, view, asked


@pytest.mark.parametrize(
    ("rounds", "decided_after", "last", "asked"),
    [
        (1, 1, 1, 1),
        (2, 4, 4, 3),
        (4, 4, 4, 1),
        (4, 5, 5, 2),
        (4, 99, MOST, 2),
    ],
)
def test_rounds_go_on_until_the_result_is_decided_or_there_are_no_more(
    rounds: int, decided_after: int, last: int, asked: int
) -> None:
    folders, view, looks = played(rounds, decided_after)
    assert folders[0] == "00-1-control"
    assert sorted({folder[:2] for folder in folders}) == [f"{number:02}" for number in range(last + 1)]
    assert len(folders) == 1 + 2 * last == len(view.titles)
    assert view.more == 2 * (last - rounds)
    assert looks == asked


def test_a_control_run_that_other_load_disturbed_is_repeated_before_anything_is_decided() -> None:
    folders, view, _ = played(1, 2, disturbed="00-1-control")
    assert folders[3] == "00-1-control-later"
    assert folders[4].startswith("02-")
    assert view.more == 3


def test_an_arm_that_other_load_disturbed_is_not() -> None:
    assert len(played(1, 1, disturbed="01-1-naive")[0]) == 3
