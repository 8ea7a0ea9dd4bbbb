"""Statistics of few runs: against the literature, by their properties, and where there is nothing to find."""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb, inf, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import PermutationMethod, mannwhitneyu

from reports.analysis.metrics import PhaseSummary, Storm, Summary
from reports.analysis.recovery import Recovery
from reports.compare.arm import ArmResult, RunResult, alike
from reports.compare.comparison import contrasts
from reports.compare.measures import BY_KEY, KEY_MEASURES
from reports.compare.ranges import range_of
from reports.compare.statistics import (
    ALPHA,
    Interval,
    below_test,
    greater_test,
    holm,
    median_interval,
    rank_test,
    ratio_interval,
    runs_needed,
    share_interval,
    smallest_p,
)
from reports.rundir.latency import Latency

Draws = Any
"""An array of random values."""

VALUES = st.lists(st.floats(0, 1e6) | st.just(inf), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("values", "low", "high", "coverage"),
    [
        ([5], 5, 5, 0.0),
        ([1, 2], 1, 2, 0.5),
        ([1, 2, 3], 1, 3, 0.75),
        ([1, 2, 3, 4, 5], 1, 5, 0.9375),
        ([1, 2, 3, 4, 5, 6], 1, 6, 0.96875),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], 2, 8, 0.9609375),
        ([1, 2, inf], 1, inf, 0.75),
        ([inf, inf, inf], inf, inf, 0.75),
    ],
)
def test_the_interval_of_a_median_is_of_order_statistics_and_says_how_sure_it_is(
    values: Sequence[float], low: float, high: float, coverage: float
) -> None:
    found = median_interval(values)
    assert (found.low, found.high, found.coverage) == (low, high, coverage)
    assert found.never == (high == inf)


def test_an_interval_ends_nowhere_where_only_a_bound_is_known_and_that_is_not_never() -> None:
    found = median_interval([10, 20, 30], [False, False, True])
    assert (found.low, found.high, found.never) == (10, inf, False)
    ratio = ratio_interval([5, 6, 7], [1, 2, 3], a_open=[True, False, False])
    assert (ratio.low, ratio.high, ratio.never) == (5 / 3, inf, False)
    below = ratio_interval([5, 6, 7], [1, 2, 3], b_open=[True, False, False])
    assert (below.low, below.high, below.never) == (0, 7, False)


LAWS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Draws]] = {
    "lognormal": lambda rng, shape: rng.lognormal(0, 0.5, shape),
    "heavy tails": lambda rng, shape: np.exp(np.clip(rng.standard_cauchy(shape), -99, 99)),
    "many ties": lambda rng, shape: 2.0 ** rng.integers(-1, 2, shape),
    "zeros": lambda rng, shape: rng.lognormal(0, 0.5, shape) * (rng.random(shape) < 0.6),
    "never": lambda rng, shape: np.where(rng.random(shape) < 0.3, inf, rng.lognormal(0, 0.5, shape)),
}
"""Values of which the median is 1, but for those with zeros or without an end."""
SIDES = [(2, 2), (2, 6), (3, 3), (4, 4), (5, 5), (6, 6), (5, 8)]


def held(found: Interval, truth: float) -> bool:
    return found.low <= truth * (1 + 1e-9) and found.high >= truth * (1 - 1e-9)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("sides", SIDES)
def test_a_ratio_is_in_its_interval_as_often_as_that_says(law: str, sides: tuple[int, int]) -> None:
    rng, cases, factor = np.random.default_rng(5), 1_500, 1.7
    above, below = (LAWS[law](rng, (cases, runs)) for runs in sides)
    found = [ratio_interval(a, b) for a, b in zip((factor * above).tolist(), below.tolist(), strict=True)]
    share = sum(held(one, factor) for one in found) / cases
    # Three standard errors of so many cases.
    assert share >= found[0].coverage - 3 * sqrt(found[0].coverage * (1 - found[0].coverage) / cases)
    if law in {"lognormal", "heavy tails"}:
        assert share == pytest.approx(found[0].coverage, abs=0.03)


