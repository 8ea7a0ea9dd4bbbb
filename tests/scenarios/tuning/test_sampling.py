"""The sequence that fills a search's space."""

import numpy as np
import pytest
from scipy.stats import qmc

from scenarios.tuning.sampling import MOST_DIMENSIONS, sobol
from scenarios.tuning.space import DIMENSIONS


@pytest.mark.parametrize(
    ("dimensions", "count", "seed"), [(1, 8, 0), (DIMENSIONS, 256, 7), (MOST_DIMENSIONS, 64, 1)]
)
def test_points_are_those_of_scipy(dimensions: int, count: int, seed: int) -> None:
    expected = qmc.Sobol(dimensions, scramble=True, rng=seed).random(count)
    assert np.array_equal(np.array(sobol(dimensions, count, seed)), expected)


def test_a_search_has_no_more_dimensions_than_the_sequence() -> None:
    assert DIMENSIONS <= MOST_DIMENSIONS


def test_fewer_points_are_the_first_of_more() -> None:
    assert sobol(3, 5, 2) == sobol(3, 16, 2)[:5]
    assert sobol(3, 0, 2) == []


def test_each_of_equal_parts_of_a_side_gets_equally_many_points() -> None:
    points = np.array(sobol(DIMENSIONS, 64, 11))
    for side in points.T:
        assert np.array_equal(np.sort((side * 64).astype(int)), np.arange(64))
