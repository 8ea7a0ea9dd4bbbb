"""A comparison's runs take turns, and share their seed within a round."""

from pathlib import Path

from scenarios.comparing import plans, slug
from scenarios.scenario_file import load


def test_arms_take_turns() -> None:
    todo = plans(load("mass-drop"), repeats=2, directory=Path("runs"))
    arms = ["naive + none", "naive + per-ip", "incident + none", "incident + per-ip"]
    assert [plan.arm for plan in todo] == arms * 2
    assert [plan.round for plan in todo] == [1] * 4 + [2] * 4


def test_all_arms_of_a_round_share_a_seed_that_the_next_round_does_not() -> None:
    todo = plans(load("mass-drop", ["fleet.seed=7"]), repeats=2, directory=Path("runs"))
    assert [plan.scenario.fleet.seed for plan in todo] == [7] * 4 + [8] * 4


def test_every_run_has_a_folder_of_its_own() -> None:
    todo = plans(load("mass-drop"), repeats=3, directory=Path("runs"))
    assert len({plan.directory for plan in todo}) == 12
    assert todo[0].directory == Path("runs/01-1-naive-none")


def test_a_label_becomes_a_folder_name_without_separators() -> None:
    assert slug("../a b/c + per-ip rate_per_s=0.5") == "..-a-b-c-per-ip-rate_per_s-0.5"
