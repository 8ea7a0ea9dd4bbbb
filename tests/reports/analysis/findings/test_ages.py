"""Sessions that end at one age are found, and not those that end by chance or all at one moment."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.analysis.findings.ages import Ends, age_cluster


def by_second(ends: Iterable[tuple[float, float]]) -> dict[int, Ends]:
    """(when, age) of each end."""
    found: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)
    for at_s, age_s in ends:
        found[int(at_s)].append((float(age_s), 1))
    return {**found}


def test_sessions_that_joined_apart_and_ended_at_one_age_are_a_cluster() -> None:
    found = age_cluster(by_second((joined_s + 12.0, 12.0) for joined_s in np.linspace(0, 30, 60)))
    assert found is not None
    assert (found.age_s, found.ends, found.share) == (12.0, 60, 1.0)
    assert found.spread_out


def test_sessions_that_joined_and_ended_together_are_not_spread_out() -> None:
    found = age_cluster(by_second((20.0 + n / 100, 19.0 + n / 100) for n in range(80)))
    assert found is not None
    assert not found.spread_out


def test_pulses_at_one_age_are_spread_out() -> None:
    found = age_cluster(by_second((10.0 * n, 9.8 + c / 1000) for n in range(1, 5) for c in range(50)))
    assert found is not None
    assert found.spread_out


@pytest.mark.parametrize(
    "ends",
    [
        [],
        [(float(n), 30.0) for n in range(10)],
        [(float(n), 1.0 + n) for n in range(60)],
        [(float(n), 30.0) for n in range(30)] + [(float(n), 2.0 + n) for n in range(30)],
    ],
    ids=["none", "few", "all ages", "half of them"],
)
def test_other_ends_are_no_cluster(ends: list[tuple[float, float]]) -> None:
    assert age_cluster(by_second(ends)) is None


@pytest.mark.parametrize("mean_s", [1.0, 5.0, 30.0])
def test_sessions_that_end_by_chance_never_are_a_cluster(mean_s: float) -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        ages = rng.exponential(mean_s, 120)
        assert age_cluster(by_second(zip(rng.uniform(0, 60, 120) + ages, ages, strict=True))) is None


@settings(deadline=None, max_examples=50)
@given(
    age_s=st.floats(0.2, 300.0),
    noise=st.floats(0.0, 0.05),
    others=st.integers(0, 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_planted_age_is_found(age_s: float, noise: float, others: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ages = age_s * (1 + rng.uniform(-noise, noise, 80))
    joined_s = rng.uniform(0, 40 + age_s, 80)
    chance = rng.uniform(0, 2 * age_s, others)
    ends = [*zip(joined_s + ages, ages, strict=True), *((30.0 + age_s, each) for each in chance)]
    found = age_cluster(by_second(ends))
    assert found is not None
    assert found.age_s == pytest.approx(age_s, rel=0.08)
    assert found.low_s <= found.age_s <= found.high_s
    assert found.ends >= 80
