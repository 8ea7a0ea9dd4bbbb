"""Statistics of few runs: against the literature, by their properties, and where there is nothing to find."""

from collections.abc import Sequence
from itertools import combinations
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from reports.arms import ArmResult, RunResult, alike
from reports.comparison import contrasts
from reports.latency import Latency
from reports.measures import BY_KEY, KEY_MEASURES
from reports.metrics import PhaseSummary, Storm, Summary
from reports.ranges import range_of
from reports.recovery import Recovery
from reports.statistics import (
    ALPHA,
    Interval,
    bootstrap_interval,
    extremes_confidence,
    greater_test,
    holm,
    rank_test,
    ratio_interval,
    runs_needed,
    smallest_p,
    wilson,
)

VALUES = st.lists(st.floats(0, 1e6) | st.just(inf), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([5], 5, 5),
        ([1, 2, 3], 1, 3),
        ([1, 2, 3, 4, 5], 1, 5),
        ([1, 2, 3, 4, 5, 6], 1.5, 5.5),
        ([1, 2, inf], 1, inf),
        ([inf, inf, inf], inf, inf),
    ],
)
def test_up_to_five_runs_the_interval_of_a_median_is_the_extremes(
    values: Sequence[float], low: float, high: float
) -> None:
    assert bootstrap_interval(values) == Interval(low, high)


def test_extremes_hold_the_true_median_as_often_as_they_say() -> None:
    assert [extremes_confidence(n) for n in (1, 3, 4, 5, 6)] == [0, 0.75, 0.875, 0.9375, 0.96875]
    draws = np.random.default_rng(1).normal(size=(20_000, 4))
    inside = (draws.min(axis=1) < 0) & (draws.max(axis=1) > 0)
    assert inside.mean() == pytest.approx(extremes_confidence(4), abs=0.01)


def test_an_interval_is_of_whatever_statistic_and_confidence_is_asked_for() -> None:
    values = np.random.default_rng(1).normal(10, 1, 50)
    wide, narrow = (bootstrap_interval(values.tolist(), np.mean, confidence) for confidence in (0.99, 0.5))
    assert wide.low < narrow.low < values.mean() < narrow.high < wide.high
    # The normal approximation, for 50 values.
    assert wide.high - wide.low == pytest.approx(2 * 2.576 * values.std() / np.sqrt(50), rel=0.1)


@given(VALUES, VALUES)
def test_intervals_are_in_order_within_what_is_possible_and_the_same_every_time(
    a: list[float], b: list[float]
) -> None:
    found = bootstrap_interval(a)
    assert min(a) <= found.low <= found.high <= max(a)
    ratio = ratio_interval(a, b)
    assert 0 <= ratio.low <= ratio.high
    assert (found, ratio) == (bootstrap_interval(a), ratio_interval(a, b))


@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    [
        ([2, 2, 2], [4, 4, 4], 0.5, 0.5),
        ([1, 2, 3], [2, 4, 6], 1 / 6, 1.5),
        ([0, 0, 0], [0, 0, 0], 1, 1),
        ([inf, inf], [inf, inf], 1, 1),
        ([5, 6, 7], [inf, inf, inf], 0, 0),
        ([5, inf, inf], [1, 2, 3], 5 / 3, inf),
        ([1, 2, 3], [0, 0, 0], inf, inf),
    ],
)
def test_a_ratio_of_medians_knows_about_zero_and_never(
    a: Sequence[float], b: Sequence[float], low: float, high: float
) -> None:
    found = ratio_interval(a, b)
    assert (found.low, found.high) == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("a", "b", "p"),
    [
        ([1, 2, 3], [4, 5, 6], 0.1),
        ([1, 2, 3, 4], [5, 6, 7, 8], 2 / 70),
        ([1, 2, 3, 4], [inf] * 4, 2 / 70),
        ([inf] * 4, [inf] * 4, 1),
        ([1] * 12, [1] * 12, 1),
        # U = 4, for which tables of 5 against 5 have 0.095.
        ([1, 2, 3, 4, 9], [5, 6, 7, 8, 10], 0.0952),
        # By hand: of the 6 ways to part 1 1 2 2 in two, U is 0 in one, 4 in one, and 2 in four.
        ([1, 1], [2, 2], 1 / 3),
        (range(9), range(9, 18), 4.1e-4),
    ],
)
def test_the_rank_test_is_exact_for_few_runs(a: Sequence[float], b: Sequence[float], p: float) -> None:
    assert rank_test(a, b) == pytest.approx(p, rel=0.01)
    assert rank_test(b, a) == pytest.approx(p, rel=0.01)


