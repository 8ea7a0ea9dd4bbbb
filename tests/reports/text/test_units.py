"""Every number as a reader sees it."""

import math
from collections.abc import Callable

import pytest

from reports.rundir.latency import Latency
from reports.text import units


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (units.milliseconds(7.66), "7.7 ms"),
        (units.milliseconds(85.2), "85 ms"),
        (units.milliseconds(999.6), "1.0 s"),
        (units.milliseconds(26_100), "26 s"),
        (units.latency(Latency(85)), "85 ms"),
        (units.latency(Latency(6_100, at_least=True)), "≥ 6.1 s"),
        (units.microseconds(71e-6), "71 \u00b5s"),
        (units.seconds(0.44), "0.4 s"),
        (units.seconds(9), "9 s"),
        (units.seconds(9.95), "10 s"),
        (units.seconds(10.5), "11 s"),
        (units.seconds(11.5), "12 s"),
        (units.megabytes(7.44), "7.4 MB"),
        (units.megabytes(1_058.2), "1,058 MB"),
        (units.percent(0.99999), "99.9 %"),
        (units.percent(1.0), "100 %"),
        (units.percent(0.992), "99.2 %"),
        (units.percent(0.986), "98.6 %"),
        (units.percent(0.99), "99 %"),
        (units.percent(0.9), "90 %"),
        (units.percent(0.901), "90.1 %"),
        (units.percent(0.899), "90 %"),
        (units.percent(0.123), "12 %"),
        (units.percent(0.079), "7.9 %"),
        (units.percent(0), "0 %"),
        (units.percent(math.nan), units.NOTHING),
        (units.count(12_345), "12,345"),
        (units.per_second(0.44), "0.4/s"),
        (units.per_second(3), "3/s"),
        (units.per_second(1_312.4), "1,312/s"),
        (units.times(1), "1.0\u00d7"),
        (units.times(37.2), "37\u00d7"),
        (units.plain(0.41), "0.41"),
        (units.plain(6.13), "6.1"),
        (units.plain(1_037.2), "1,037"),
        (units.span("75 ms", "79 ms"), "75 to 79 ms"),
        (units.span("950 ms", "1.2 s"), "950 ms to 1.2 s"),
        (units.span("9 s", "9 s"), ""),
        (units.unbroken("≥ 40 s of 3 sets"), "≥\u00a040\u00a0s of 3 sets"),
    ],
)
def test_numbers_are_written_with_their_unit(text: str, expected: str) -> None:
    assert text == expected


@pytest.mark.parametrize(
    ("write", "bound", "value", "expected"),
    [
        (units.percent, 0.99, 0.97, ("99 %", "97 %")),
        (units.percent, 0.99, 0.986, ("99 %", "98.6 %")),
        (units.percent, 0.99, 0.98981, ("99 %", "98.98 %")),
        (units.percent, 0.9, 0.89999, ("90 %", "89.999 %")),
        (units.percent, 0.9999, 0.99985, ("99.99 %", "99.98 %")),
        (units.percent, 0.99, 0.99, ("99 %", "99 %")),
        (units.percent, 0.99, math.nan, ("99 %", units.NOTHING)),
        (units.percent, 0.99, None, ("99 %", units.NOTHING)),
        (units.milliseconds, 90.2, 90.4, ("90.2 ms", "90.4 ms")),
        (units.milliseconds, 2_000, 2_040, ("2 s", "2.04 s")),
        (units.seconds, 75, 75.2, ("75 s", "75.2 s")),
        (units.per_second, 12, 12.3, ("12/s", "12.3/s")),
        (units.count, 1_200, 1_200.4, ("1,200", "1,200.4")),
        (units.times, 10, 10.2, ("10\u00d7", "10.2\u00d7")),
        (units.plain, 0.41, 0.412, ("0.410", "0.412")),
    ],
)
def test_a_bound_and_a_value_read_alike_only_where_they_are_equal(
    write: units.Writer, bound: float, value: float | None, expected: tuple[str, str]
) -> None:
    assert units.distinct(write, bound, value) == expected


@pytest.mark.parametrize(
    "write",
    [
        units.milliseconds,
        units.microseconds,
        units.seconds,
        units.latency,
        units.megabytes,
        units.percent,
        units.count,
        units.per_second,
        units.times,
        units.plain,
    ],
)
def test_no_number_is_a_dash_in_every_unit(write: Callable[[None], str]) -> None:
    assert write(None) == units.NOTHING


def test_a_ratio_has_its_interval_and_how_often_that_holds() -> None:
    assert units.ratio(None) == ""
    assert units.ratio(1.5) == "1.50×"
    assert units.ratio(1.5, bound="≥") == "≥ 1.50×"
    assert units.ratio(1.5, 1.2, 1.9, 0.968) == "1.50× (1.20 to 1.90×, 96 %)"
    assert units.ratio(1.5, 0.0, 1.9, 0.968) == "1.50× (up to 1.90×, 96 %)"
    assert units.ratio(1.5, 1.5, 1.5, 0.9) == "1.50× (1.50×, 90 %)"
    assert units.ratio(1.5, 1.2, None, 0.9) == "1.50× (1.20× or more, 90 %)"
    assert units.ratio(1.5, 1.2, None, 0.9, never=True) == "1.50× (1.20× to never, 90 %)"
    assert [units.ratio(12.0), units.ratio(0.0123)] == ["12×", "0.012×"]


def test_a_p_has_two_digits() -> None:
    assert [units.p_value(p) for p in (None, 0.0002, 0.0123)] == ["", "p < 0.001", "p 0.012"]
