"""The histogram of a second is an HdrHistogram, only faster."""

from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from reports.rundir.schema import HIGHEST_US, SIGNIFICANT_DIGITS, new_histogram


@given(
    st.lists(st.tuples(st.integers(1, HIGHEST_US), st.integers(1, 50)), max_size=30),
    st.one_of(st.sampled_from([0, 50, 99, 99.9, 100]), st.floats(0, 100)),
)
def test_percentiles_are_those_of_the_library(values: list[tuple[int, int]], percent: float) -> None:
    ours, theirs = new_histogram(), HdrHistogram(1, HIGHEST_US, SIGNIFICANT_DIGITS)
    for value, count in values:
        ours.record_value(value, count)
        theirs.record_value(value, count)
    assert ours.get_value_at_percentile(percent) == theirs.get_value_at_percentile(percent)
