"""What a command says before it starts: how long it takes, and what it will be able to tell."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.cli.forecast import compare_lines, duration_text, gate_line
from scenarios.runner.plan import Plan, plans
from scenarios.scenario.loader import load


def todo(rounds: int, *overrides: str) -> list[Plan]:
    return plans(load("mass-drop", overrides), repeats=rounds, directory=Path("runs"))


TELLS: dict[int, str] = {
    1: "1 round: no test of the arms. With 4 rounds: a test of whole arms; with 5: of single measures.",
    3: "3 rounds: no test of the arms. With 4 rounds: a test of whole arms; with 5: of single measures.",
    4: "4 rounds: a test of whole arms. With 5 rounds: of single measures, too.",
    5: "5 rounds: a test of whole arms, and of single measures.",
}


@pytest.mark.parametrize(("rounds", "said"), TELLS.items())
def test_a_comparison_says_what_so_many_rounds_can_tell(rounds: int, said: str) -> None:
    assert compare_lines(todo(rounds), rounds, rounds)[1] == said


def test_a_comparison_says_how_long_it_takes_with_its_control_run() -> None:
    # Four arms of 66 s and a control of 12 s, each with 9 s around it.
    assert compare_lines(todo(1), 1, 1)[0] == (
        "1 round of 4 arms and 1 control run: at most 6 min (a run that has recovered ends early), "
        "without retries."
    )


def test_without_a_rescue_no_run_ends_early() -> None:
    lines = compare_lines(todo(1, "phases.rescue_at_s=0", "phases.control_s=0"), 1, 1)
    assert lines[0] == "1 round of 4 arms: at most 5 min, without retries."


def test_a_comparison_until_it_is_decided_says_its_limit() -> None:
    assert compare_lines(todo(8), 5, 8) == [
        "5 to 8 rounds of 4 arms and 1 control run: at most 41 min (a run that has recovered ends early), "
        "without retries.",
        "From round 5 on, each round is followed by a test. The comparison ends once every arm is decided "
        "against the reference.",
    ]


def test_one_arm_is_no_comparison() -> None:
    lines = compare_lines(todo(1, "matrix={}"), 1, 1)
    assert lines[0].startswith("1 round of 1 arm: at most 75 s")
    assert lines[1] == "One arm: its numbers, and no comparison."


def test_a_gate_says_how_long_it_takes() -> None:
    scenario = load("gate-quick", ["phases.rescue_at_s=0"])
    assert gate_line([scenario, scenario], 5, 8).startswith("5 to 8 rounds of 2 runs: at most ")
    assert gate_line([scenario], 1, 1).startswith("1 round of 1 run: at most ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (69.2, "70 s"), (90, "90 s"), (91, "2 min"), (3600, "1 h"), (7440, "2 h 4 min")],
)
def test_durations_are_rounded_up(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.floats(0, 1e6))
def test_no_duration_is_shorter_than_what_it_stands_for(seconds: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    words = duration_text(seconds).split()
    told = sum(int(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    assert seconds <= told <= seconds + 60
