"""Scores, constraints, the Pareto front and the choice of a search."""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.tuning.result import (
    OBJECTIVES,
    Constraints,
    Score,
    _peak,
    best_of_each,
    chosen_and_front,
    distance,
    dominates,
    factor,
    front,
    ranked,
    score,
    times_as_much,
)
from tests.support.tuning_results import outcome, scored, tuning

VALUES = st.one_of(st.none(), st.integers(1, 6).map(float))
SCORES = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=2),
    st.builds(scored, VALUES, VALUES, VALUES),
    min_size=1,
    max_size=12,
)


def test_a_score_is_the_worst_of_each_measure_by_itself() -> None:
    found = score([outcome(10, 0.9, 5, availability=0.7), outcome(20, 0.4, 6, availability=0.9)])
    assert (found.time_to_recover_s, found.peak_load, found.nat_victim_s) == (20, 0.9, 6)
    assert found.availability == 0.7
    assert (found.storms, found.recovered) == (2, 2)


def test_what_never_came_once_never_comes_in_the_worst_case() -> None:
    found = score([outcome(10), outcome(None), outcome(12)])
    assert found.time_to_recover_s is None
    assert found.objective("time_to_recover_s") == inf
    assert found.recovered == 2


@pytest.mark.parametrize(
    ("constraints", "words"),
    [
        (Constraints(), ()),
        (Constraints(max_time_to_recover_s=20), ()),
        (Constraints(max_time_to_recover_s=15), ("time to recover: expected ≤ 15 s, got 20 s",)),
        (Constraints(max_cpu=0.4), ("peak load: expected ≤ 40 %, got 50 %",)),
        (Constraints(max_nat_victim_s=10), ("slowest shared-IP group recovered: expected ≤ 10 s, got 30 s",)),
        (Constraints(min_availability=0.9), ("availability: expected ≥ 90 %, got 80 %",)),
    ],
)
def test_a_constraint_that_is_broken_says_what_was_found_and_allowed(
    constraints: Constraints, words: tuple[str, ...]
) -> None:
    found = scored(20, 0.5, 30)
    assert constraints.broken(found) == words
    assert (constraints.excess(found) > 0) == bool(words)


def test_settings_that_do_not_recover_keep_no_constraints() -> None:
    lost = scored(None, 1.0, None)
    assert Constraints().broken(lost) == ("1 of 1 storms not recovered",)
    assert "slowest shared-IP group recovered: expected ≤ 60 s, got never" in Constraints(
        max_nat_victim_s=60
    ).broken(lost)


@given(SCORES)
def test_nobody_on_the_front_is_dominated_and_everybody_else_is_by_one_on_it(
    scores: dict[str, Score],
) -> None:
    on_front = front(scores)
    assert on_front
    for name, found in scores.items():
        beaten = any(dominates(scores[other], found) for other in on_front)
        assert beaten == (name not in on_front)


@given(SCORES, st.floats(0.1, 10))
def test_the_front_does_not_change_with_the_unit_of_a_measure(scores: dict[str, Score], unit: float) -> None:
    rescaled = {
        name: scored(
            *(None if (value := getattr(found, key)) is None else value * unit for key in OBJECTIVES)
        )
        for name, found in scores.items()
    }
    assert set(front(rescaled)) == set(front(scores))


@given(SCORES, st.permutations(range(12)))
def test_the_order_in_which_candidates_come_decides_nothing(
    scores: dict[str, Score], order: list[int]
) -> None:
    names = sorted(scores, key=lambda name: order[[*scores].index(name)])
    shuffled = {name: scores[name] for name in names}
    constraints = Constraints(max_cpu=3)
    assert ranked(shuffled, constraints) == ranked(scores, constraints)
    assert chosen_and_front(shuffled, constraints)[0] == chosen_and_front(scores, constraints)[0]


@given(SCORES)
def test_who_keeps_the_constraints_comes_before_who_does_not(scores: dict[str, Score]) -> None:
    constraints = Constraints(max_cpu=3, max_time_to_recover_s=4)
    broken = [bool(constraints.broken(scores[name])) for name in ranked(scores, constraints)]
    assert broken == sorted(broken)


def test_the_choice_is_least_far_from_the_best_of_each() -> None:
    scores = {"quick": scored(9, 1.0, 9), "even": scored(11, 0.5, 11), "calm": scored(99, 0.4, 99)}
    chosen, on_front = chosen_and_front(scores, Constraints())
    assert chosen == "even"
    assert on_front == ("quick", "even", "calm")
    assert factor(scores["quick"], best_of_each(scores)) == pytest.approx((1 * 2.5 * 1) ** (1 / 3))


def test_where_nobody_keeps_the_constraints_nothing_is_chosen() -> None:
    assert chosen_and_front({"a": scored(20, 0.5, 30)}, Constraints(max_cpu=0.1)) == (None, ())


def test_what_never_came_is_infinitely_far_and_no_factor() -> None:
    lost, good = scored(None, 1.0, None), scored(9, 0.5, 9)
    assert distance(lost, best_of_each({"good": good, "lost": lost})) == inf
    assert times_as_much(lost, good) == {"time_to_recover_s": None, "peak_load": 2.0, "nat_victim_s": None}


def test_finalists_are_found_by_name_and_by_where_they_come_from() -> None:
    found = tuning({"a": (9, 0.5, 9), "b": (5, 0.5, 9)}, origins={"a": "now = naive"})
    assert found.named("a").origin == "now = naive"
    for origin in ("now", "naive"):
        one = found.of_origin(origin)
        assert one is not None
        assert one.name == "a"
    assert found.of_origin("incident's fix") is None


@pytest.mark.parametrize(
    ("loads", "peak"),
    [([], None), ([0.5], 0.5), ([1.0, 0, 0, 0, 0, 0.5], 0.2), ([0.2, 0.2, 0.4, 0.6, 0.4, 0.4, 0.4], 0.44)],
)
def test_the_peak_is_over_five_seconds_so_that_the_drop_itself_is_none(
    loads: list[float], peak: float | None
) -> None:
    found = _peak(np.array(loads))
    assert found == (None if peak is None else pytest.approx(peak))