@pytest.mark.parametrize("sides", SIDES)
def test_a_ratio_is_in_its_interval_whatever_is_known_as_a_bound_alone(sides: tuple[int, int]) -> None:
    rng, cases, factor = np.random.default_rng(6), 1_500, 1.7
    inside = 0
    for _ in range(cases):
        a, b = factor * rng.lognormal(0, 0.5, sides[0]), rng.lognormal(0, 0.5, sides[1])
        # Whoever is not done by then was seen for so long only.
        a_open, b_open = a > 2.2, b > 1.4
        found = ratio_interval(
            np.minimum(a, 2.2).tolist(),
            np.minimum(b, 1.4).tolist(),
            a_open=a_open.tolist(),
            b_open=b_open.tolist(),
        )
        assert not found.never
        inside += held(found, factor)
    coverage = found.coverage
    assert inside / cases >= coverage - 3 * sqrt(coverage * (1 - coverage) / cases)


@pytest.mark.parametrize("law", ["lognormal", "heavy tails", "many ties"])
@pytest.mark.parametrize("runs", range(2, 12))
def test_a_median_is_in_its_interval_as_often_as_that_says(law: str, runs: int) -> None:
    cases = 3_000
    draws = LAWS[law](np.random.default_rng(7), (cases, runs))
    found = [median_interval(values) for values in draws.tolist()]
    coverage = found[0].coverage
    share = sum(held(one, 1.0) for one in found) / cases
    assert share >= coverage - 3 * sqrt(coverage * (1 - coverage) / cases)


@pytest.mark.parametrize(
    ("sides", "coverage"),
    [
        ((1, 1), 0),
        ((2, 2), 2 / 3),
        ((3, 3), 0.9),
        ((2, 8), 1 - 2 / 45),
        ((4, 4), 1 - 2 / 70),
        ((5, 5), 1 - 8 / 252),
    ],
)
def test_no_interval_of_a_ratio_claims_more_than_its_runs_allow(
    sides: tuple[int, int], coverage: float
) -> None:
    a, b = ([float(number + 1) for number in range(runs)] for runs in sides)
    assert ratio_interval(a, b).coverage == pytest.approx(coverage)


@given(VALUES, VALUES)
def test_intervals_are_in_order_within_what_is_possible_and_the_same_every_time(
    a: list[float], b: list[float]
) -> None:
    found = median_interval(a)
    assert min(a) <= found.low <= found.high <= max(a)
    ratio = ratio_interval(a, b)
    assert 0 <= ratio.low <= ratio.high
    assert 0 <= ratio.coverage <= 1
    assert (found, ratio) == (median_interval(a), ratio_interval(a, b))


@pytest.mark.parametrize(
    ("a", "b", "low", "high", "never"),
    [
        ([2, 2, 2], [4, 4, 4], 0.5, 0.5, False),
        ([1, 2, 3], [2, 4, 6], 1 / 6, 1.5, False),
        # Nothing is any multiple of nothing, and nobody knows what never is a multiple of.
        ([0, 0, 0], [0, 0, 0], 0, inf, False),
        ([inf, inf], [inf, inf], 0, inf, False),
        ([0, 0, 3], [0, 0, 3], 0, inf, False),
        ([5, 6, 7], [inf, inf, inf], 0, 0, False),
        ([5, inf, inf], [1, 2, 3], 5 / 3, inf, True),
        # More than nothing is no multiple of it, and it is not never either.
        ([1, 2, 3], [0, 0, 0], inf, inf, False),
        ([1, 2, 3], [0, 2, 3], 1 / 3, inf, False),
    ],
)
def test_a_ratio_knows_about_zero_and_never(
    a: Sequence[float], b: Sequence[float], low: float, high: float, never: bool
) -> None:
    found = ratio_interval(a, b)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.never == never


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
        (range(9), range(9, 18), 2 / 48_620),
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
    [
        (3, 3, 0.292, 1.0),
        (0, 3, 0.0, 0.708),
        (5, 10, 0.187, 0.813),
        (0, 1, 0.0, 0.975),
        (0, 200, 0.0, 0.0183),
    ],
)
def test_intervals_of_a_share_are_those_of_the_literature(
    hits: int, runs: int, low: float, high: float
) -> None:
    from scipy.stats import binomtest

    assert share_interval(hits, runs) == pytest.approx((low, high), abs=0.001)
    assert share_interval(hits, runs) == pytest.approx(binomtest(hits, runs).proportion_ci(), abs=1e-6)


