"""Interim analyses of a comparison: what is decided after how many rounds, and what is not."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.compare.statistics import ALPHA
from reports.gate.looks import share_of_alpha
from reports.gate.sequential import Interim, decided, first_round, interim, interim_lines
from reports.rundir.reader import Run
from tests.support.judged_runs import run

# Tracing makes these three times as long, and covers what other tests cover.
pytestmark = pytest.mark.no_cover

MOST = 8


def rounds(number: int, **arms: int | None) -> list[Run]:
    """So many rounds, in which each arm recovers after its seconds, or never."""
    return [
        run(arm, "OUTAGE" if after_s is None else "RECOVERED", after_s, round=one, served=0.5)
        for one in range(1, number + 1)
        for arm, after_s in arms.items()
    ]


def looks(most: int = MOST, **arms: int | None) -> list[tuple[Interim, ...]]:
    """Every analysis up to the limit, each with what the one before said."""
    first = first_round(1, most)
    found: list[tuple[Interim, ...]] = []
    for number in range(first, most + 1):
        earlier = found[-1] if found else ()
        found.append(interim(rounds(number, **arms), first=first, most_rounds=most, earlier=earlier))
    return found


@pytest.mark.parametrize(
    ("repeats", "most", "first"), [(1, 5, 5), (4, 8, 5), (1, 100, 5), (1, 4, 5), (7, 8, 7)]
)
def test_five_rounds_are_the_fewest_that_can_decide_either_way(repeats: int, most: int, first: int) -> None:
    assert first_round(repeats, most) == first


def test_arms_that_always_differ_are_decided_by_the_first_analysis() -> None:
    first = looks(naive=None, incident=9, slow=None)[0]
    assert [(one.arm, one.decision) for one in first] == [("incident", "better"), ("slow", "no difference")]
    assert decided(first)
    assert [one.decision for one in looks(quick=3, bad=None)[0]] == ["worse"]
    assert decided(looks(quick=3, bad=None)[0])


def test_arms_whose_runs_overlap_are_not_decided() -> None:
    runs = [
        run(arm, "RECOVERED", after_s, round=one)
        for one, pair in enumerate([(9, 30), (30, 9), (20, 21), (15, 40), (40, 15)], start=1)
        for arm, after_s in zip("ab", pair, strict=True)
    ]
    found = interim(runs, first=5, most_rounds=MOST)
    assert [one.decision for one in found] == ["inconclusive"]
    assert not decided(found)


def test_what_one_analysis_has_decided_stays_decided() -> None:
    first = interim(rounds(5, a=None, b=9), first=5, most_rounds=MOST)
    later = [*rounds(7, a=None), *rounds(5, b=9), *(run("b", "OUTAGE", round=n) for n in (6, 7))]
    (again,) = interim(later, first=5, most_rounds=MOST, earlier=first)
    assert again.decision == "better"


def test_an_analysis_of_no_more_runs_may_spend_nothing() -> None:
    both = rounds(5, a=None, b=9)
    one = interim([*rounds(5, a=9), *rounds(4, b=9), run("b", "OUTAGE")], first=5, most_rounds=MOST)
    (again,) = interim(both, first=5, most_rounds=MOST, earlier=one)
    assert again.decision == "inconclusive"


def test_an_arm_without_a_valid_run_is_not_decided() -> None:
    found = interim([*rounds(5, a=9), run("b", "INVALID")], first=5, most_rounds=MOST)
    assert [(one.decision, one.p) for one in found] == [("inconclusive", None)]


def test_an_arm_alone_has_nothing_to_decide() -> None:
    assert interim(rounds(5, a=9), first=5, most_rounds=MOST) == ()


@given(most=st.integers(5, 40))
def test_all_analyses_together_spend_no_more_than_one_test(most: int) -> None:
    first = first_round(1, most)
    number = most - first + 1
    assert sum(share_of_alpha(look, number) * ALPHA for look in range(number)) <= ALPHA + 1e-12


@settings(max_examples=30, deadline=None)
@given(a=st.integers(0, 50) | st.none(), b=st.integers(0, 50) | st.none())
def test_nothing_is_ever_undecided_again(a: int | None, b: int | None) -> None:
    for earlier, later in pairwise(looks(a=a, b=b)):
        for before, now in zip(earlier, later, strict=True):
            assert before.decision in {now.decision, "inconclusive"}


def test_what_is_decided_and_what_is_not_is_said() -> None:
    first = looks(naive=None, incident=9, slow=None)[0]
    assert interim_lines(first, "naive", 5) == [
        "Decided after 5 rounds, against the reference “naive”: "
        "“incident”: better than the reference (p 0.0079); “slow”: no difference from the reference (p 1).",
    ]
    unsure = [msgspec.structs.replace(one, decision="inconclusive") for one in first]
    assert interim_lines([first[0], unsure[1]], "naive", 6)[1] == "Not decided: “slow”."
    assert interim_lines(unsure, "naive", 1) == [
        "Decided after 1 round, against the reference “naive”: nothing.",
        "Not decided: “incident”, “slow”.",
    ]
