"""What others may have of the cores of a run, and for how long."""

import random
from typing import Any

import pytest

from reports.analysis.disturbance import taken
from reports.rundir.series import Row

TWO_CORES = {"cores": 2, "stack_cores": [0], "generator_cores": [1]}
LARGE = {"cores": 32, "stack_cores": [0, 1, 2, 3], "generator_cores": [31]}
UNPINNED = {"cores": 32, "pinned": False, "stack_cores": [], "generator_cores": []}
QUIET = {
    "foreign_cpu": 0.03,
    "stack_foreign_cpu": 0.01,
    "generator_foreign_cpu": 0.02,
    "steal": 0.01,
    "stack_steal": 0.0,
    "generator_steal": 0.01,
}
OLD = ("foreign_cpu", "steal")


def rows(seconds: int = 44, **changed: tuple[int, int, float]) -> list[Row]:
    """Quiet seconds, but for (from, to, cores) of some columns."""
    found: list[Row] = [{"t_s": float(t), **QUIET} for t in range(seconds)]
    for column, (from_s, to_s, cores) in changed.items():
        for row in found[from_s:to_s]:
            row[column] = cores
    return found


def old(found: list[Row]) -> list[Row]:
    """The same as runs of earlier versions have it."""
    return [{key: cell for key, cell in row.items() if key in {"t_s", *OLD}} for row in found]


def complaints(found: list[Row], machine: dict[str, Any], **options: Any) -> list[str]:
    return [one.sentence for one in taken(found, machine, **options) if one.too_much]


NOTICED: dict[str, tuple[list[Row], dict[str, Any], str]] = {
    "a third of the pods' core for 8 s": (
        rows(stack_foreign_cpu=(8, 16, 0.33)),
        TWO_CORES,
        "noisy host: other processes used 33 % of core 0 (pods and proxy) from second 8 to 13, expected ≤ 20 "
        "%",
    ),
    "a third of the generator's core for 8 s, at the very end": (
        rows(generator_foreign_cpu=(36, 44, 0.33)),
        TWO_CORES,
        "noisy host: other processes used 33 % of core 1 (load generator) from second 36 to 41, expected ≤ "
        "20 %",
    ),
    "a hypervisor that takes a core for 3 s": (
        rows(stack_steal=(20, 23, 0.9)),
        TWO_CORES,
        "noisy host: the hypervisor took 54 % of core 0 (pods and proxy) from second 18 to 23, expected ≤ 20 "
        "%",
    ),
    "little for long": (
        rows(stack_foreign_cpu=(10, 30, 0.12)),
        TWO_CORES,
        "noisy host: other processes used 12 % of core 0 (pods and proxy) from second 10 to 25, expected ≤ "
        "10 %",
    ),
    "little all the time": (
        rows(generator_steal=(0, 44, 0.12)),
        TWO_CORES,
        "noisy host: the hypervisor took 12 % of core 1 (load generator), expected ≤ 10 %",
    ),
    "one of several cores, for 8 s": (
        rows(stack_foreign_cpu=(8, 16, 1.0)),
        LARGE,
        "noisy host: other processes used 100 % of one of cores 0, 1, 2, 3 (pods and proxy) from second 8 to "
        "13, expected ≤ 20 %",
    ),
    "a whole run of 4 s": (
        rows(4, stack_foreign_cpu=(1, 3, 0.5)),
        TWO_CORES,
        "noisy host: other processes used 26 % of core 0 (pods and proxy), expected ≤ 20 %",
    ),
    "a core for 8 s, in a run that knows of the machine alone": (
        old(rows(foreign_cpu=(8, 16, 1.0))),
        TWO_CORES,
        "noisy host: other processes used 50 % of the machine's 2 cores from second 8 to 13, expected ≤ 20 %",
    ),
    "a core for 8 s, on a large machine that does not pin": (
        old(rows(foreign_cpu=(8, 16, 1.0))),
        UNPINNED,
        "noisy host: other processes used 3.1 % of the machine's 32 cores from second 8 to 13, expected ≤ "
        "1.6 %",
    ),
    "3.2 of 32 cores all the time": (
        old(rows(foreign_cpu=(0, 44, 3.2))),
        LARGE,
        "noisy host: other processes used 10 % of the machine's 32 cores, expected ≤ 1.6 %",
    ),
    "a core that all parts share": (
        rows(stack_foreign_cpu=(8, 16, 0.5), generator_foreign_cpu=(8, 16, 0.5)),
        {"cores": 8, "stack_cores": [5], "generator_cores": [5]},
        "noisy host: other processes used 50 % of core 5 (the whole run) from second 8 to 13, expected ≤ 20 "
        "%",
    ),
    "a machine that says nothing about itself": (
        old(rows(foreign_cpu=(0, 44, 0.15))),
        {},
        "noisy host: other processes used 15 % of the machine's 1 cores, expected ≤ 10 %",
    ),
}


@pytest.mark.parametrize(("found", "machine", "complaint"), NOTICED.values(), ids=NOTICED)
def test_others_are_noticed_with_the_seconds_and_the_cores(
    found: list[Row], machine: dict[str, Any], complaint: str
) -> None:
    assert complaints(found, machine) == [complaint]


TOLERATED: dict[str, tuple[list[Row], dict[str, Any]]] = {
    "a spike of a second": (rows(stack_foreign_cpu=(8, 9, 0.9)), TWO_CORES),
    "a spike of a second in the last one": (rows(generator_foreign_cpu=(43, 44, 0.9)), TWO_CORES),
    "two spikes": (rows(stack_foreign_cpu=(8, 9, 0.6), generator_foreign_cpu=(16, 17, 0.6)), TWO_CORES),
    "others on cores of which none is ours": (rows(foreign_cpu=(0, 44, 20.0)), LARGE),
    "a hypervisor that takes cores that are not ours": (rows(steal=(0, 44, 20.0)), LARGE),
    "a figure a little below nothing": (rows(stack_foreign_cpu=(0, 44, -0.03)), TWO_CORES),
    "no second": ([], TWO_CORES),
    "no second of which others are known": (rows(2, foreign_cpu=(0, 2, 0.0)), {}),
}


@pytest.mark.parametrize(("found", "machine"), TOLERATED.values(), ids=TOLERATED)
def test_what_disturbs_nobody_is_no_complaint(found: list[Row], machine: dict[str, Any]) -> None:
    assert complaints(found, machine) == []


def test_what_is_counted_a_second_early_and_missing_in_the_next_is_nothing() -> None:
    rng = random.Random(1)
    found = rows()
    for early, late in zip(found[::2], found[1::2], strict=True):
        shift = rng.uniform(0.2, 0.4)
        early["stack_foreign_cpu"], late["stack_foreign_cpu"] = shift, -shift
    assert complaints(found, TWO_CORES) == []


def test_a_second_without_a_figure_is_left_out() -> None:
    found = rows(stack_foreign_cpu=(8, 16, 0.5))
    found[10]["stack_foreign_cpu"] = None
    used = "noisy host: other processes used 50 % of core 0 (pods and proxy)"
    assert complaints(found, TWO_CORES)[0] == f"{used} from second 8 to 14, expected ≤ 20 %"


def test_where_other_processes_do_not_count_the_hypervisor_does() -> None:
    found = rows(stack_foreign_cpu=(0, 44, 1.0), generator_foreign_cpu=(0, 44, 0.9), stack_steal=(8, 16, 0.5))
    (complaint,) = complaints(found, TWO_CORES, foreign=False)
    assert "the hypervisor took 50 % of core 0" in complaint
