"""Change points of one series."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import inf
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.trend.rank_scan import LEAST_SIDE
from reports.trend.segments import cuts

NORMAL = np.random.default_rng(7).normal(100, 1, 200).tolist()


def any_size(_before: Sequence[float], _after: Sequence[float]) -> float:
    """Every change is large enough."""
    return inf


def differing_by(least: float) -> Callable[[Sequence[float], Sequence[float]], float]:
    """Only changes of the median by this much are."""
    return lambda before, after: abs(median(after) - median(before)) / least


def places(values: Sequence[float], alpha: float = 0.01) -> list[int]:
    return [cut.at for cut in cuts(values, alpha, any_size)]


def levels(*parts: tuple[int, float]) -> list[float]:
    """So many values at each level, with noise of 1."""
    offsets = [level for count, level in parts for _ in range(count)]
    return [value + offset for value, offset in zip(NORMAL, offsets, strict=False)]


FOUND: dict[str, tuple[list[float], list[int]]] = {
    "nothing": ([], []),
    "no change": (levels((60, 0)), []),
    "always the same": ([5.0] * 40, []),
    "a step": (levels((15, 0), (15, 10)), [15]),
    "a step down": (levels((15, 0), (15, -10)), [15]),
    "a step late": (levels((30, 0), (4, 10)), [30]),
    "up and down again": (levels((15, 0), (8, 10), (15, 0)), [15, 23]),
    "a stair": (levels((12, 0), (12, 10), (12, 20)), [12, 24]),
    "a wild value": (levels((15, 0), (1, 500), (15, 0)), []),
    "a wild value at the end": (levels((30, 0), (1, 500)), []),
    "never from some gate on": ([*levels((15, 0)), *[inf] * 10], [15]),
    "too few to be sure": (levels((3, 0), (3, 10)), []),
    "a step without noise": ([1.0] * 10 + [2.0] * 10, [10]),
}


@pytest.mark.parametrize(("values", "expected"), FOUND.values(), ids=FOUND)
def test_a_change_of_the_level_is_found_where_it_is(values: list[float], expected: list[int]) -> None:
    assert places(values) == expected


def test_a_series_without_a_change_has_one_no_more_often_than_its_level_says() -> None:
    rng = np.random.default_rng(3)
    found = sum(bool(places(rng.standard_normal(40).tolist(), 0.05)) for _ in range(200))
    # 10 are expected; more than 20 come in 1 of 1,000 cases.
    assert found <= 20


@pytest.mark.parametrize("heavy", ["outliers", "steps of a counter"])
def test_the_level_holds_for_values_that_are_not_normal(heavy: str) -> None:
    rng = np.random.default_rng(11)
    draw = rng.standard_cauchy if heavy == "outliers" else lambda size: rng.integers(0, 3, size)
    found = sum(bool(places(draw(30).tolist(), 0.05)) for _ in range(200))
    assert found <= 20


def test_p_says_how_rare_such_a_change_is() -> None:
    (clear,) = cuts(levels((20, 0), (20, 10)), 0.01, any_size)
    assert clear.p == pytest.approx(1 / 10_001)
    (faint,) = cuts(levels((20, 0), (20, 1.2)), 0.01, any_size)
    assert 1 / 10_001 < faint.p <= 0.01


def test_a_change_that_is_too_small_does_not_count() -> None:
    step = levels((40, 0), (40, 3))
    assert [cut.at for cut in cuts(step, 0.01, differing_by(1))] != []
    assert cuts(step, 0.01, differing_by(5)) == ()


def test_small_steps_of_a_slope_become_one_that_is_large_enough() -> None:
    slope = levels((12, 0), (12, 4), (12, 8), (12, 12))
    assert len(cuts(slope, 0.01, any_size)) == 3
    assert 1 <= len(cuts(slope, 0.01, differing_by(6))) <= 2


@given(st.lists(st.floats(0, 1e6) | st.just(inf), max_size=30))
def test_change_points_divide_a_series_and_are_the_same_every_time(values: list[float]) -> None:
    found = cuts(values, 0.05, any_size)
    assert found == cuts(values, 0.05, any_size)
    edges = [0, *(cut.at for cut in found), len(values)]
    assert not found or all(b - a >= LEAST_SIDE for a, b in pairwise(edges))
    assert all(0 < cut.p <= 0.05 for cut in found)


@given(st.permutations(range(24)), st.integers(-20, 20))
def test_the_unit_of_the_values_does_not_matter(values: list[int], exponent: int) -> None:
    assert cuts(values, 0.05, any_size) == cuts([v * 2.0**exponent for v in values], 0.05, any_size)
