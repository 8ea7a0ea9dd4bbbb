"""Means and sums over seconds of which not everything is known."""

import pytest

from reports.rundir.series import Row, availability

ROWS: dict[str, tuple[list[Row], float | None]] = {
    "all is known": ([{"clients": 10.0, "useful": 10.0}, {"clients": 10.0, "useful": 5.0}], 0.75),
    "how many are served is not": (
        [{"clients": 10.0, "useful": 5.0}, {"clients": 10.0, "useful": None}],
        0.5,
    ),
    "a second is missing": ([{"clients": 10.0, "useful": 5.0}, {"clients": None, "useful": None}], 0.5),
    "nothing is known": ([{"clients": 10.0, "useful": None}], None),
    "nobody is there": ([{"clients": 0.0, "useful": 0.0}], None),
}


@pytest.mark.parametrize(("rows", "found"), ROWS.values(), ids=ROWS)
def test_the_share_that_is_served_is_of_the_seconds_in_which_it_is_known(
    rows: list[Row], found: float | None
) -> None:
    assert availability(rows) == found
