"""One gauge on both sides: worse, excluded, or open."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.compare.measures import BY_KEY
from reports.gate.effect import findings, spread_of
from reports.gate.finding import Counted, Finding
from reports.gate.looks import runs_to_exclude, runs_to_tell, share_of_alpha
from reports.gate.measures import ALLOWED_KEYS, FAILED, VERDICT, Measured, gauges
from tests.support.gate_runs import TYPICAL, drawn, run


def found(key: str, baseline: list[Measured], candidate: list[Measured], share: float = 1.0) -> Finding:
    keys = () if key == VERDICT else (key,)
    return next(one for one in findings(baseline, candidate, gauges(keys), share) if one.key == key)


def runs(key: str, *values: object) -> list[Measured]:
    return [run(**{key: value}) for value in values]


CASES: dict[str, tuple[str, list[Any], list[Any], str]] = {
    "the same values": ("pod_loop", [0.5] * 6, [0.5] * 6, "not worse"),
    "a little worse, by less than matters": (
        "pod_loop",
        [0.50, 0.51, 0.50, 0.51, 0.50, 0.51],
        [0.53, 0.52, 0.53, 0.52, 0.53, 0.52],
        "not worse",
    ),
    "clearly worse": (
        "pod_loop",
        [0.50, 0.51, 0.52, 0.53, 0.54, 0.55],
        [0.70, 0.71, 0.72, 0.73, 0.74, 0.75],
        "worse",
    ),
    "clearly better": (
        "pod_loop",
        [0.70, 0.71, 0.72, 0.73, 0.74, 0.75],
        [0.50, 0.51, 0.52, 0.53, 0.54, 0.55],
        "better",
    ),
    "less of what should be more": (
        "availability",
        [0.80, 0.81, 0.82, 0.83, 0.84, 0.85],
        [0.60, 0.61, 0.62, 0.63, 0.64, 0.65],
        "worse",
    ),
    "more of what should be more": (
        "availability",
        [0.60, 0.61, 0.62, 0.63, 0.64, 0.65],
        [0.80, 0.81, 0.82, 0.83, 0.84, 0.85],
        "better",
    ),
    "too noisy to exclude anything": (
        "pod_loop",
        [0.3, 0.5, 0.7, 0.4, 0.6, 0.5],
        [0.5, 0.3, 0.7, 0.6, 0.4, 0.5],
        "inconclusive",
    ),
    "too few to exclude anything, however alike": ("pod_loop", [0.5] * 4, [0.5] * 4, "inconclusive"),
    "too few to call it worse, however clear": ("pod_loop", [0.50, 0.51], [0.80, 0.81], "inconclusive"),
    "recoveries that are never seen any more": (
        "time_to_recover_s",
        [6, 7, 8, 6, 7, 8],
        [None] * 6,
        "worse",
    ),
    "recoveries that nobody saw before either": ("time_to_recover_s", [None] * 6, [None] * 6, "not worse"),
    "recoveries that are seen now": ("time_to_recover_s", [None] * 6, [6, 7, 8, 6, 7, 8], "better"),
    "half the recoveries gone": ("time_to_recover_s", [6] * 6, [6, 6, 6, None, None, None], "inconclusive"),
    "bounds above all that was measured": (
        "effective_p99_after",
        [60, 61, 62, 63, 64, 65],
        [[900], [901], [902], [903], [904], [905]],
        "worse",
    ),
    "bounds on both sides": ("effective_p99_after", [[900]] * 6, [[900]] * 6, "inconclusive"),
    "a bound as a baseline, which may be anything": (
        "effective_p99_after",
        [[60], [61], [62], [63], [64], [65]],
        [900, 901, 902, 903, 904, 905],
        "inconclusive",
    ),
    "nothing on either side": ("disconnects", [0] * 6, [0] * 6, "not worse"),
    "something where there was nothing": ("disconnects", [0] * 6, [40, 41, 42, 43, 44, 45], "worse"),
}


@pytest.mark.parametrize(("key", "baseline", "candidate", "answer"), CASES.values(), ids=CASES)
def test_every_case_has_its_answer(
    key: str, baseline: list[object], candidate: list[object], answer: str
) -> None:
    assert found(key, runs(key, *baseline), runs(key, *candidate)).answer == answer


def test_a_verdict_that_is_worse_in_most_runs_is_a_regression_by_itself() -> None:
    before, after = [run()] * 6, [run(), *[run("METASTABLE")] * 5]
    finding = found(VERDICT, before, after)
    assert (finding.answer, finding.baseline.text, finding.candidate.text) == (
        "worse",
        "RECOVERED",
        "METASTABLE or OUTAGE",
    )
    assert finding.ratio is None


def test_a_verdict_that_is_worse_now_and_then_is_one_as_soon_as_that_can_be_told() -> None:
    before, after = [run()] * 30, [*[run()] * 18, *[run("SLOW_DRAIN")] * 12]
    finding = found(VERDICT, before, after)
    assert finding.answer == "worse"
    assert "is worse in more runs than before, although mostly RECOVERED" in finding.why


def test_one_bad_verdict_neither_passes_nor_fails() -> None:
    assert found(VERDICT, [run()] * 6, [*[run()] * 5, run("METASTABLE")]).answer == "inconclusive"


def test_who_did_not_come_back_is_as_bad_off_with_a_rescue_as_without() -> None:
    assert found(VERDICT, [run("METASTABLE")] * 6, [run("OUTAGE")] * 6).answer == "not worse"


def test_what_only_one_side_measured_is_open() -> None:
    finding = found("pod_loop", [run()] * 6, runs("pod_loop", *[0.5] * 6))
    assert (finding.answer, finding.why) == (
        "inconclusive",
        "pod loop during was not measured in the baseline",
    )
    assert finding.baseline.text == "–"
    finding = found("pod_loop", runs("pod_loop", *[0.5] * 6), [run()] * 6)
    assert finding.why == "pod loop during was not measured in the candidate"


def test_what_neither_side_measured_is_left_out() -> None:
    assert [one.key for one in findings([run()], [run()], gauges())] == [VERDICT]


def test_p_is_corrected_for_every_gauge_and_every_look() -> None:
    before = [run(**{key: float(i) for key in ("pod_loop", "disconnects")}) for i in range(6)]
    after = [run(**dict.fromkeys(("pod_loop", "disconnects"), 100.0 + i)) for i in range(6)]
    alone = found("pod_loop", before, after).p
    assert alone is not None
    together = {one.key: one.p for one in findings(before, after, gauges(("pod_loop", "disconnects")), 0.25)}
    # The verdict is a gauge, too: three for the first, two for the next.
    assert together["pod_loop"] == pytest.approx(4 * 3 / 924)
    assert alone == pytest.approx(2 / 924)
    assert together[VERDICT] is None


def test_what_is_open_says_how_many_more_rounds_would_decide() -> None:
    few = found("pod_loop", runs("pod_loop", *[0.5] * 3), runs("pod_loop", *[0.5] * 3))
    assert few.more == runs_to_exclude() - 3
    clear = found("pod_loop", runs("pod_loop", 0.50, 0.51), runs("pod_loop", 0.80, 0.81), share=0.25)
    assert clear.more == runs_to_tell(2, 0.25) - 2
    _, before, after, _ = CASES["too noisy to exclude anything"]
    noisy = found("pod_loop", runs("pod_loop", *before), runs("pod_loop", *after))
    assert noisy.more is not None
    assert noisy.more > 6


@pytest.mark.parametrize("name", ["bounds on both sides", "half the recoveries gone"])
def test_no_number_is_named_where_rounds_would_not_help(name: str) -> None:
    key, baseline, candidate, _ = CASES[name]
    assert found(key, runs(key, *baseline), runs(key, *candidate)).more is None


def test_no_number_is_named_where_it_would_be_absurd() -> None:
    edge = [0.549, 0.3, 0.8, 0.5505, 0.2, 0.9]
    assert found("pod_loop", runs("pod_loop", *[0.5] * 6), runs("pod_loop", *edge)).more is None


def test_how_many_runs_it_takes() -> None:
    assert runs_to_exclude() == 5
    assert [runs_to_tell(1), runs_to_tell(8), runs_to_tell(8, 2 / 3), runs_to_tell(8, 1 / 6)] == [3, 5, 5, 7]


def test_a_ratio_whose_interval_has_no_end_says_so() -> None:
    before = runs("time_to_recover_s", 6, 6, 6, 6, 6)
    after = runs("time_to_recover_s", 6, 7, 8, None, None)
    finding = found("time_to_recover_s", before, after)
    assert finding.ratio == pytest.approx(8 / 6)
    assert (finding.ratio_high, finding.ratio_never) == (None, True)


def test_a_spread_has_median_and_extremes() -> None:
    (gauge,) = [one for one in gauges(("effective_p99_after",)) if one.key != VERDICT]
    spread = spread_of(gauge, runs("effective_p99_after", 60, 70, [80]))
    assert spread is not None
    assert (spread.median, spread.low, spread.high, spread.at_least) == (70, 60, 80, False)
    bound = spread_of(gauge, runs("effective_p99_after", [60], [70], [80]))
    assert bound is not None
    assert bound.text == "≥ 70 ms"
    assert spread_of(gauge, [run()]) is None
    (gauge,) = [one for one in gauges(("time_to_recover_s",)) if one.key != VERDICT]
    never = spread_of(gauge, runs("time_to_recover_s", 6, None, None))
    assert never is not None
    assert (never.median, never.high, never.text) == (None, None, "never")


@given(st.sampled_from(ALLOWED_KEYS), st.lists(st.floats(0, 1e6), min_size=5, max_size=8))
def test_nothing_is_worse_than_itself(key: str, values: list[float]) -> None:
    same = runs(key, *values)
    assert found(key, same, same).answer != "worse"


@given(
    st.sampled_from(["pod_loop", "availability", "attempts_peak"]),
    st.lists(st.floats(0.01, 1e3), min_size=6, max_size=8),
    st.lists(st.floats(0.01, 1e3), min_size=6, max_size=8),
)
def test_no_two_sides_are_worse_than_each_other(key: str, a: list[float], b: list[float]) -> None:
    answers = {
        found(key, runs(key, *a), runs(key, *b)).answer,
        found(key, runs(key, *b), runs(key, *a)).answer,
    }
    assert answers != {"worse"}


@given(st.lists(st.floats(0.3, 0.6), min_size=6, max_size=8), st.floats(0, 1))
def test_what_is_worse_stays_worse_when_it_gets_worse_still(values: list[float], shift: float) -> None:
    before = runs("pod_loop", *values)
    after = [value + 1 for value in values]
    assert found("pod_loop", before, runs("pod_loop", *after)).answer == "worse"
    assert found("pod_loop", before, runs("pod_loop", *(value + shift for value in after))).answer == "worse"


def test_alike_sides_are_hardly_ever_called_worse() -> None:
    rng = random.Random(3)
    called = 0
    for _ in range(200):
        a, b = drawn(rng, 7, noise=4), drawn(rng, 7, noise=4)
        called += any(
            one.answer == "worse"
            for look in range(3)
            for one in findings(a[: 5 + look], b[: 5 + look], gauges(), share_of_alpha(look, 3))
        )
    assert called <= 10


@pytest.mark.parametrize(
    ("key", "factor"),
    [(key, 0.85 if BY_KEY[key].effect.better == "higher" else 1.5) for key in TYPICAL],
)
def test_an_effect_well_above_the_noise_is_found(key: str, factor: float) -> None:
    rng = random.Random(4)
    missed = 0
    for _ in range(20):
        a, b = drawn(rng, 5), drawn(rng, 5, **{key: factor})
        answers = {one.key: one.answer for one in findings(a, b, gauges(), share_of_alpha(0, 3))}
        missed += answers[key] != "worse"
    assert missed <= 1


@pytest.mark.parametrize("looks", range(1, 9))
def test_all_looks_together_spend_no_more_than_there_is(looks: int) -> None:
    assert sum(share_of_alpha(look, looks) for look in range(looks)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("answer", "before", "after"),
    [
        ("better", [0.7, 0.71, 0.72, 0.73, 0.74, 0.75], [0.5, 0.51, 0.52, 0.53, 0.54, 0.55]),
        # Medians far apart, but runs among each other.
        ("not worse", [0.5, 0.5, 0.75, 0.75, 0.75, 0.75], [0.5, 0.5, 0.5, 0.5, 0.5, 0.75]),
    ],
)
def test_better_takes_a_test_as_worse_does(answer: str, before: list[float], after: list[float]) -> None:
    found_one = found("pod_loop", runs("pod_loop", *before), runs("pod_loop", *after))
    assert found_one.answer == answer


def test_what_an_earlier_look_excluded_stays_excluded_as_long_as_all_runs_agree() -> None:
    (gauge,) = [one for one in gauges(("pod_loop",)) if one.key != VERDICT]
    before = runs("pod_loop", *[0.50, 0.51, 0.52, 0.53, 0.54, 0.55])
    hardly = runs("pod_loop", *[0.50, 0.51, 0.52, 0.56, 0.57, 0.58])
    later = 0.05
    for after, earlier, answer in (
        (hardly, (), "inconclusive"),
        (hardly, ("pod_loop",), "not worse"),
        (runs("pod_loop", *[0.5, 0.6, 0.6, 0.6, 0.6, 0.6]), ("pod_loop",), "inconclusive"),
    ):
        (finding,) = findings(before, after, (gauge,), later, excluded=earlier)
        assert (finding.answer, finding.excluded) == (answer, answer == "not worse")


def test_a_look_before_the_first_decides_nothing() -> None:
    before, after = runs("pod_loop", *[0.5] * 6), runs("pod_loop", *[0.9] * 6)
    share = share_of_alpha(-1, 4)
    assert share == 0
    assert {one.answer for one in findings(before, after, gauges(("pod_loop",)), share)} == {"inconclusive"}


def test_a_measure_that_runs_of_the_candidate_lack_excludes_nothing() -> None:
    finding = found("pod_loop", runs("pod_loop", *[0.5] * 8), [*runs("pod_loop", *[0.5] * 6), run(), run()])
    assert (finding.answer, finding.why) == (
        "inconclusive",
        "pod loop during was not measured in 2 of the candidate's runs",
    )


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [
        (Counted(6, 0), Counted(6, 0), None),
        (Counted(5, 1), Counted(6, 0), "not worse"),
        (Counted(5, 1), Counted(5, 1), "not worse"),
        (Counted(6, 0), Counted(5, 1), "inconclusive"),
        (Counted(12, 0), Counted(3, 9), "worse"),
    ],
)
def test_runs_that_failed_are_one_more_gauge_where_there_are_some(
    before: Counted, after: Counted, answer: str | None
) -> None:
    ours, theirs = ([run(pod_loop=0.5)] * side.valid for side in (before, after))
    every = findings(ours, theirs, gauges(("pod_loop",)), counted=(before, after))
    answers = {one.key: one.answer for one in every}
    assert answers.get(FAILED) == answer


def test_runs_that_failed_cost_the_other_gauges_nothing_where_there_are_none() -> None:
    before = [run(pod_loop=0.5 + i / 100) for i in range(6)]
    after = [run(pod_loop=0.8 + i / 100) for i in range(6)]

    def p(*counted: Counted) -> float | None:
        ours, theirs = counted
        every = findings(before, after, gauges(("pod_loop",)), counted=(ours, theirs))
        return next(one.p for one in every if one.key == "pod_loop")

    assert p(Counted(6, 0), Counted(6, 0)) == pytest.approx(2 / 924)
    assert p(Counted(6, 0), Counted(6, 1)) == pytest.approx(3 / 924)


def test_a_run_that_failed_is_called_by_its_number() -> None:
    sides = Counted(12, 0), Counted(3, 9)
    every = findings([run(pod_loop=0.5)] * 12, [run(pod_loop=0.5)] * 3, gauges(()), counted=sides)
    assert next(one.why for one in every if one.key == FAILED) == (
        "INVALID runs went from 0 of 12 to 9 of 12 (p < 0.001)"
    )
