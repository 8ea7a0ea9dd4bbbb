"""What latencies count from is said, and so is a feed that does not keep its schedule."""

from typing import Any

import pytest
from msgspec.structs import replace

from reports.analysis.judgement import assess
from reports.analysis.reference import reference_text
from reports.compare.comparison import compare
from reports.page.notes import notes
from reports.page.table import main_grid
from reports.rundir.reader import Run
from reports.rundir.schema import FeedFit
from reports.rundir.series import Row
from tests.support.histories import histograms, history, latencies_of, scenario, storm

FIT = FeedFit(stream="a:1", ticks=60, rate_hz=5.0, spread_ms=1.0)
BACK_S = 15


def seconds(
    late_ms: float = 0.0, busy: float = 0.07, stamped: dict[int, float] | None = None, slip: float = 0.0
) -> list[Row]:
    """A storm that is over in second 15; from the trigger on, ticks are stamped so late, and more each
    second by `slip`."""
    rows: list[Row] = []
    for row in storm(lambda t: 0.0 if t < BACK_S else 100.0):
        t = int(row["t_s"] or 0)
        late = late_ms + slip * (t - BACK_S) if t >= BACK_S else 0.0
        changes: Row = {
            "fanout_p50_ms": 40.0 + late,
            "fanout_by_stamp_p50_ms": 40.0,
            "stamped": (stamped or {}).get(t, 0.0),
            "pod_loop_max": busy if t >= BACK_S else 0.07,
        }
        rows.append(row | changes)
    return rows


def fitted(rows: list[Row], *fits: FeedFit, **info: Any) -> Run:
    told: dict[str, Any] = {
        "scenario": scenario(feed__due="schedule"),
        "reference": "schedule",
        "feed_fits": fits or (FIT,),
        **info,
    }
    return history(rows, **told)


def warnings(run: Run) -> tuple[str, ...]:
    return assess(run).validity.warnings


def test_a_feed_that_keeps_its_schedule_needs_no_warning() -> None:
    assert warnings(fitted(seconds())) == ()


LATE: dict[str, tuple[Run, str]] = {
    "another rate": (
        fitted(seconds(), FIT, FeedFit(stream="b:2", ticks=60, rate_hz=4.85, spread_ms=1.0)),
        "before the first event, ticks came at 4.85/s, and feed.rate_hz is 5",
    ),
    "another rate of pods that number their own ticks": (
        fitted(seconds(), replace(FIT, rate_hz=5.2), scenario=scenario(feed__due="stamp"), reference="due"),
        "before the first event, ticks came at 5.2/s, and feed.rate_hz is 5",
    ),
    "stamps that stray": (
        fitted(seconds(), FeedFit(ticks=60, rate_hz=5.0, spread_ms=31.0)),
        "the stamps were off the fitted schedule: 5th to 95th percentile: expected ≤ 20 ms, got 31 ms",
    ),
    "a timer that slipped": (
        fitted(seconds(late_ms=127.0)),
        "all ticks were stamped 127 ms after they were due, although they then arrived within 40 ms",
    ),
    "no numbers, by stamp": (
        history(seconds(), unnumbered=True, reference="due"),
        "what clients did not receive is unknown, and missing in effective p99",
    ),
    "no numbers": (
        fitted(seconds(), FeedFit(problem="the ticks carry no number"), reference="due"),
        "count from the stamps of the ticks, although feed.due is schedule: the ticks carry no number",
    ),
    "a pod that came later": (
        fitted(seconds(stamped={40: 1350.0}), FIT, FeedFit(stream="b:2", problem="its first tick came late")),
        "5.0 % of the ticks received from the trigger on count from their stamps, which hide the lateness of "
        "the gateway: its first tick came late",
    ),
}


@pytest.mark.parametrize(("run", "sentence"), LATE.values(), ids=LATE)
def test_a_feed_that_leaves_its_schedule_is_a_warning(run: Run, sentence: str) -> None:
    (found,) = warnings(run)
    assert sentence in found
    assert assess(run).validity.valid


QUIET: dict[str, Run] = {
    "a rate within two per cent": fitted(seconds(), FeedFit(ticks=60, rate_hz=4.92, spread_ms=1.0)),
    "less than a tenth of a period": fitted(seconds(late_ms=19.0)),
    "pods that are busy": fitted(seconds(late_ms=127.0, busy=0.95)),
    "lateness that differs from second to second": fitted(seconds(late_ms=20.0, slip=20.0)),
    "ticks before the fit": fitted(seconds(stamped={0: 500.0})),
    "latencies by stamp": history(seconds(late_ms=127.0), reference="due"),
    "nothing received": fitted(seconds(), reference=None),
}


@pytest.mark.parametrize("run", QUIET.values(), ids=QUIET)
def test_what_is_no_drift_is_none(run: Run) -> None:
    assert warnings(run) == ()


REFERENCES: dict[str, tuple[list[Run], str]] = {
    "stamps": ([history(seconds(), reference="due")], "the due time in each tick"),
    "receipt": ([history(seconds(), reference="first receipt")], "the first receipt of each tick"),
    "nothing": ([history(seconds())], ""),
    "a schedule": ([fitted(seconds())], "schedule fitted from the calm phase, from second 0 of the"),
    "the latest of several": (
        [fitted(seconds()), fitted(seconds(stamped={0: 500.0, 1: 500.0, 2: 499.0}))],
        "schedule fitted from the calm phase, from second 2 of the steady state on; until then, the stamps",
    ),
}


@pytest.mark.parametrize(("runs", "text"), REFERENCES.values(), ids=REFERENCES)
def test_what_latencies_count_from_is_said(runs: list[Run], text: str) -> None:
    assert reference_text(runs).startswith(text)
    assert bool(reference_text(runs)) is bool(text)
    comparison = compare(runs)
    said = notes(comparison, sidecars=False).numbers
    assert said.startswith(f"Latencies count from: {text}" if text else ("“", "Median"))


def test_the_fan_out_by_stamp_stands_beside_the_other_one_where_there_is_another() -> None:
    latencies = latencies_of(seconds())
    latencies["fanout_by_stamp"] = histograms({t: [(5.0, 500)] for t in range(62)})
    groups = [row.group for row in main_grid(compare([fitted(seconds(), latencies=latencies)]))]
    assert groups[3:9] == ["fan-out p99"] * 3 + ["fan-out by stamp p99"] * 3
    assert "fan-out by stamp p99" not in [row.group for row in main_grid(compare([history(seconds())]))]
    during = assess(fitted(seconds(), latencies=latencies)).summary.during
    assert during is not None
    by_stamp = [getattr(during, f"fanout_by_stamp_{name}_ms") for name in ("p50", "p99", "max")]
    assert by_stamp == pytest.approx([5.0] * 3, rel=0.01)
