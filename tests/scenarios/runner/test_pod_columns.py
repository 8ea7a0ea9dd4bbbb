"""Pods that are given column by column are those that are given line by line."""

import numpy as np
import pytest

from scenarios.runner.pod_columns import PodColumns
from scenarios.runner.pod_stats import PodSeconds
from scenarios.wire.pod_second import PodSecond

SECOND_NS = 1_000_000_000
COUNTS = ("clients", "handshakes", "joined", "gone_early", "short_sessions", "shed", "ticks_sent")


@pytest.mark.parametrize("pods", [1, 7])
def test_columns_say_what_the_same_lines_would(pods: int) -> None:
    rng = np.random.default_rng(pods)
    numbers = np.sort(rng.choice(50, pods, replace=False))
    cpu, loop = rng.integers(0, SECOND_NS, pods), rng.integers(0, SECOND_NS, pods)
    lag_ms, late_ms = rng.random(pods) * 300, rng.random(pods) * 300
    counts = {name: rng.integers(0, 900, pods) for name in COUNTS}
    at_once, one_by_one = PodSeconds(), PodSeconds()
    at_once.add_all(
        3,
        PodColumns(
            pods=numbers,
            cpu=cpu / SECOND_NS,
            loop=loop / SECOND_NS,
            lag_ms=lag_ms,
            tick_late_ms=late_ms,
            **counts,
        ),
    )
    for place, pod in enumerate(numbers.tolist()):
        line = PodSecond(
            t_ns=4 * SECOND_NS,
            span_ns=SECOND_NS,
            cpu_ns=int(cpu[place]),
            occupied_ns=int(loop[place]),
            lag_ms=float(lag_ms[place]),
            tick_late_ms=float(late_ms[place]),
            **{name: int(values[place]) for name, values in counts.items()},
        )
        one_by_one.add(3, pod, line)
    assert at_once.seconds == one_by_one.seconds == [3]
    assert at_once.row(3) == pytest.approx(one_by_one.row(3))
    told = [{name: value for name, value in row.items() if value is not None} for row in one_by_one.rows(3)]
    assert at_once.rows(3) == told
    assert at_once.row(4) == {}
    assert at_once.rows(4) == []


def test_a_second_without_pods_has_no_columns() -> None:
    nothing = np.zeros(0, np.int64)
    columns = PodColumns(
        pods=nothing,
        cpu=np.zeros(0),
        loop=np.zeros(0),
        lag_ms=np.zeros(0),
        tick_late_ms=np.zeros(0),
        **dict.fromkeys(COUNTS, nothing),
    )
    assert (columns.row(), columns.rows()) == ({}, [])
