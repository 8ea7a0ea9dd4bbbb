"""What a comparison says: its headline, what each variable did, and how far it can be believed."""

from typing import Any

import msgspec
import pytest

from reports.analysis.verdict import VerdictName
from reports.compare.comparable import orders
from reports.compare.comparison import Comparison, compare
from reports.compare.headline import order_sentence
from reports.rundir.reader import Run
from tests.support.judged_runs import TWO_BY_TWO, run


def test_the_arm_that_was_started_first_is_the_reference() -> None:
    runs = [
        run("a", "RECOVERED", 3, started_utc="2026-11-22T20:01:00Z"),
        run("b", "RECOVERED", 3, started_utc="2026-11-22T20:00:00Z"),
        run("b", "RECOVERED", 4, started_utc="2026-11-22T20:02:00Z"),
    ]
    found = compare(runs)
    assert [(arm.name, arm.runs, arm.verdicts) for arm in found.arms] == [
        ("b", 2, ("RECOVERED", "RECOVERED")),
        ("a", 1, ("RECOVERED",)),
    ]


def test_the_headline_says_whether_it_recovered_what_did_it_and_what_that_costs() -> None:
    found = compare(TWO_BY_TWO)
    assert found.winners == ("incident + per-ip",)
    assert found.headline == (
        "The reference “naive + none” did not recover within 54 s (METASTABLE). "
        "“incident + per-ip” recovered soonest: after 9 s. "
        "Every arm with fleet.policy = incident recovered; no other arm did. "
        "Price of “incident + per-ip”: none measured."
    )


RECOVERED: tuple[VerdictName, int | None] = ("RECOVERED", 9)
METASTABLE: tuple[VerdictName, int | None] = ("METASTABLE", None)

HEADLINES: dict[str, tuple[list[Run], str]] = {
    "a tie of all": (
        [run("a", "RECOVERED", 9, served=0.8), run("b", "RECOVERED", 10, served=0.81)],
        "No clear difference between the arms: they recovered after 9 to 10 s, availability 80 to 81 %.",
    ),
    "none recovered, none better": (
        [run("a", "METASTABLE", served=0.1), run("b", "OUTAGE", served=0.11)],
        "No clear difference between the arms: “b” did not recover within 54 s (OUTAGE), "
        "“a” did not recover within 54 s (METASTABLE), availability 10 to 11 %.",
    ),
    "none recovered, one less bad": (
        [run("a", "METASTABLE", served=0.1), run("b", "SLOW_DRAIN", served=0.4)],
        "No arm recovered within 54 s. The reference “a” did not recover within 54 s (METASTABLE). "
        "Least bad: “b” (SLOW_DRAIN). Price of “b”: none measured.",
    ),
    "a reference that nothing beats": (
        [run("a", "RECOVERED", 3), run("b", "RECOVERED", 30), run("c", "RECOVERED", 4)],
        "No arm outperforms the reference “a”, which recovered after 3 s; no clear difference from “c”.",
    ),
    "two winners": (
        [run("a", "OUTAGE"), run("b", "RECOVERED", 30), run("c", "RECOVERED", 31)],
        "The reference “a” did not recover within 54 s (OUTAGE). “b” and “c” did best: "
        "they recovered after 30 to 31 s. Every arm with fleet.policy = b or c recovered; no other arm did.",
    ),
    "an invalid reference": (
        [run("a", "INVALID"), run("b", "RECOVERED", 30)],
        "The reference “a” has no valid run. “b” recovered soonest: after 30 s.",
    ),
    "no trigger in any arm": (
        [run("a", "STEADY", served=None), run("b", "STEADY", served=None)],
        "No difference between the arms: all were steady without a trigger.",
    ),
    "nothing valid": (
        [run("a", "INVALID"), run("b", "INVALID")],
        "No arm has a valid run, so nothing can be concluded.",
    ),
    "recoveries now and then": (
        [
            *(run("a", *end, served=0.2) for end in [METASTABLE] * 4),
            *(run("b", *end, served=0.4) for end in [RECOVERED, RECOVERED, METASTABLE, METASTABLE]),
        ],
        "No arm recovered in more than half of its runs. The reference “a” did not recover within 54 s "
        "(METASTABLE). Least bad: “b” (METASTABLE).",
    ),
    "a tie of arms that end differently": (
        [
            *(run("a", *end, served=0.4) for end in [RECOVERED, RECOVERED, RECOVERED, METASTABLE]),
            *(run("b", *end, served=0.4) for end in [RECOVERED, RECOVERED, METASTABLE, METASTABLE]),
        ],
        "No clear difference between the arms: “a” recovered after 9 s, "
        "“b” recovered in only 2 of 4 runs (METASTABLE), availability 40 %.",
    ),
    "one run alone": ([run("a", "METASTABLE")], "METASTABLE: as it was."),
    "one arm alone": (
        [run("a", "RECOVERED", 3), run("a", "RECOVERED", 5), run("a", "METASTABLE")],
        "“a” recovered after 5 s, availability 50 %; runs: 2 RECOVERED, 1 METASTABLE.",
    ),
}


@pytest.mark.parametrize(("runs", "expected"), HEADLINES.values(), ids=HEADLINES)
def test_the_headline_says_what_came_out(runs: list[Run], expected: str) -> None:
    assert expected in compare(runs).headline


