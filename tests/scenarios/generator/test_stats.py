"""Locust's statistics say what our histograms say."""

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st
from locust.stats import RequestStats

from reports.rundir.columns import OUTCOMES
from scenarios.generator.stats import feed
from scenarios.wire.interval import Samples
from tests.support.intervals import MS, interval


def fed(**changes: object) -> RequestStats:
    stats = RequestStats()
    feed(stats, interval(0, **changes))
    return stats


def test_deliveries_become_requests_with_three_digits() -> None:
    stats = fed(fanout=Samples.of([1_234_000] * 98 + [80 * MS] * 2))
    for entry in (stats.get("tick", "FANOUT"), stats.total):
        assert entry.num_requests == 100
        assert entry.get_response_time_percentile(0.5) == pytest.approx(1.234)
        assert entry.get_response_time_percentile(0.99) == pytest.approx(80, rel=0.001)
        assert entry.min_response_time == pytest.approx(1.234)
        assert entry.max_response_time == pytest.approx(80, rel=0.001)
        assert entry.avg_response_time == pytest.approx((98 * 1.234 + 2 * 80) / 100, rel=0.001)


@pytest.mark.parametrize(
    ("reference", "name"),
    [(None, "tick"), ("due", "tick"), ("first receipt", "tick spread")],
    ids=["no tick yet", "from the publish time", "from the first receipt"],
)
def test_a_spread_is_called_one(reference: str | None, name: str) -> None:
    stats = fed(fanout=Samples.of([MS]), reference=reference)
    assert list(stats.entries) == [(name, "FANOUT")]


@settings(max_examples=60, deadline=None)
@given(
    # With one value more than a whole number of thousands, both ways to count name the same value.
    st.lists(st.integers(0, 10**6) | st.integers(0, 10**11), min_size=1, max_size=400).map(
        lambda values: (values * (1001 // len(values) + 1))[:1001]
    ),
    st.integers(0, 1_001),
)
def test_percentiles_are_those_of_a_three_digit_hdrhistogram(nanoseconds: list[int], cut: int) -> None:
    stats = RequestStats()
    histogram = HdrHistogram(1, 3_600_000_000, 3)
    for part in (nanoseconds[:cut], nanoseconds[cut:]):
        feed(stats, interval(0, fanout=Samples.of(part)))
    for value in nanoseconds:
        histogram.record_value(max(1, value // 1000))
    for share in (0.5, 0.95, 0.99, 0.999):
        ours_us = round(stats.total.get_response_time_percentile(share) * 1000)
        truth_us = histogram.get_value_at_percentile(share * 100)
        assert ours_us == histogram.get_lowest_equivalent_value(truth_us)


def test_attempts_have_a_row_for_each_outcome_and_the_total_has_their_failures_alone() -> None:
    stats = fed(
        fanout=Samples.of([MS] * 7),
        outcomes={"joined": 3, "limited": 2, "timeout": 1},
        attempt_durations={
            "joined": Samples.of([100 * MS] * 3),
            "limited": Samples.of([5 * MS] * 2),
            "timeout": Samples.of([1000 * MS]),
        },
    )
    rows = {name: (row.num_requests, row.num_failures) for (name, kind), row in stats.entries.items()}
    assert rows == {"tick": (7, 0), "joined": (3, 0), "limited": (2, 2), "timeout": (1, 1)}
    assert {kind for name, kind in stats.entries if name != "tick"} == {"CONNECT"}
    assert (stats.total.num_requests, stats.total.num_failures) == (7, 3)
    assert stats.total.max_response_time == pytest.approx(1)
    errors = {error.name: (error.error, error.occurrences) for error in stats.errors.values()}
    assert errors == {"limited": (OUTCOMES["limited"], 2), "timeout": (OUTCOMES["timeout"], 1)}


def test_no_response_time_is_zero() -> None:
    entry = fed(fanout=Samples.of([0, 10, 999])).get("tick", "FANOUT")
    assert entry.min_response_time == pytest.approx(0.001)
    assert entry.num_none_requests == 0


def test_a_second_without_deliveries_makes_no_entry() -> None:
    assert fed().entries == {}


def test_current_percentiles_are_those_of_the_last_seconds_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = RequestStats()
    for second in range(40):
        monkeypatch.setattr("time.time", lambda now=1000.0 + second: now)
        feed(stats, interval(second, fanout=Samples.of([(10 if second < 25 else 80) * MS] * 5)))
    entry = stats.get("tick", "FANOUT")
    assert entry.get_response_time_percentile(0.5) == pytest.approx(10, rel=0.001)
    assert entry.get_current_response_time_percentile(0.5) == pytest.approx(80, rel=0.001)


def test_seconds_add_up() -> None:
    stats = RequestStats()
    for second in range(3):
        limited = {"outcomes": {"limited": 2}, "attempt_durations": {"limited": Samples.of([MS] * 2)}}
        feed(stats, interval(second, fanout=Samples.of([10 * MS] * 5), **limited))
    assert (stats.total.num_requests, stats.total.num_failures) == (15, 6)
    assert [error.occurrences for error in stats.errors.values()] == [6]
