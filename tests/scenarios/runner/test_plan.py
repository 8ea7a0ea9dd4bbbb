"""A comparison's runs take turns, and share their seed within a round; a control run comes first."""

from pathlib import Path

import pytest

from scenarios.runner.plan import Plan, in_turn, plans, slug, stamped_folder
from scenarios.scenario.loader import load


def todo(*overrides: str, repeats: int = 1) -> list[Plan]:
    return plans(load("mass-drop", overrides), repeats=repeats, directory=Path("runs"))


def test_arms_take_turns_after_one_control_run() -> None:
    found = todo(repeats=2)
    arms = ["naive + none", "naive + per-ip", "incident + none", "incident + per-ip"]
    assert [plan.arm for plan in found] == ["control", *arms, *reversed(arms)]
    assert [plan.round for plan in found] == [1, *[1] * 4, *[2] * 4]


def test_all_arms_of_a_round_share_a_seed_that_the_next_round_does_not() -> None:
    found = [plan for plan in todo("fleet.seed=7", repeats=2) if not plan.control]
    assert [plan.scenario.fleet.seed for plan in found] == [7] * 4 + [8] * 4


def test_every_run_has_a_folder_of_its_own() -> None:
    found = todo(repeats=3)
    assert len({plan.directory for plan in found}) == 13
    assert [plan.directory.name for plan in found[:2]] == ["00-1-control", "01-1-naive-none"]


def test_in_a_control_run_nothing_happens() -> None:
    (control,) = (plan for plan in todo("phases.control_s=9") if plan.control)
    assert control.scenario.event == ()
    assert control.scenario.trigger_s is None
    assert control.scenario.phases.duration_s == 9


def test_each_steady_state_has_a_control_of_its_own() -> None:
    crossed = 'matrix={"fleet.policy"=["naive", "incident"], "fleet.clients"=[100, 200]}'
    controls = [plan for plan in todo(crossed) if plan.control]
    assert [plan.scenario.fleet.clients for plan in controls] == [100, 200]


def test_when_a_back_off_starts_over_makes_no_other_steady_state() -> None:
    crossed = 'matrix={"fleet.reset_backoff"=["open", "joined", "stable"]}'
    assert [plan.arm for plan in todo(crossed) if plan.control] == ["control"]


def test_pods_with_and_without_sidecars_are_two_steady_states_whatever_sidecars_do_about_failures() -> None:
    found = plans(load("mesh"), repeats=1, directory=Path("runs"))
    assert [plan.scenario.mesh.sidecar for plan in found if plan.control] == ["none", "envoy"]


def test_an_external_target_has_a_control_run_on_the_same_target() -> None:
    (control,) = (plan for plan in todo("target.url=http://127.0.0.1:9") if plan.control)
    assert control.scenario.target.url == "http://127.0.0.1:9"
    assert control.scenario.event == ()


def test_a_single_arm_has_no_control() -> None:
    assert not any(plan.control for plan in todo("matrix={}"))
    assert not any(plan.control for plan in todo("phases.control_s=0"))


def test_a_label_becomes_a_folder_name_without_separators() -> None:
    assert slug("../a b/c + per-ip rate_per_s=0.5") == "..-a-b-c-per-ip-rate_per_s-0.5"


@pytest.mark.parametrize("arms", range(1, 13))
def test_every_round_has_every_arm_once_and_the_first_one_as_they_are(arms: int) -> None:
    names = list(range(arms))
    assert in_turn(names, 1) == names
    assert all(sorted(in_turn(names, number)) == names for number in range(1, 40))


@pytest.mark.parametrize("arms", range(2, 13))
def test_no_arm_always_follows_the_same_one_from_two_rounds_on(arms: int) -> None:
    for rounds in range(2, 9):
        before = followed([in_turn(range(arms), number) for number in range(1, rounds + 1)])
        assert all(len(set(found)) > 1 for found in before.values()), (rounds, before)


@pytest.mark.parametrize("arms", range(2, 13))
def test_two_rounds_bring_all_arms_to_the_same_place_in_the_mean(arms: int) -> None:
    one, other = (in_turn(range(arms), number) for number in (1, 2))
    assert {one.index(arm) + other.index(arm) for arm in range(arms)} == {arms - 1}


@pytest.mark.parametrize("arms", [2, 4, 6, 10, 12])
def test_as_many_rounds_as_arms_bring_each_to_every_place_and_behind_every_other(arms: int) -> None:
    orders = [in_turn(range(arms), number) for number in range(1, arms + 1)]
    for arm in range(arms):
        assert sorted(order.index(arm) for order in orders) == list(range(arms))
        assert len(set(followed(orders)[arm])) == arms


@pytest.mark.parametrize("arms", [3, 5, 7])
def test_odd_numbers_of_arms_change_places_too_if_it_takes_more_rounds(arms: int) -> None:
    orders = [in_turn(range(arms), number) for number in range(1, 6 * arms + 1)]
    for arm in range(arms):
        assert {order.index(arm) for order in orders} == set(range(arms))
        assert len(set(followed(orders)[arm])) > 2


def followed(orders: list[list[int]]) -> dict[int, list[int | None]]:
    """Of each arm, whom it followed in each round."""
    return {
        arm: [order[order.index(arm) - 1] if order.index(arm) else None for order in orders]
        for arm in orders[0]
    }


def test_the_folders_of_runs_sort_in_the_order_in_which_they_are_carried_out() -> None:
    names = [plan.directory.name for plan in todo(repeats=3)]
    assert names == sorted(names)


def test_two_folders_of_the_same_second_are_two(tmp_path: Path) -> None:
    first, second = stamped_folder(tmp_path), stamped_folder(tmp_path)
    assert first != second
    assert {first.parent, second.parent} == {tmp_path}
    assert not first.exists()
