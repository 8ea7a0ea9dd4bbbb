"""Gauges by name from Prometheus' text format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.programs.metrics_endpoint import read_gauges

NAMES = {"nodejs_eventloop_utilization", "lag"}
TEXTS = {
    "plain": (
        "nodejs_eventloop_utilization 0.25\nlag 0.01\n",
        {"nodejs_eventloop_utilization": 0.25, "lag": 0.01},
    ),
    "with labels and a time": ('lag{le="a b"} 0.5 1700000000\n', {"lag": 0.5}),
    "the greatest of several": ('lag{w="1"} 0.1\nlag{w="2"} 0.3\n', {"lag": 0.3}),
    "comments and others": ("# HELP lag x\n# TYPE lag gauge\nother 5\nlag_total 7\nlag 1\n", {"lag": 1.0}),
    "not a number": ("lag NaN\nnodejs_eventloop_utilization +Inf\n", {}),
    "no number": ("lag x\n", {}),
    "nothing": ("", {}),
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.values(), ids=TEXTS)
def test_gauges_are_read_by_name(text: str, expected: dict[str, float]) -> None:
    assert read_gauges(text, NAMES) == expected


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    read_gauges(text, NAMES)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_is_read_back(value: float) -> None:
    assert read_gauges(f"before 1\nlag {value!r}\nafter 2", NAMES) == {"lag": value}
