"""A run in memory is what a run directory would be read as."""

from pathlib import Path

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.judgement import assess
from reports.rundir.histograms import Buckets
from reports.rundir.latency import percentile, percentile_of, total
from reports.rundir.memory import Tally
from reports.rundir.reader import Run
from reports.rundir.schema import HIGHEST_US, new_histogram
from scenarios.scenario.loader import load
from scenarios.simulator.run import Prediction, simulate, simulate_in_memory

COUNTS = st.dictionaries(st.integers(1, HIGHEST_US), st.integers(1, 1_000), max_size=30)


@given(COUNTS, COUNTS, st.floats(0.1, 100))
def test_a_tally_counts_as_a_histogram_does(
    first: dict[int, int], second: dict[int, int], percent: float
) -> None:
    tallies, histograms = (Tally(), Tally()), (new_histogram(), new_histogram())
    for tally, histogram, counts in zip(tallies, histograms, (first, second), strict=True):
        for value, count in counts.items():
            tally.record_value(value, count)
            histogram.record_value(value, count)
    values, numbers = (np.array([*each], np.int64) for each in (second.keys(), second.values()))
    tallies[0].record_values(values, numbers)
    histograms[0].record_values(values, numbers)
    tallies[0].add(tallies[1])
    histograms[0].add(histograms[1])
    tally, histogram = tallies[0], histograms[0]
    assert tally.get_total_count() == histogram.get_total_count()
    assert tally.get_value_at_percentile(percent) == histogram.get_value_at_percentile(percent)
    kept, wanted = tally.buckets(), Buckets.of(histogram)
    assert np.array_equal(kept.places, wanted.places)
    assert np.array_equal(kept.numbers, wanted.numbers)
    assert tally.encode() == histogram.encode()


@given(COUNTS, COUNTS, st.floats(0.1, 100))
def test_a_percentile_of_the_filled_buckets_is_that_of_all_buckets(
    known: dict[int, int], bounds: dict[int, int], percent: float
) -> None:
    tallies = Tally(), Tally()
    for tally, counts in zip(tallies, (known, bounds), strict=True):
        for value, count in counts.items():
            tally.record_value(value, count)
    filled = [tally.buckets() for tally in tallies]
    assert percentile_of(percent, *filled) == percentile(percent, *(total([each]) for each in filled))


def test_an_empty_tally_has_no_values() -> None:
    tally = Tally()
    assert (tally.get_min_value(), tally.get_max_value(), tally.get_value_at_percentile(50)) == (0, 0, 0)
    assert tally.encode() == new_histogram().encode()


def test_a_run_in_memory_is_judged_as_the_one_in_its_directory(tmp_path: Path) -> None:
    sets = ["fleet.clients=60", "phases.duration_s=20", "phases.during_s=4", "phases.recovery_window_s=4"]
    scenario = load("mass-drop", [*sets, "phases.rescue_at_s=0", "matrix={}"])
    plan = Prediction(scenario=scenario, directory=tmp_path / "run", arm="arm")
    simulate(plan)
    kept, read = simulate_in_memory(plan), Run.load(tmp_path / "run")
    assert kept.rows == read.rows
    assert kept.shared_ips == read.shared_ips
    assert kept.pods == read.pods
    assert kept.events == read.events
    assert msgspec.json.encode(assess(kept)) == msgspec.json.encode(assess(read))
