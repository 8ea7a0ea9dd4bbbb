"""What the figure marks, and where the labels go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.figures.marks import Label, marks, stagger
from reports.figures.traces import traces
from reports.rundir.reader import Run
from tests.support.acted_runs import LIMIT, PUSH, SCALE, acted, incident
from tests.support.histories import history, seconds, storm, strike


def told(runs: list[Run]) -> list[tuple[float, str, tuple[int, ...], bool]]:
    return [(mark.at_s, mark.text, mark.arms, mark.common) for mark in marks(traces(runs))]


def test_what_all_arms_share_is_common_and_all_else_belongs_to_arms() -> None:
    everybody = (0, 1, 2, 3)
    assert told(incident()) == [
        (0.1, "trigger: burst ×4 for 4 s", everybody, True),
        (5.0, "trigger over", everybody, True),
        (8.1, "scale 3", (1, 2, 3), False),
        (12.1, "push incident", (2, 3), False),
        (12.1, "limit per-ip", (3,), False),
    ]


def test_equal_events_at_different_times_are_two_marks() -> None:
    later = [{**line, "t_s": line["t_s"] + 2} for line in SCALE]
    found = told([acted("a", None, SCALE), acted("b", None, later)])
    assert [(at_s, arms) for at_s, text, arms, _ in found if text == "scale 3"] == [(8.1, (0,)), (10.1, (1,))]


def test_what_goes_on_for_a_second_is_a_stretch() -> None:
    found = {mark.text: mark.until_s for mark in marks(traces([acted("a", None, PUSH, LIMIT)]))}
    assert found["push incident"] == pytest.approx(14.06)
    assert found["limit per-ip"] is None


def test_what_strikes_again_and_again_is_told_once() -> None:
    stalls = [strike("feed_stall", "fault", t, t + 3, for_s=3.0) for t in (20.0, 30.0, 40.0)]
    texts = [text for _, text, _, _ in told([acted("a", None, *stalls)])]
    assert texts == ["trigger: burst ×4 for 4 s", "trigger over", "feed stall for 3 s, 3 times", "", ""]


def test_a_trigger_that_was_not_recorded_is_the_one_that_was_planned() -> None:
    assert told([history(storm(50.0), rescued_at_s=48)]) == [
        (0.0, "trigger: drop all", (0,), True),
        (40, "rescue", (0,), True),
    ]


def test_without_a_trigger_there_is_nothing_to_mark() -> None:
    assert told([history(seconds(0, 20), trigger_s=None)]) == []


STAGGERED: dict[str, tuple[list[tuple[float, float]], list[Label]]] = {
    "far apart": ([(0, 50), (100, 50)], [Label(0, 0), Label(100, 0)]),
    "the later one below": ([(0, 50), (30, 50)], [Label(0, 1), Label(30, 0)]),
    "at the same moment": ([(10, 50), (10, 50)], [Label(10, 1), Label(10, 0)]),
    "at the right edge": ([(280, 50)], [Label(250, 0)]),
}


@pytest.mark.parametrize("label", STAGGERED)
def test_labels_are_staggered(label: str) -> None:
    places, expected = STAGGERED[label]
    assert stagger(places, 300) == expected


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(20, 150)), max_size=12))
def test_no_label_lies_on_another_or_is_crossed_by_a_line(places: list[tuple[int, int]]) -> None:
    ordered = sorted(places)
    labels = stagger(ordered, 10_000)
    for i, (one, (at, width)) in enumerate(zip(labels, ordered, strict=True)):
        assert one.from_x == at
        for other, (other_at, _) in zip(labels[i + 1 :], ordered[i + 1 :], strict=True):
            if at <= other_at < at + width:
                assert one.level > other.level
