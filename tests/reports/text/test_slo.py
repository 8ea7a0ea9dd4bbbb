"""Bounds on metrics, as a live view and a report write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.rundir.slo_metrics import SLO_METRICS, Bound
from reports.text.slo import limit_text, metric_name, rule_text, write, write_against


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("availability", 0.5, "50 %"),
        ("fanout_p99_ms", 151.0, "151 ms"),
        ("time_to_recover_s", 20.0, "20 s"),
        ("attempts_per_s", 312.4, "312/s"),
        ("attempts_per_s", 1 / 3, "0.3/s"),
        ("gave_up", 0.0, "0"),
        ("missed", 12_345.0, "12,345"),
        ("amplification", 1.5, "1.5×"),
        ("availability", None, "–"),
        ("happiness", 3.0, "3.0"),
    ],
)
def test_a_value_has_the_unit_of_its_metric(metric: str, value: float | None, text: str) -> None:
    assert write(metric, value) == text


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        (
            Bound(metric="availability", operator=">=", bound=0.9),
            "availability ≥ 90 %, from the trigger on",
        ),
        (
            Bound(metric="fanout_p99_ms", phase="before", operator="<", bound=200),
            "fan-out p99 < 200 ms, before",
        ),
        (
            Bound(metric="time_to_recover_s", operator="<=", bound=80),
            "time to recover ≤ 80 s, from the trigger’s end",
        ),
        (Bound(metric="happiness", operator=">", bound=1), "happiness > 1.0, from the trigger on"),
    ],
    ids=lambda value: value.metric if isinstance(value, Bound) else None,
)
def test_a_rule_names_metric_bound_and_period(bound: Bound, text: str) -> None:
    assert rule_text(bound) == text
    assert limit_text(bound) in text
    assert metric_name(bound.metric) in text


@given(st.sampled_from(sorted(SLO_METRICS)), st.integers(0, 10**5), st.integers(0, 10**5))
def test_a_value_reads_as_its_bound_only_if_it_is_equal_to_it(metric: str, bound: int, value: int) -> None:
    limit = Bound(metric=metric, operator=">=", bound=bound / 1_000)
    shown = write_against(limit, value / 1_000)
    assert (shown == write(metric, limit.bound)) == (bound == value)
