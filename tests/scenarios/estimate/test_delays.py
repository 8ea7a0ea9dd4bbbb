"""Delays as steps of a density: no client is lost, and the mean stays."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.estimate.delays import Delay, delays_of
from scenarios.policies.registry import policy

QUANTILES = st.lists(st.floats(0, 30), min_size=2, max_size=11).map(sorted).map(np.array)


def spread(delay: Delay, bin_s: float) -> np.ndarray:
    """The rate of attempts by bin, after one failure in bin 0."""
    bins, changes = delay.changes(bin_s)
    rate = np.zeros(int(bins[-1]) + 1)
    rate[bins] = changes
    return np.cumsum(rate)


@given(st.floats(0, 1), QUANTILES, st.floats(0.01, 0.5))
def test_as_many_come_back_as_the_policy_lets_and_none_comes_before_its_time(
    made: float, edges_s: np.ndarray, bin_s: float
) -> None:
    rate = spread(Delay(made, edges_s), bin_s)
    assert rate.sum() == pytest.approx(made, abs=1e-9)
    assert rate.min() >= -1e-9
    assert not rate[: int(edges_s[0] / bin_s)].any()


@given(QUANTILES, st.floats(0.01, 0.5))
def test_the_mean_delay_is_kept_within_a_sixth_of_a_bin(edges_s: np.ndarray, bin_s: float) -> None:
    rate = spread(Delay(1.0, edges_s), bin_s)
    mean_s = float((edges_s[:-1] + edges_s[1:]).mean() / 2)
    assert float((rate * np.arange(len(rate))).sum() * bin_s) == pytest.approx(mean_s, abs=bin_s / 6)


def test_delays_are_those_that_the_policy_draws() -> None:
    chosen = policy({"name": "full-jitter", "base_s": 1.0, "cap_s": 8.0})
    delays = delays_of(chosen)
    for n, ceiling_s in enumerate((1.0, 2.0, 4.0, 8.0)):
        assert delays[n].edges_s == pytest.approx(np.linspace(0, ceiling_s, 11), abs=0.1 * ceiling_s)
    first = next(chosen.delays(random.Random(1)))
    assert delays[0].edges_s[0] <= first <= delays[0].edges_s[-1]


def test_attempts_whose_delays_are_alike_are_one() -> None:
    assert len(delays_of(policy("naive"))) == 1
    assert len(delays_of(policy({"name": "full-jitter", "base_s": 1.0, "cap_s": 8.0}))) < 8


def test_who_gives_up_makes_no_further_attempt() -> None:
    delays = delays_of(policy({"name": "axios-retry", "budget_ms": 1500}))
    assert [delay.made for delay in delays] == [1.0, 1.0, 1.0, 0.0]