@pytest.mark.parametrize("runs", range(1, 7))
def test_an_interval_of_a_share_holds_it_in_95_of_100_cases_however_few_the_runs(runs: int) -> None:
    intervals = [share_interval(hits, runs) for hits in range(runs + 1)]
    for share in np.linspace(0, 1, 201):
        chances = [comb(runs, k) * share**k * (1 - share) ** (runs - k) for k in range(runs + 1)]
        held = [low <= share <= high for low, high in intervals]
        assert sum(chance for chance, inside in zip(chances, held, strict=True) if inside) >= 0.95


def test_values_below_every_limit_are_told_from_it_and_others_are_not() -> None:
    assert below_test([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(1 / 252)
    assert below_test([6, 7, 8, 9, 10], [1, 2, 3, 4, 5]) == 1
    assert below_test([1] * 5, [1] * 5) == 1
    assert below_test([inf] * 5, [9] * 5) == 1
    # Nothing can be worse than what never came.
    assert below_test([inf] * 5, [inf] * 5) == pytest.approx(0.5**5)
    # One of six that never came is a matter of coins, and not of ranks.
    assert below_test([6, 6, 6, 6, 6, inf], [8] * 6) == pytest.approx(7 / 64)
    assert below_test([0, 0, 0, 0, 0, 3], [0.5] * 6, steps=True) == pytest.approx(7 / 64)


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
    runs: int,
) -> None:
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


def test_a_large_difference_is_found_from_five_runs_on() -> None:
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


@given(
    st.lists(st.integers(0, 6), min_size=2, max_size=6), st.lists(st.integers(0, 6), min_size=2, max_size=6)
)
def test_the_two_sided_test_agrees_with_all_permutations_whatever_the_ties(
    a: list[float], b: list[float]
) -> None:
    if len({*a, *b}) == 1:
        assert rank_test(a, b) == 1.0
        return
    every = PermutationMethod(n_resamples=20_000)
    assert rank_test(a, b) == pytest.approx(mannwhitneyu(a, b, method=every).pvalue)


@pytest.mark.parametrize("most", [5, 1_000_000])
@pytest.mark.parametrize(("a_runs", "b_runs"), [(31, 30), (40, 90)])
def test_many_runs_are_left_to_the_normal_approximation(most: int, a_runs: int, b_runs: int) -> None:
    rng = np.random.default_rng(5)
    a, b = rng.integers(0, most, a_runs), rng.integers(0, most, b_runs) + most // 5
    expected = mannwhitneyu(a, b, method="asymptotic").pvalue
    assert rank_test(a.tolist(), b.tolist()) == pytest.approx(expected)
    assert rank_test([1.0] * a_runs, [1.0] * b_runs) == 1.0


def test_the_exact_test_and_the_approximation_meet() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 30), rng.normal(0.5, 1, 30)
    expected = mannwhitneyu(a, b, method="asymptotic").pvalue
    assert rank_test(a.tolist(), b.tolist()) == pytest.approx(expected, rel=0.05)


def test_a_bound_of_the_others_counts_as_greater_than_anything() -> None:
    assert greater_test([5.0] * 4, [1.0] * 4) == pytest.approx(1 / 70)
    assert greater_test([5.0] * 4, [1.0] * 4, b_open=[True] * 4) == 1.0
    assert greater_test([inf] * 4, [1.0] * 4, b_open=[False] * 4) == pytest.approx(1 / 70)
