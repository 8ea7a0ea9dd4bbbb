"""Bencher Metric Format: the documented shape, slugs with units, and values in these units."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.compare.measures import BY_KEY
from reports.gate.measures import ALLOWED_KEYS, Measured, gauges
from reports.trend.bencher import MOST_SLUG, bencher, slug
from tests.support.gate_runs import run

SLUGS = {
    "availability": "availability-percent",
    "effective_p99_after": "effective-p99-after-ms",
    "time_to_recover_s": "time-to-recover-s",
    "attempts_peak": "attempts-peak-per-s",
    "attempts": "attempts-count",
    "disconnects": "disconnects-count",
    "pod_loop": "pod-loop-percent",
    "amplification": "amplification-ratio",
    "tick_cpu": "tick-cpu-us",
}


def written(*runs: Measured) -> dict[str, dict[str, float]]:
    document = json.loads(bencher("gate-quick", runs, gauges()))
    assert list(document) == ["gate-quick"]
    measures: dict[str, dict[str, float]] = document["gate-quick"]
    return measures


@pytest.mark.parametrize(("key", "expected"), SLUGS.items())
def test_a_slug_has_the_unit_of_its_values(key: str, expected: str) -> None:
    assert slug(key)[0] == expected


def test_every_measure_has_a_slug_of_its_own_that_bencher_takes() -> None:
    slugs = [slug(key)[0] for key in BY_KEY]
    assert len(set(slugs)) == len(slugs)
    for one in slugs:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one), one
        assert len(one) <= MOST_SLUG


def test_every_measure_that_a_gate_can_use_is_written_in_a_known_unit() -> None:
    bare = [key for key in ALLOWED_KEYS if slug(key)[0] == key.replace("_", "-") and not key.endswith("_s")]
    # A variance divided by its mean, which has no unit.
    assert bare == ["burst_dispersion"]


def test_values_are_median_lowest_and_highest_run() -> None:
    found = written(run(pod_loop=0.51), run(pod_loop=0.53), run(pod_loop=0.60))
    assert found == {"pod-loop-percent": {"value": 53.0, "lower_value": 51.0, "upper_value": 60.0}}


def test_what_never_came_has_no_number() -> None:
    some = written(run(time_to_recover_s=3), run(time_to_recover_s=4), run(time_to_recover_s=None))
    assert some == {"time-to-recover-s": {"value": 4.0, "lower_value": 3.0}}
    assert json.loads(bencher("x", [run(time_to_recover_s=None)] * 3, gauges())) == {}


@given(
    st.text(min_size=1),
    st.lists(st.floats(0, 1e9) | st.none(), min_size=1, max_size=6),
    st.lists(st.floats(0, 1), min_size=1, max_size=6),
)
def test_a_document_has_the_documented_shape(
    name: str, times: list[float | None], shares: list[float]
) -> None:
    runs = [run(time_to_recover_s=time) for time in times] + [run(availability=share) for share in shares]
    document = json.loads(bencher(name, runs, gauges()))
    assert list(document) == [name]
    for measure in document[name].values():
        assert "value" in measure
        assert measure.keys() <= {"value", "lower_value", "upper_value"}
        assert all(isinstance(value, int | float) for value in measure.values())
        assert measure.get("lower_value", 0) <= measure["value"] <= measure.get("upper_value", 1e12)