BELIEVES: dict[str, tuple[list[Run], str]] = {
    "one run per arm": (TWO_BY_TWO, "(n = 1): not statistically significant; use --repeats 4 or more."),
    "all valid": ([run(arm, "RECOVERED", 3) for arm in "aabb"], "2 runs per arm, all valid."),
    "one left out": (
        [run("a", "RECOVERED", 3), run("a", "INVALID"), run("b", "RECOVERED", 3)],
        "1 of 3 runs invalid and left out (“a” 1 of 2).",
    ),
    "ranges apart": (
        [run("a", "OUTAGE"), run("a", "OUTAGE"), run("b", "RECOVERED", 3), run("b", "RECOVERED", 5)],
        "Ranges of time to recover do not overlap: 3 to 5 s against not within 54 s.",
    ),
    "ranges that touch": (
        [
            *(run("a", "RECOVERED", s) for s in (9, 20, 30)),
            *(run("b", "RECOVERED", s) for s in (3, 5, 10)),
        ],
        "“a” and “b”: their ranges overlap",
    ),
    "a recovery now and then": (
        [
            *(run("a", "OUTAGE", s) for s in (9, None, None)),
            *(run("b", "RECOVERED", s) for s in (3, 5, 6)),
        ],
        "do not overlap: 3 to 6 s against 9 s to not within 54 s.",
    ),
    "ranges of availability, where nobody recovered": (
        [
            *(run("a", "OUTAGE", served=share) for share in (0.1, 0.2)),
            *(run("b", "SLOW_DRAIN", served=share) for share in (0.3, 0.5)),
        ],
        "Ranges of availability do not overlap: 30 to 50 % against 10 to 20 %.",
    ),
    "winners alike": (
        [run("a", "OUTAGE"), run("b", "RECOVERED", 30), run("c", "RECOVERED", 31)],
        ": their ranges overlap, or less than 2 s and 2 percentage points of availability apart.",
    ),
    "a test that decides": (
        [*(run("a", "OUTAGE") for _ in range(4)), *(run("b", "RECOVERED", s) for s in (3, 4, 5, 6))],
        "4 runs per arm, all valid. “b” differs significantly from the reference (rank test of whole runs, "
        "p = 0.029).",
    ),
    "a test that does not": (
        [
            *(run("a", "RECOVERED", s) for s in (9, 20, 30, 31)),
            *(run("b", "RECOVERED", s) for s in (3, 5, 10, 19)),
        ],
        "“a” and “b”: no significant difference (rank test), or less than",
    ),
    "three runs": (
        [run(arm, "RECOVERED", s) for arm in "ab" for s in (3, 4, 5)],
        "3 runs per arm, all valid. Too few runs for a test: use --repeats 4 or more.",
    ),
    "predicted runs": (
        [run(arm, "RECOVERED", 3, predicted=True) for arm in "ab"],
        "Predicted by the simulator, not measured.",
    ),
    "no control": ([run("a", "RECOVERED", 3)], "No control run."),
    "nothing valid": ([run("a", "INVALID"), run("b", "INVALID")], "None: no run is valid."),
}


@pytest.mark.parametrize(("runs", "expected"), BELIEVES.values(), ids=BELIEVES)
def test_how_far_it_can_be_believed_is_said(runs: list[Run], expected: str) -> None:
    assert expected in compare(runs).believe


def test_ranges_are_set_side_by_side_only_where_both_arms_have_one() -> None:
    unknown = [run("a", "OUTAGE", served=None), run("a", "OUTAGE", served=None)]
    found = compare([*unknown, run("b", "SLOW_DRAIN", served=0.3), run("b", "SLOW_DRAIN", served=0.5)])
    assert (found.winners, found.believe) == (
        ("b",),
        "2 runs per arm, all valid. Too few runs for a test: use --repeats 4 or more. No control run.",
    )


def test_a_comparison_can_be_written_as_json() -> None:
    found = compare(TWO_BY_TWO)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Comparison) == found


def in_order(*orders: str, **info: Any) -> list[Run]:
    """Runs of arms that are letters, one after another, a text for each round."""
    starts = (f"2026-11-22T20:{minute:02}:00Z" for minute in range(60))
    return [
        run(arm, "RECOVERED", 3, round=number, started_utc=next(starts), **info)
        for number, order in enumerate(orders, start=1)
        for arm in order
    ]


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (in_order("ab", "ba"), "order of the arms changed from round to round"),
        (in_order("abc", "abc", "bca"), "order of the arms changed"),
        (in_order("ab", "ab"), "in the same order in every round"),
        (in_order("ab"), ""),
        (in_order("a", "a"), ""),
        ([run(arm, "RECOVERED", 3, round=number) for arm in "ab" for number in (1, 2)], ""),
        (in_order("ab", "ab", predicted=True), ""),
    ],
)
def test_a_report_says_whether_arms_changed_places(runs: list[Run], said: str) -> None:
    found = order_sentence(orders(runs))
    assert said in found if said else not found


def test_of_a_run_that_was_repeated_the_last_try_counts() -> None:
    first, *others = in_order("ab", "ba")
    again = run("a", "RECOVERED", 3, round=1, started_utc="2026-11-22T21:00:00Z")
    assert orders([first, *others, again]) == [("b", "a"), ("b", "a")]
