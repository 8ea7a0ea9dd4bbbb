"""How large a shift the gate's rank test finds: against the test itself, on simulated runs."""

import random
from math import inf, isfinite

import pytest

from reports.compare.statistics import ALPHA, greater_test
from reports.gate.decision import decide, side_of
from reports.gate.looks import BETA, FIRST_SHARE
from reports.gate.measures import gauges
from reports.noise.power import MOST_DRAWN, POWER, median_margin, rounds_to_exclude, smallest_shift, told_from
from tests.support.gate_runs import run

LEVEL = BETA * FIRST_SHARE


@pytest.mark.parametrize("rounds", [5, 6, 8, 12, 14])
def test_the_test_finds_the_smallest_shift_as_often_as_it_says(rounds: int) -> None:
    rng = random.Random(rounds)
    shift = smallest_shift(rounds, LEVEL)
    hits = sum(
        greater_test([rng.gauss(shift, 1) for _ in range(rounds)], [rng.gauss(0, 1) for _ in range(rounds)])
        <= LEVEL
        for _ in range(400)
    )
    # Four standard deviations of 400 trials, and 2 points for the approximation of many runs.
    assert hits / 400 == pytest.approx(POWER, abs=0.06 + (0.02 if rounds > MOST_DRAWN else 0))


@pytest.mark.parametrize("level", [LEVEL, ALPHA * FIRST_SHARE / 8])
def test_more_runs_find_smaller_shifts(level: float) -> None:
    shifts = [smallest_shift(rounds, level) for rounds in range(5, 40)]
    # The exact test of a few runs makes steps: two more runs are better, one more need not be.
    assert all(later < earlier for earlier, later in zip(shifts, shifts[2:], strict=False))


def test_a_level_that_so_few_runs_cannot_reach_finds_nothing() -> None:
    assert smallest_shift(3, LEVEL) == inf
    assert told_from(4, 8) == inf
    assert isfinite(told_from(5, 8))


def test_rounds_follow_from_the_shift() -> None:
    assert rounds_to_exclude(inf) == 5
    assert rounds_to_exclude(3.0) == 5
    assert rounds_to_exclude(0.05) is None
    found = [rounds_to_exclude(shift) for shift in (2.0, 1.5, 1.0, 0.7)]
    assert found == sorted(rounds for rounds in found if rounds is not None)


def test_unchanged_gates_with_the_estimated_rounds_pass_nine_times_in_ten() -> None:
    deviation = 0.05 / 1.5
    rounds = rounds_to_exclude(1.5)
    assert rounds is not None
    (gauge,) = (gauge for gauge in gauges() if gauge.key == "pod_loop")
    rng = random.Random(1)
    passed = 0
    for _ in range(200):
        baseline, candidate = (
            [run(pod_loop=rng.gauss(0.4, deviation)) for _ in range(rounds)] for _ in range(2)
        )
        sides = side_of("baseline", baseline), side_of("candidate", candidate)
        passed += decide(*sides, (gauge,), look=0, looks=4).outcome == "pass"
    # Three standard deviations of 200 gates.
    assert passed / 200 > 0.83


def test_the_medians_of_runs_miss_their_difference_by_the_margin_in_one_of_ten_cases() -> None:
    rng = random.Random(2)

    def median_of(count: int) -> float:
        return sorted(rng.gauss(0, 1) for _ in range(count))[count // 2]

    low = sum(median_of(7) - median_of(7) < -median_margin(7) for _ in range(2000))
    assert low / 2000 == pytest.approx(0.1, abs=0.03)
