"""Numbers of a live view."""

import pytest

from scenarios.rehearsal.units import metric_rule, metric_value, percent


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (0.079, "7.9 %"),
        (0.424, "42 %"),
        (0.9, "90 %"),
        (0.973, "97.3 %"),
        (0.9896, "98.9 %"),
        (0.99, "99 %"),
        (0.996, "99.6 %"),
        (0.99999, "99.9 %"),
        (1.0, "100 %"),
        (1.2, "120 %"),
    ],
)
def test_a_share_is_never_shown_as_all_of_it_or_as_a_bound_that_it_does_not_reach(
    share: float, text: str
) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("availability", 0.5, "50 %"),
        ("fanout_p99_ms", 151.0, "151 ms"),
        ("time_to_recover_s", 20.0, "20 s"),
        ("attempts_per_s", 312.4, "312.4/s"),
        ("gave_up", 0.0, "0"),
        ("attempts_per_s", 1 / 3, "0.3333/s"),
        ("amplification", 1.5, "1.5×"),
        ("availability", None, "unknown"),
    ],
)
def test_a_value_has_the_unit_of_its_metric(metric: str, value: float | None, text: str) -> None:
    assert metric_value(metric, value) == text


def test_a_rule_reads_as_in_the_report() -> None:
    assert metric_rule("availability", ">=", 0.9, "storm") == "availability ≥ 90 %, from the trigger on"
    assert metric_rule("fanout_p99_ms", "<", 200, "before") == "fan-out p99 < 200 ms, before"
