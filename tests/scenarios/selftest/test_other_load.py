"""What other processes had of the cores of several runs, in one row for each window."""

import pytest

from reports.rundir.series import Row
from scenarios.selftest.other_load import other_loads

MACHINE = {"cores": 2, "stack_cores": [0], "generator_cores": [1]}


def run(stack: float, seconds: int = 20, burst_s: int = 0) -> list[Row]:
    """Seconds with that load on the pods' core, in the first `burst_s` all of it."""
    return [
        {"t_s": float(t), "stack_foreign_cpu": 1.0 if t < burst_s else stack, "generator_foreign_cpu": 0.01}
        for t in range(seconds)
    ]


def test_a_window_has_the_median_and_the_highest_of_all_runs() -> None:
    load = other_loads((run(cores), MACHINE) for cores in (0.01, 0.02, 0.09))
    pods = {row.seconds: row for row in load if "pods" in row.where}
    assert {seconds: (row.runs, row.good) for seconds, row in pods.items()} == {5: (3, True), 15: (3, True)}
    assert (pods[5].median, pods[5].highest) == pytest.approx((0.02, 0.09))


def test_a_burst_counts_in_the_window_that_it_fills() -> None:
    load = other_loads([(run(0.0, burst_s=2), MACHINE)])
    found = {row.seconds: (round(row.highest, 3), row.good) for row in load if "pods" in row.where}
    assert found == {5: (0.4, False), 15: (0.133, False)}


def test_a_run_shorter_than_a_window_has_no_row_for_it() -> None:
    assert {row.seconds for row in other_loads([(run(0.0, seconds=13), MACHINE)])} == {5}


def test_runs_without_an_account_have_no_rows() -> None:
    assert other_loads([([{"t_s": 0.0}], MACHINE)]) == ()
