"""Times and sizes as each proxy writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.lint.quantities import envoy_seconds, haproxy_seconds, nginx_seconds, size, whole, written


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60), ("60s", 60), ("1h 30m", 5_400), ("1h30m", 5_400), ("500ms", 0.5), ("1d", 86_400), ("0", 0)]
    + [(text, None) for text in ("", "$time", "${T}s", "1x", "s", "-1", "1" * 30)],
)
def test_times_of_nginx(text: str, seconds: float | None) -> None:
    assert nginx_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("50000", 50), ("50s", 50), ("1h", 3_600), ("10ms", 0.01), ("1d", 86_400), ("", None), ("1w", None)],
)
def test_times_of_haproxy_are_milliseconds_without_a_unit(text: str, seconds: float | None) -> None:
    assert haproxy_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("15s", 15), ("0.25s", 0.25), ("0s", 0), ("15", None), ("", None)]
)
def test_times_of_envoy(text: str, seconds: float | None) -> None:
    assert envoy_seconds(text) == seconds


@pytest.mark.parametrize(("text", "number"), [("100k", 102_400), ("1m", 1_048_576), ("5", 5), ("x", None)])
def test_sizes(text: str, number: int | None) -> None:
    assert size(text) == number


@given(st.text(max_size=30))
def test_any_text_is_a_quantity_or_none(text: str) -> None:
    for read in (nginx_seconds, haproxy_seconds, envoy_seconds, size, whole):
        assert read(text) is None or read(text) >= 0  # type: ignore[operator]


@given(st.integers(min_value=0, max_value=10**6))
def test_seconds_are_the_same_in_all_three(seconds: int) -> None:
    text = f"{seconds}s"
    assert nginx_seconds(text) == haproxy_seconds(text) == envoy_seconds(text) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(60, "60 s"), (3_600, "1 h"), (300, "5 min"), (0.5, "0.5 s")])
def test_how_a_time_is_written(seconds: float, text: str) -> None:
    assert written(seconds) == text
