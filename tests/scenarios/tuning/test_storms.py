"""The storms of a search: sizes of the trigger, and who plays how many."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.events.drop import DropShare
from scenarios.scenario.loader import load
from scenarios.tuning.halving import Rung, Storm, halve, rungs, storms
from scenarios.tuning.triggers import sized, without_mitigations

SIZES = (0.25, 0.5, 1.0)


@pytest.mark.parametrize(
    ("event", "labels"),
    [
        ('{at_s=6, do="drop_all"}', ["share 1", "share 0.5", "share 0.25"]),
        ('{at_s=6, do="drop_share", share=0.8}', ["share 0.8", "share 0.4", "share 0.2"]),
        ('{at_s=6, do="feed_burst", factor=4, for_s=5}', ["factor 4", "factor 2.5", "factor 1.75"]),
        ('{at_s=6, do="feed_stall", for_s=8}', ["for_s 8", "for_s 4", "for_s 2"]),
        ('{at_s=6, do="pause_pod", for_s=4}', ["for_s 4", "for_s 2", "for_s 1"]),
        ('{at_s=6, do="kill_pod"}', ["as it is"]),
    ],
)
def test_a_trigger_comes_in_sizes_from_the_largest_on(event: str, labels: list[str]) -> None:
    scenario = load("mass-drop", ["matrix={}", f"event=[{event}]"])
    found = sized(scenario, SIZES)
    assert [*found] == labels
    assert found[labels[0]].event == scenario.event


def test_only_the_trigger_is_resized() -> None:
    later, first, off = (
        '{at_s=9, do="drop_all"}',
        '{at_s=6, do="drop_all"}',
        '{at_s=5, do="drop_all", enabled=false}',
    )
    scenario = load("mass-drop", ["matrix={}", f"event=[{later}, {first}, {off}]"])
    events = sized(scenario, [0.5])["share 0.5"].event
    assert events[0] == scenario.event[0]
    assert events[1] == DropShare(at_s=6, share=0.5)
    assert events[2] == scenario.event[2]


def test_without_a_fault_there_is_one_storm() -> None:
    scenario = load("mass-drop", ["matrix={}", "event=[]"])
    assert sized(scenario, SIZES) == {"as it is": scenario}


def test_what_would_replace_the_settings_is_left_out_and_named() -> None:
    scenario, left_out = without_mitigations(load("incident"))
    assert left_out == ("push_policy", "set_limit")
    assert [event.name for event in scenario.event] == ["feed_burst", "scale"]


def test_the_first_storms_are_the_extremes() -> None:
    found = storms(["large", "middle", "small"], [1, 2])
    assert found[:4] == [Storm("large", 1), Storm("small", 1), Storm("large", 2), Storm("small", 2)]
    assert len(found) == len(set(map(repr, found))) == 6
    assert storms(["one"], [1, 2]) == [Storm("one", 1), Storm("one", 2)]
    assert storms([], [1]) == []


@given(st.integers(1, 500), st.integers(1, 60), st.integers(1, 20))
def test_rungs_end_with_finalists_that_play_everything(
    candidates: int, all_storms: int, finalists: int
) -> None:
    plan = rungs(candidates, all_storms, finalists)
    played = [rung.storms for rung in plan]
    assert played == sorted(played)
    assert plan[-1].storms == all_storms
    assert plan[-1].keep <= finalists
    assert [rung.keep for rung in plan] == sorted((rung.keep for rung in plan), reverse=True)


def test_a_hundred_candidates_take_a_tenth_of_the_storms_that_all_for_all_would() -> None:
    assert rungs(100, 15, 8) == [Rung(1, 34), Rung(4, 8), Rung(15, 8)]


def test_the_better_ones_go_on_and_those_that_always_do() -> None:
    played: list[tuple[tuple[str, ...], int]] = []

    def play(names: Sequence[str], count: int) -> None:
        played.append((tuple(names), count))

    plan = [Rung(1, 2), Rung(4, 1), Rung(9, 1)]
    steps = [*halve("edcba", "e", plan, play, sorted)]
    assert played == [(tuple("edcba"), 1), (("e", "a", "b"), 4), (("e", "a"), 9)]
    assert [left for _, left in steps] == [names for names, _ in played]
