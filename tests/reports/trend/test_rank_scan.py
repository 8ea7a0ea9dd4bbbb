"""The tests of one place and of one stretch, against all orders of a few values."""

from itertools import combinations
from math import comb, inf

import numpy as np
import pytest

from reports.trend.rank_scan import LEAST_SIDE, best_place, best_stretch, change_p

CLEAR = [float(value) for value in (1, 2, 3, 4, 11, 12, 13, 14)]


def as_values(values: list[float]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array(values, np.float64)


def test_p_is_the_share_of_orders_with_a_place_as_clear() -> None:
    # Only two ways of 70 put the four highest on one side; 3 and 5 values are never as improbable.
    ways = sum(set(chosen) in ({4, 5, 6, 7}, {0, 1, 2, 3}) for chosen in combinations(range(8), 4))
    assert change_p(as_values(CLEAR)) == pytest.approx(ways / comb(8, 4), abs=0.01)


@pytest.mark.parametrize("before", range(LEAST_SIDE, 38))
def test_a_step_is_found_at_its_place_however_near_the_end(before: int) -> None:
    values = np.random.default_rng(before).normal(0, 1, 40)
    values[before:] += 10
    assert best_place(values) == before
    values[before + 2] = inf
    assert best_place(values) == before


def test_a_recovery_that_never_comes_again_is_found_at_its_place() -> None:
    assert best_place(as_values([*[3.0, 4.0, 3.5] * 6, *[inf] * 5])) == 18


@pytest.mark.parametrize(("first", "after"), [(10, 15), (5, 17), (20, 35), (30, 37)])
def test_a_stretch_is_found_with_both_ends(first: int, after: int) -> None:
    values = np.random.default_rng(1).normal(0, 1, 40)
    values[first:after] += 30
    found_first, found_after, p = best_stretch(values)
    # Widths are tried in steps of a quarter.
    assert abs(found_first - first) <= 2
    assert abs(found_after - after) <= 2
    assert p < 0.01


def test_values_that_are_all_alike_say_nothing() -> None:
    assert change_p(as_values([3.0] * 12)) == 1
    assert best_stretch(as_values([inf] * 12))[2] == 1
