"""Runs taken together as an arm, and when two arms can be told apart."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from reports.analysis.verdict import VerdictName
from reports.compare.arm import alike, arm_result, decidable
from reports.compare.comparison import compare, contrasts
from reports.compare.measures import BY_KEY, KEY_MEASURES, Effect
from reports.page.contrasts import against_lines, against_rows
from reports.page.table import main_grid
from reports.rundir.reader import Run
from tests.support.judged_runs import run


def test_arms_about_whose_service_nothing_is_known_are_not_called_alike() -> None:
    known = [run("b", "OUTAGE", served=share) for share in (0.3, 0.5)]
    found = compare([run("a", "OUTAGE", served=None), run("a", "OUTAGE", served=None), *known])
    assert found.winners == ("b",)


def test_medians_and_extremes_are_over_valid_runs_only() -> None:
    runs = [run("a", "RECOVERED", s, served=share) for s, share in ((3, 0.7), (9, 0.9), (5, 0.8))]
    arm = compare([*runs, run("a", "INVALID", 100, served=0.1)]).arms[0]
    availability, time = arm.ranges["availability"], arm.ranges["time_to_recover_s"]
    assert (availability.median, availability.low, availability.high) == (0.8, 0.7, 0.9)
    assert (time.median, time.low, time.high, time.values) == (5, 3, 9, (3, 9, 5))
    assert (arm.runs, arm.valid) == (4, 3)


@pytest.mark.parametrize(
    ("times", "median"),
    [((3, 5, None), 5), ((3, None, None), None), ((3, None), None), ((None,), None), ((3, 4), 3.5)],
)
def test_a_run_that_did_not_recover_is_later_than_any_that_did(
    times: Sequence[int | None], median: float | None
) -> None:
    runs = [run("a", "RECOVERED" if s else "OUTAGE", s) for s in times]
    assert arm_result("a", runs, ()).median("time_to_recover_s") == median


@pytest.mark.parametrize(
    ("bounds", "at_least"),
    [
        ([(10, False), (20, False), (30, True)], False),
        ([(10, False), (20, True), (30, False)], True),
        ([(10, True), (20, False), (30, False)], True),
        ([(10, False), (20, True)], True),
    ],
)
def test_a_median_is_a_bound_where_a_bound_could_move_it(
    bounds: list[tuple[float, bool]], at_least: bool
) -> None:
    runs = [run("a", "OUTAGE", p99_ms=ms, at_least=bound) for ms, bound in bounds]
    assert arm_result("a", runs, ()).ranges["effective_p99_after"].at_least == at_least


def test_an_arm_is_as_good_as_its_middle_run_and_rather_worse() -> None:
    verdicts: tuple[VerdictName, ...] = ("RECOVERED", "METASTABLE", "RECOVERED", "OUTAGE")
    runs = [run("a", name, 3 if name == "RECOVERED" else None) for name in verdicts]
    assert arm_result("a", runs, ()).verdict == "METASTABLE"
    assert arm_result("a", runs[:3], ()).verdict == "RECOVERED"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (run("a", "RECOVERED", 3, served=0.8), run("b", "RECOVERED", 4, served=0.81), True),
        (run("a", "RECOVERED", 3, served=0.8), run("b", "RECOVERED", 5, served=0.8), False),
        (run("a", "RECOVERED", 3, served=0.8), run("b", "RECOVERED", 3, served=0.83), False),
        (run("a", "METASTABLE", served=0.1), run("b", "OUTAGE", served=0.1), True),
        (run("a", "SLOW_DRAIN", served=0.1), run("b", "OUTAGE", served=0.1), False),
        (run("a", "INVALID"), run("b", "INVALID"), False),
    ],
)
def test_arms_are_alike_within_two_seconds_and_two_points(a: Run, b: Run, expected: bool) -> None:
    assert alike(arm_result("a", [a], ()), arm_result("b", [b], ())) == expected


@pytest.mark.parametrize(
    ("times", "low", "high"),
    [
        ((5,), 5, 5),
        ((3, 9), 3, 9),
        ((3, 5, 9), 3, 9),
        ((3, 3, 3), 3, 3),
        ((3, 3, 3, 3, 3, 3, 9), 3, 9),
        ((3, 3, 3, 3, 3, 3, 3, 3, 9), 3, 3),
        ((3, 5, None), 3, None),
        ((None, None, None), None, None),
    ],
)
def test_a_median_has_an_interval_that_ends_at_the_extremes_where_runs_are_few(
    times: Sequence[int | None], low: float | None, high: float | None
) -> None:
    runs = [run("a", "RECOVERED" if s else "OUTAGE", s) for s in times]
    found = arm_result("a", runs, ()).ranges["time_to_recover_s"]
    assert (found.interval_low, found.interval_high) == (low, high)


FOUR_AND_FOUR: dict[str, tuple[list[Run], list[Run], bool]] = {
    "all of one sooner back than all of the other": (
        [run("a", "RECOVERED", s) for s in (3, 4, 5, 6)],
        [run("b", "RECOVERED", s) for s in (13, 14, 15, 16)],
        False,
    ),
    "the same, but by less than matters": (
        [run("a", "RECOVERED", 3, served=share) for share in (0.800, 0.801, 0.802, 0.803)],
        [run("b", "RECOVERED", 4, served=share) for share in (0.790, 0.791, 0.792, 0.793)],
        True,
    ),
    "medians far apart, but runs of one among those of the other": (
        [run("a", "RECOVERED", s) for s in (3, 4, 5, 30)],
        [run("b", "RECOVERED", s) for s in (13, 14, 15, 16)],
        True,
    ),
    "all recovered against none": (
        [run("a", "RECOVERED", 3, served=share) for share in (0.8, 0.81, 0.82, 0.83)],
        [run("b", "METASTABLE", served=share) for share in (0.1, 0.2, 0.3, 0.4)],
        False,
    ),
    "better served, where nobody recovered": (
        [run("a", "METASTABLE", served=share) for share in (0.5, 0.51, 0.52, 0.53)],
        [run("b", "OUTAGE", served=share) for share in (0.1, 0.2, 0.3, 0.4)],
        False,
    ),
    "verdicts that differ in the middle, but not throughout": (
        [run("a", "RECOVERED", 3)] * 3 + [run("a", "METASTABLE")],
        [run("b", "RECOVERED", 3)] * 2 + [run("b", "METASTABLE")] * 2,
        True,
    ),
}


@pytest.mark.parametrize(("a", "b", "expected"), FOUR_AND_FOUR.values(), ids=FOUR_AND_FOUR)
def test_with_four_runs_each_a_rank_test_of_whole_runs_decides(
    a: list[Run], b: list[Run], expected: bool
) -> None:
    ours, theirs = arm_result("a", a, ()), arm_result("b", b, ())
    assert decidable(ours, theirs)
    assert alike(ours, theirs) == alike(theirs, ours) == expected


def test_every_measure_that_is_decided_on_has_a_direction_and_a_smallest_difference() -> None:
    assert {BY_KEY[key].effect.better for key in KEY_MEASURES} <= {"lower", "higher"}
    for measure in BY_KEY.values():
        assert (measure.effect.floor > 0) == (measure.effect.better != "neither"), measure.key


@pytest.mark.parametrize(
    ("a", "b", "matters"),
    [(20.0, 21.0, False), (20.0, 22.0, True), (100.0, 109.0, False), (100.0, 110.0, True), (3.0, 3.0, False)],
)
def test_a_difference_matters_from_a_share_and_a_floor_on(a: float, b: float, matters: bool) -> None:
    effect = Effect("lower", 0.1, 2.0)
    assert effect.matters(a, b) == effect.matters(b, a) == matters


def five(arm: str, verdict: VerdictName, times: Sequence[int | None], **info: Any) -> list[Run]:
    return [run(arm, verdict, s, served=0.5 + i / 100, **info) for i, s in enumerate(times)]


def test_the_other_arms_are_set_against_the_reference_measure_by_measure() -> None:
    found = compare(
        [
            *five("a", "RECOVERED", (20, 21, 22, 23, 24)),
            *five("b", "RECOVERED", (2, 3, 4, 5, 6)),
            *five("c", "RECOVERED", (50, 51, 52, 53, 54), p99_ms=700.0),
            *five("d", "OUTAGE", (None,) * 5, p99_ms=300.0, at_least=True),
        ]
    )
    decisions = {
        name: {key: contrast.decision for key, contrast in contrasts.items() if key in KEY_MEASURES}
        for name, contrasts in found.contrasts.items()
    }
    assert decisions == {
        "b": {
            "effective_p99_after": "no difference",
            "availability": "inconclusive",
            "time_to_recover_s": "better",
            "amplification": "no difference",
        },
        "c": {
            "effective_p99_after": "worse",
            "availability": "inconclusive",
            "time_to_recover_s": "worse",
            "amplification": "no difference",
        },
        "d": {
            "effective_p99_after": "worse",
            "availability": "inconclusive",
            "time_to_recover_s": "worse",
            "amplification": "no difference",
        },
    }
    sooner, never = (found.contrasts[name]["time_to_recover_s"] for name in "bd")
    assert sooner.ratio == pytest.approx(4 / 22)
    assert (sooner.ratio_low, sooner.ratio_high) == pytest.approx((2 / 23, 6 / 21), abs=0.02)
    assert sooner.p == pytest.approx(4 * 2 / 252)
    assert (never.ratio, never.ratio_low) == (None, None)
    bound = found.contrasts["d"]["effective_p99_after"]
    assert (bound.ratio, bound.bound, bound.ratio_low, bound.ratio_high) == (5.0, "≥", 5.0, None)


def test_a_bound_that_may_lie_anywhere_decides_nothing() -> None:
    known = five("a", "RECOVERED", (20, 21, 22, 23, 24), p99_ms=900.0)
    for p99_ms, at_least in ((300.0, True), (890.0, True)):
        bounds = five("b", "OUTAGE", (None,) * 5, p99_ms=p99_ms, at_least=at_least)
        contrast = compare([*known, *bounds]).contrasts["b"]["effective_p99_after"]
        assert (contrast.decision, contrast.bound) == ("inconclusive", "≥")
        back = compare([*bounds, *known]).contrasts["a"]["effective_p99_after"]
        assert (back.decision, back.bound) == ("inconclusive", "≤")
        assert (
            compare([*bounds, *(five("c", "OUTAGE", (None,) * 5, p99_ms=1.0, at_least=True))])
            .contrasts["c"]["effective_p99_after"]
            .ratio
            is None
        )


@pytest.mark.parametrize(
    ("runs", "decision"),
    [
        (1, "inconclusive"),
        (3, "inconclusive"),
        (4, "inconclusive"),
        (5, "better"),
    ],
)
def test_key_measures_take_five_runs_because_there_are_several(runs: int, decision: str) -> None:
    a = five("a", "RECOVERED", range(40, 40 + runs))
    b = five("b", "RECOVERED", range(3, 3 + runs))
    assert compare([*a, *b]).contrasts["b"]["time_to_recover_s"].decision == decision


def test_arms_without_a_valid_run_are_decided_on_in_nothing() -> None:
    found = compare([*five("a", "INVALID", range(40, 45)), *five("b", "RECOVERED", range(3, 8))])
    assert {contrast.decision for contrast in found.contrasts["b"].values()} == {"inconclusive"}


def test_what_was_decided_is_told_in_words() -> None:
    a, b = five("a", "RECOVERED", range(40, 45)), five("b", "RECOVERED", range(3, 8))
    found = compare([*a, *b])
    assert against_lines(found) == [
        "b against a: better: time to recover 0.12×; "
        "no difference: effective p99 after, reconnect attempts per disconnect; inconclusive: availability."
    ]
    rows = {row.name: row for row in against_rows(found)}
    row = rows["time to recover"]
    assert (row.least, row.decisive, row.cells[0].text) == ("2 s and 10 %", True, "better")
    assert row.cells[0].figures == "0.12× (0.071 to 0.17×, 96 %), p 0.032"
    late = against_rows(compare([*a, *five("c", "RECOVERED", (3, 4, 5, 6, None))]))
    cell = next(row for row in late if row.name == "time to recover").cells[0]
    assert (cell.text, cell.figures) == ("inconclusive", "0.12× (0.071× to never, 96 %), p 0.6")
    assert rows["availability"].least == "2 points"
    assert rows["disconnects"].decisive is False


def test_a_line_says_how_many_runs_it_takes_and_nothing_is_said_where_no_test_can_decide() -> None:
    arms = [five(arm, "RECOVERED", range(start, start + 4)) for arm, start in (("a", 40), ("b", 3))]
    assert against_lines(compare([*arms[0], *arms[1]])) == [
        "b against a: no difference: effective p99 after, reconnect attempts per disconnect; "
        "inconclusive: availability, time to recover.",
        "Testing 6 measures together takes 5 valid runs per arm.",
    ]
    three = compare([*arms[0][:3], *arms[1][:3]])
    assert against_lines(three) == []
    cell = next(row for row in against_rows(three) if row.name == "time to recover").cells[0]
    assert (cell.text, cell.figures) == ("inconclusive", "0.10× (0.071 to 0.12×, 90 %)")
    assert against_rows(compare([arms[0][0], arms[1][0]])) == []


def test_what_is_not_known_of_one_arm_is_a_dash_beside_the_others() -> None:
    unknown = [run("c", "OUTAGE", served=None) for _ in range(3)]
    found = compare([*five("a", "OUTAGE", (None,) * 3), *five("b", "OUTAGE", (None,) * 3), *unknown])
    row = next(row for row in against_rows(found) if row.name == "availability")
    assert [cell.text for cell in row.cells] == ["inconclusive", "\u2013"]


def times(arm: str, *seconds: int | None) -> list[Run]:
    return [run(arm, "RECOVERED" if s is not None else "OUTAGE", s) for s in seconds]


NO_DIFFERENCE: dict[str, tuple[list[int | None], list[int | None], str]] = {
    "medians alike, runs far apart": ([6, 12, 15, 16], [5, 12, 14, 60], "inconclusive"),
    "all alike": ([12, 12, 13, 13], [12, 13, 12, 13], "no difference"),
    "three runs, however alike": ([12, 12, 12], [12, 12, 12], "inconclusive"),
    "one among many that never came": ([12] * 5, [12, 12, 12, 12, None], "inconclusive"),
    "never on both sides": ([None] * 6, [None] * 6, "no difference"),
    "never on both sides, of four runs": ([None] * 4, [None] * 4, "inconclusive"),
    "half of the runs never": (
        [12, 12, 12, None, None, None],
        [12, 12, 12, None, None, None],
        "inconclusive",
    ),
    "nothing on both sides": ([0] * 5, [0] * 5, "no difference"),
    "nothing, and a little more than matters": ([0] * 5, [0, 0, 0, 3, 3], "inconclusive"),
    "just less than matters": ([10, 10, 10, 10], [11, 11, 11, 11], "no difference"),
    "as much as matters, but too few runs to prove it": ([10] * 3, [13] * 3, "inconclusive"),
}


@pytest.mark.parametrize(("before", "after", "decision"), NO_DIFFERENCE.values(), ids=NO_DIFFERENCE)
def test_no_difference_takes_a_whole_interval_within_what_does_not_matter(
    before: list[int | None], after: list[int | None], decision: str
) -> None:
    for one, other in ((before, after), (after, before)):
        found = compare([*times("a", *one), *times("b", *other)])
        assert found.contrasts["b"]["time_to_recover_s"].decision == decision


@pytest.mark.parametrize("runs", [4, 5, 6, 8])
def test_a_difference_as_large_as_matters_is_hardly_ever_called_none(runs: int) -> None:
    rng = random.Random(8)
    measure = BY_KEY["effective_p99_after"]
    called = 0
    for _ in range(400):
        ours, theirs = (
            [run(arm, "RECOVERED", 3, p99_ms=factor * rng.lognormvariate(6.5, 0.05)) for _ in range(runs)]
            for arm, factor in (("a", 1.0), ("b", 1.2))
        )
        found = contrasts(arm_result("b", theirs, ()), arm_result("a", ours, ()))
        called += found[measure.key].decision == "no difference"
    assert called <= 0.025 * 400 + 3 * (0.025 * 0.975 * 400) ** 0.5


@pytest.mark.parametrize("ratio", [1.0, 1.05, 0.95])
def test_arms_that_hardly_differ_are_called_so_where_their_runs_hardly_do(ratio: float) -> None:
    rng = random.Random(9)
    ours, theirs = (
        [run(arm, "RECOVERED", 3, p99_ms=factor * rng.lognormvariate(6.5, 0.02)) for _ in range(5)]
        for arm, factor in (("a", 1.0), ("b", ratio))
    )
    found = contrasts(arm_result("b", theirs, ()), arm_result("a", ours, ()))
    assert found["effective_p99_after"].decision == "no difference"


def p99(arm: str, *values: tuple[float, bool]) -> list[Run]:
    return [run(arm, "OUTAGE", p99_ms=ms, at_least=bound) for ms, bound in values]


FIGURES: dict[str, tuple[list[Run], list[Run], str, str]] = {
    "a bound among the values has no upper end": (
        p99("a", (100, False), (110, False), (120, False)),
        p99("b", (200, False), (210, False), (900, True)),
        "effective p99 after",
        "1.91× (1.67× or more, 90 %)",
    ),
    "a bound among the reference's has no lower end": (
        p99("a", (100, False), (110, False), (900, True)),
        p99("b", (200, False), (210, False), (220, False)),
        "effective p99 after",
        "1.91× (up to 2.20×, 90 %)",
    ),
    "never is an upper end only where runs never came": (
        times("a", 6, 7, 8),
        times("b", 6, 7, None),
        "time to recover",
        "1.00× (0.75× to never, 90 %)",
    ),
    "more than nothing has no upper end, and is not never": (
        times("a", 0, 7, 8),
        times("b", 6, 7, 8),
        "time to recover",
        "1.00× (0.75× or more, 90 %)",
    ),
    "a median of nothing has no ratio": (times("a", 0, 0, 8), times("b", 6, 7, 8), "time to recover", ""),
    "nothing against a value": (
        times("a", 6, 7, 8),
        times("b", 0, 0, 8),
        "time to recover",
        "0.000× (up to 1.33×, 90 %)",
    ),
}


@pytest.mark.parametrize(("before", "after", "name", "figures"), FIGURES.values(), ids=FIGURES)
def test_an_interval_says_how_sure_it_is_and_ends_where_it_does(
    before: list[Run], after: list[Run], name: str, figures: str
) -> None:
    row = next(row for row in against_rows(compare([*before, *after])) if row.name == name)
    assert (row.cells[0].text, row.cells[0].figures) == ("inconclusive", figures)


def test_an_interval_of_a_median_that_ends_in_a_bound_says_so() -> None:
    (arm,) = compare(p99("a", (100, False), (110, False), (120, True))).arms
    found = arm.ranges["effective_p99_after"]
    assert (found.interval_low, found.interval_high, found.interval_open) == (100, 120, True)
    assert (found.at_least, found.coverage) == (False, 0.75)
    grid = main_grid(compare(p99("a", (100, False), (110, False), (120, True))))
    cell = next(row for row in grid if (row.group, row.heading) == ("effective p99", "after")).cells[0]
    assert (cell.text, cell.span) == ("110 ms", "100 ms to ≥ 120 ms")
