"""Exponential histograms have the values of the histograms that they are made from, within their buckets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.otlp.exponential import HIGHEST_SCALE, MOST_BUCKETS, Exponential, exponential
from reports.rundir.histograms import Buckets
from reports.rundir.latency import highest_us, lowest_us
from reports.rundir.schema import HIGHEST_US, new_histogram


def filled(*values_us: int) -> Buckets:
    histogram = new_histogram()
    for value in values_us:
        histogram.record_value(value)
    return Buckets.of(histogram)


def bounds_s(made: Exponential, place: int) -> tuple[float, float]:
    """Of the bucket at a place of `counts`, as OpenTelemetry defines them."""
    base = 2.0 ** (2.0**-made.scale)
    return base ** (made.offset + place), base ** (made.offset + place + 1)


@given(st.lists(st.integers(1, HIGHEST_US), min_size=1, max_size=50))
def test_each_value_is_in_the_bucket_whose_bounds_it_lies_between(values_us: list[int]) -> None:
    buckets = filled(*values_us)
    made = exponential(buckets)
    assert made.count == len(values_us) == sum(made.counts)
    assert len(made.counts) <= MOST_BUCKETS
    assert made.counts[0] > 0 < made.counts[-1]
    middles_s = np.repeat((lowest_us(buckets.places) + highest_us(buckets.places)) / 2e6, buckets.numbers)
    places = np.repeat(np.arange(len(made.counts)), made.counts)
    for value_s, place in zip(middles_s, places, strict=True):
        low_s, high_s = bounds_s(made, int(place))
        assert low_s * (1 - 1e-9) <= value_s <= high_s * (1 + 1e-9)
    assert made.sum_s == pytest.approx(sum(values_us) / 1e6, rel=1e-3)
    assert (made.min_s, made.max_s) == pytest.approx((min(values_us) / 1e6, max(values_us) / 1e6), rel=1e-3)


@given(st.integers(1, HIGHEST_US // 2), st.integers(0, 12))
def test_the_scale_is_as_high_as_the_buckets_allow(low_us: int, octaves: int) -> None:
    made = exponential(filled(low_us, min(low_us << octaves, HIGHEST_US)))
    if made.scale < HIGHEST_SCALE:
        # With one scale more, each bucket would be two.
        assert 2 * len(made.counts) > MOST_BUCKETS - 1


def test_values_of_0_are_counted_apart() -> None:
    made = exponential(filled(0, 0, 1_000_000))
    assert (made.count, made.zeros, sum(made.counts), made.min_s) == (3, 2, 1, 0.0)
    nothing_else = exponential(filled(0))
    assert (nothing_else.zeros, nothing_else.counts, nothing_else.sum_s) == (1, (), 0.0)


def test_a_value_on_a_bound_is_in_the_lower_bucket() -> None:
    made = exponential(Buckets(np.array([1], np.int32), np.array([7], np.int64)))
    assert made.counts == (7,)
    assert bounds_s(made, 0)[0] < 1e-6 <= bounds_s(made, 0)[1] * (1 + 1e-12)
