"""Locust's statistics say what our histograms say."""

import pytest
from locust.stats import RequestStats
from test_collector import MS, interval

from scenarios.clients.locust_statistics import feed
from scenarios.clients.messages import Samples


def fed(**changes: object) -> RequestStats:
    stats = RequestStats()
    feed(stats, interval(0, **changes))
    return stats


def test_deliveries_become_requests_with_three_digits() -> None:
    entry = fed(fanout=Samples.of([1_234_000] * 98 + [80 * MS] * 2)).get("tick", "FANOUT")
    assert entry.num_requests == 100
    assert entry.get_response_time_percentile(0.5) == pytest.approx(1.234)
    assert entry.get_response_time_percentile(0.99) == pytest.approx(80, rel=0.001)
    assert entry.min_response_time == pytest.approx(1.234)
    assert entry.max_response_time == pytest.approx(80, rel=0.001)
    assert entry.avg_response_time == pytest.approx((98 * 1.234 + 2 * 80) / 100, rel=0.001)


def test_attempts_fail_by_outcome() -> None:
    stats = fed(
        outcomes={"joined": 3, "limited": 2},
        attempt_durations={"joined": Samples.of([100 * MS] * 3), "limited": Samples.of([5 * MS] * 2)},
    )
    entry = stats.get("attempt", "CONNECT")
    assert (entry.num_requests, entry.num_failures) == (5, 2)
    (error,) = stats.errors.values()
    assert (error.error, error.occurrences) == ("limited", 2)


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
        feed(stats, interval(second, fanout=Samples.of([10 * MS] * 5)))
    assert stats.total.num_requests == 15