BOUNDS: dict[str, tuple[list[float], list[bool], list[float], float]] = {
    "bounds above all that is known": ([5, 6, 7, 8], [True] * 4, [1, 2, 3, 4], 2 / 70),
    "bounds below all that is known": ([1, 2, 3, 4], [True] * 4, [5, 6, 7, 8], 1.0),
    "one bound below": ([1, 2, 3, 4], [True, False, False, False], [5, 6, 7, 8], 24 / 70),
    "no bound": ([1, 2, 3, 4], [False] * 4, [5, 6, 7, 8], 2 / 70),
}


@pytest.mark.parametrize(("a", "a_open", "b", "p"), BOUNDS.values(), ids=BOUNDS)
def test_a_lower_bound_is_taken_for_the_worst_that_it_can_mean(
    a: list[float], a_open: list[bool], b: list[float], p: float
) -> None:
    assert rank_test(a, b, a_open=a_open) == pytest.approx(p)
    assert rank_test(b, a, b_open=a_open) == pytest.approx(p)


@given(st.integers(1, 7), st.integers(1, 7))
def test_no_test_can_fall_below_the_smallest_p(a: int, b: int) -> None:
    assert rank_test(range(a), range(100, 100 + b)) == pytest.approx(smallest_p(a, b))


def test_three_against_three_can_decide_nothing_and_several_tests_take_more_runs() -> None:
    assert smallest_p(3, 3) == pytest.approx(0.1)
    assert [runs_needed(tests) for tests in (1, 2, len(KEY_MEASURES), 7)] == [4, 5, 5, 6]
    assert runs_needed(alpha=0.1) == 3


