"""A run that fell back to stamps beside runs with a fitted schedule: compared by what all of them have."""

from typing import Any

import pytest

from reports.compare.comparable import ComparisonError
from reports.compare.comparison import Comparison, compare
from reports.compare.one_reference import on_one_reference
from reports.rundir.reader import Run
from tests.support.judged_runs import run

SCHEDULE: dict[str, Any] = {"fanout_p50_ms": 100.0, "fanout_p99_ms": 180.0, "fanout_by_stamp_p99_ms": 30.0}
STAMP: dict[str, Any] = {"fanout_p50_ms": 15.0, "fanout_p99_ms": 31.0}


def counted(arm: str, reference: str | None, p99_ms: float = 60.0) -> Run:
    """A run with latencies of that reference."""
    found = run(arm, "RECOVERED", 3, p99_ms=p99_ms, reference=reference)
    found.info.summary["after"] |= SCHEDULE if reference == "schedule" else STAMP
    found.info.summary["storm"] |= {"staleness_p99_ms": 500.0}
    return found


def three_and_one() -> Comparison:
    return compare(
        [
            counted("a + none", "schedule", 200.0),
            counted("b + none", "schedule", 210.0),
            counted("a + none", "schedule", 220.0),
            counted("b + none", "due", 40.0),
        ]
    )


def values(found: Comparison, key: str) -> list[tuple[float | None, ...]]:
    return [arm.ranges[key].values if key in arm.ranges else () for arm in found.arms]


def test_one_failed_fit_does_not_reject_the_others() -> None:
    found = three_and_one()
    assert values(found, "fanout_p99_after") == [(30.0, 30.0), (30.0, 31.0)]
    assert found.names.fanout == "fan-out by stamp"
    # Those of the run by stamp would look better for its lack of a schedule.
    assert values(found, "effective_p99_after") == [(200.0, 220.0), (210.0,)]
    assert values(found, "staleness_p99") == [(500.0, 500.0), (500.0,)]
    assert values(found, "fanout_by_stamp_p99_after") == [(), ()]


def test_findings_stay_whatever_a_run_counts_from() -> None:
    runs = [counted("a + none", "schedule"), counted("b + none", "due")]
    finding = {"id": "never-in", "title": "T", "figures": "F", "meaning": "M", "change": "C"}
    for one in runs:
        one.info.findings = [finding]
    assert [[each["id"] for each in one.info.findings] for one in on_one_reference(runs)] == [
        ["never-in"]
    ] * 2


def test_a_warning_says_what_is_compared() -> None:
    found = three_and_one()
    assert "Warning: latencies count from stamps in some runs (“b + none” 1 of 2)" in found.believe
    assert "fan-out is compared by stamp" in found.believe


@pytest.mark.parametrize("reference", ["schedule", "due", "first receipt", None])
def test_runs_that_count_alike_are_left_as_they_are(reference: str | None) -> None:
    runs = [counted("a + none", reference), counted("b + none", reference)]
    assert on_one_reference(runs) == runs
    found = compare(runs)
    assert values(found, "effective_p99_after") == [(60.0,), (60.0,)]
    assert "from stamps" not in found.believe
    assert found.names.fanout != "fan-out by stamp"


def test_a_run_that_received_nothing_is_no_obstacle() -> None:
    runs = [counted("a + none", "due"), counted("b + none", None), counted("b + none", "due")]
    assert values(compare(runs), "fanout_p99_after") == [(31.0,), (31.0, 31.0)]


@pytest.mark.parametrize(
    "references", [("due", "first receipt"), ("first receipt", "schedule"), ("first receipt", None)]
)
def test_a_spread_is_still_no_latency(references: tuple[str, str | None]) -> None:
    runs = [run(arm, "RECOVERED", reference=what) for arm, what in zip("ab", references, strict=True)]
    with pytest.raises(ComparisonError, match="latencies count from"):
        compare(runs)
