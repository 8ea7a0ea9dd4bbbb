"""Least squares without negative costs."""

import numpy as np
import pytest
from scipy.optimize import nnls as reference

from scenarios.simulator.fit import nnls


@pytest.mark.parametrize("seed", range(40))
def test_costs_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = 1 + seed % 4
    features = np.asarray(rng.poisson(3, (60, columns)) * 10.0 ** rng.integers(-1, 5, columns), np.float64)
    target = np.asarray(features @ rng.normal(0, 1e-3, columns) + rng.normal(0, 0.01, 60), np.float64)
    expected, left_over = reference(features, target)
    found = nnls(features, target)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert np.linalg.norm(features @ found - target) == pytest.approx(left_over)


def test_what_never_happened_costs_nothing() -> None:
    features = np.column_stack([np.ones(20), np.zeros(20), np.arange(20.0)])
    assert nnls(features, np.array([0.5 + 0.25 * t for t in range(20)])) == pytest.approx([0.5, 0.0, 0.25])
    assert nnls(features, -np.ones(20)).tolist() == [0.0, 0.0, 0.0]