def test_holm_steps_down_from_the_smallest_p() -> None:
    # The example of Holm (1979) in many textbooks.
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert list(found) == ["a", "b", "c", "d"]
    assert holm({}) == {}


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=6))
def test_an_adjusted_p_is_never_smaller_and_keeps_its_place(p_values: dict[str, float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= adjusted[key] <= 1 for key, p in p_values.items())
    places = sorted(p_values, key=lambda key: p_values[key])
    assert [adjusted[key] for key in places] == sorted(adjusted.values())


@pytest.mark.parametrize(
    ("hits", "runs", "low", "high"),
    [(3, 3, 0.438, 1.0), (0, 3, 0.0, 0.562), (5, 10, 0.237, 0.763), (0, 1, 0.0, 0.793)],
)
def test_wilson_intervals_are_those_of_the_literature(hits: int, runs: int, low: float, high: float) -> None:
    from scipy.stats import binomtest

    assert wilson(hits, runs) == pytest.approx((low, high), abs=0.001)
    assert wilson(hits, runs) == pytest.approx(binomtest(hits, runs).proportion_ci(method="wilson"), abs=1e-6)


def synthetic_summary(rng: np.random.Generator, shift: float) -> Summary:
    """A storm as random as one can be: all key measures are drawn anew, and one in four never recovers."""
    p99_ms = 5_000 * rng.lognormal(shift, 0.5, 2)
    share, loop = rng.beta(4, 2, 2)
    phases = [
        PhaseSummary(from_s=8, to_s=23, effective_p99=Latency(p99), pod_loop=float(loop)) for p99 in p99_ms
    ]
    return Summary(
        clients=100,
        during=phases[0],
        after=phases[1],
        storm=Storm(
            from_s=8,
            to_s=62,
            availability=float(share),
            attempts=500,
            attempts_peak_per_s=100.0,
            disconnects=100,
            stale=0,
            amplification=float(5 * rng.lognormal(shift, 0.5)),
            burst_peak=None,
            burst_dispersion=None,
            limited=0,
            nginx_limited=0,
            outcomes={},
            missed=0,
            wasted_work=None,
        ),
        recovery=Recovery(
            window_s=30,
            time_to_recover_s=None if rng.random() < 0.25 else int(60 * rng.lognormal(shift, 0.5)),
        ),
    )


def synthetic_arm(rng: np.random.Generator, name: str, runs: int, shift: float = 0.0) -> ArmResult:
    summaries = [synthetic_summary(rng, shift) for _ in range(runs)]
    results = [
        RunResult(
            "OUTAGE" if summary.recovery.time_to_recover_s is None else "RECOVERED",
            summary.recovery.time_to_recover_s,
            summary.storm.availability if summary.storm else None,
        )
        for summary in summaries
    ]
    verdicts = sorted(result.verdict for result in results)
    return ArmResult(
        name=name,
        settings={},
        runs=runs,
        valid=runs,
        verdict="OUTAGE" if verdicts.count("OUTAGE") * 2 >= runs else "RECOVERED",
        verdicts=tuple(result.verdict for result in results),
        reasons=("drawn",) * runs,
        results=tuple(results),
        ranges={
            key: found for key in KEY_MEASURES if (found := range_of(BY_KEY[key], summaries)) is not None
        },
        at_least_s=None,
    )


@pytest.mark.parametrize("runs", [4, 5])
def test_an_arm_against_itself_is_called_different_in_one_of_twenty_comparisons_at_the_most(
    runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.statistics.RESAMPLES", 9)
    told_apart, called, below = 0, 0, dict.fromkeys(KEY_MEASURES, 0)
    seeds = 200
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        a, b = (synthetic_arm(rng, name, runs) for name in "ab")
        told_apart += not alike(a, b)
        found = contrasts(b, a)
        assert set(found) == set(KEY_MEASURES)
        called += any(contrast.decision in {"better", "worse"} for contrast in found.values())
        for key in KEY_MEASURES:
            below[key] += rank_test(a.ranges[key].numbers, b.ranges[key].numbers) <= ALPHA
    assert told_apart <= ALPHA * seeds
    assert called <= ALPHA * seeds
    assert max(below.values()) <= ALPHA * seeds, below


def test_a_large_difference_is_found_from_five_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.statistics.RESAMPLES", 9)
    rng = np.random.default_rng(1)
    a, b = synthetic_arm(rng, "a", 5), synthetic_arm(rng, "b", 5, shift=-3.0)
    found = contrasts(b, a)
    assert {key for key, contrast in found.items() if contrast.decision == "better"} == {
        "effective_p99_during",
        "effective_p99_after",
        "amplification",
    }


def permuted_greater(a: list[float], b: list[float]) -> float:
    """The share of all ways to choose `a` from both that have a rank sum as high, by trying all of them."""
    together = [*a, *b]
    ranks = [sum(x < y for x in together) + sum(x <= y for x in together) for y in together]
    sums = [sum(chosen) for chosen in combinations(ranks, len(a))]
    return sum(total >= sum(ranks[: len(a)]) for total in sums) / len(sums)


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=5), st.lists(st.integers(0, 4), min_size=1, max_size=5)
)
def test_the_one_sided_test_is_exact_whatever_the_ties(a: list[float], b: list[float]) -> None:
    assert greater_test(a, b) == pytest.approx(permuted_greater(a, b))


def test_the_one_sided_test_agrees_with_scipy_where_there_are_no_ties() -> None:
    a, b = [3.0, 5.0, 8.0, 9.0, 10.0, 12.0, 13.0], [1.0, 2.0, 4.0, 6.0, 7.0, 11.0]
    expected = mannwhitneyu(a, b, alternative="greater", method="exact").pvalue
    assert greater_test(a, b) == pytest.approx(expected)


def test_a_bound_of_the_others_counts_as_greater_than_anything() -> None:
    assert greater_test([5.0] * 4, [1.0] * 4) == pytest.approx(1 / 70)
    assert greater_test([5.0] * 4, [1.0] * 4, b_open=[True] * 4) == 1.0
    assert greater_test([inf] * 4, [1.0] * 4, b_open=[False] * 4) == pytest.approx(1 / 70)
