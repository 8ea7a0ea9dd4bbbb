"""Pulses of disconnects are found where they are, and not where drops come by chance."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.analysis.findings.pulses import pulses
from reports.rundir.series import Seconds

CLIENTS = 100.0


def planted(
    period_s: int, *, first_s: int = 5, to_s: int = 90, drops: float = 40.0, width: int = 1
) -> Seconds:
    series = np.zeros(to_s)
    for centre in range(first_s, to_s - width, period_s):
        series[centre : centre + width] = drops / width
    return series


@pytest.mark.parametrize(
    ("drops", "period_s"),
    [
        (planted(10), 10.0),
        (planted(4), 4.0),
        (planted(25, width=3), 25.0),
        (planted(20) + 1.0, 20.0),
        (planted(10, drops=6.0), 10.0),
    ],
    ids=["each ten seconds", "each four", "each three seconds long", "others between them", "small ones"],
)
def test_a_planted_period_is_found(drops: Seconds, period_s: float) -> None:
    found = pulses(drops, CLIENTS)
    assert found is not None
    assert found.period_s == pytest.approx(period_s, abs=0.5)
    assert found.number == len([t for t, (before, now) in enumerate(pairwise(drops), 1) if now > before + 1])


@pytest.mark.parametrize(
    "drops",
    [
        np.zeros(60),
        planted(30, to_s=60),
        planted(10, drops=3.0),
        planted(10, width=8),
        np.array([0, 40, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0.0]),
        np.where(np.arange(60) % 2, 40.0, 0.0),
        np.full(60, 40.0),
        planted(15, drops=20.0) + np.where(np.arange(90) % 15 > 8, 3.0, 0.0),
    ],
    ids=[
        "none",
        "two pulses",
        "a handful of clients",
        "pulses that nearly touch",
        "irregular",
        "each other second",
        "all the time",
        "most of them between the pulses",
    ],
)
def test_other_drops_are_no_pulses(drops: Seconds) -> None:
    assert pulses(drops, CLIENTS) is None


def test_seconds_that_do_not_count_hide_what_is_in_them() -> None:
    drops = planted(10)
    drops[drops > 0] = np.nan
    assert pulses(drops, CLIENTS) is None


@pytest.mark.parametrize("per_s", [0.02, 0.2, 0.7, 1.5, 5.0, 40.0])
@pytest.mark.parametrize("clients", [20.0, 300.0])
def test_drops_by_chance_never_are_pulses(per_s: float, clients: float) -> None:
    for seed in range(200):
        assert pulses(np.random.default_rng(seed).poisson(per_s, 120).astype(float), clients) is None


@settings(deadline=None, max_examples=50)
@given(
    period_s=st.integers(5, 40),
    jitter=st.floats(0.0, 0.1),
    per_s=st.floats(0.0, 0.2),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_planted_period_is_found_among_drops_by_chance(
    period_s: int, jitter: float, per_s: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    drops = rng.poisson(per_s, 5 * period_s).astype(float)
    for centre in range(period_s // 2, 5 * period_s, period_s):
        at_s = centre + rng.uniform(-jitter, jitter) * period_s / 2
        drops[min(len(drops) - 1, round(at_s))] += 60
    found = pulses(drops, CLIENTS)
    assert found is not None
    assert found.number == 5
    assert found.period_s == pytest.approx(period_s, rel=0.15, abs=1.0)
