"""The line of numbers that a run shows while it goes on."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.rundir.latency import Latency
from reports.rundir.series import SERVED_WELL
from scenarios.runner.progress import Progress, effective_p99_so_far, plain_line, served_share

KNOWN = Latency(84.0)

SO_FAR: dict[str, tuple[dict[str, Any], Latency | None, Latency | None]] = {
    "all clients are served": ({"useful": 300.0, "clients": 300, "staleness_p99_ms": 250.0}, KNOWN, KNOWN),
    "1 % waits": ({"useful": 297.0, "clients": 300, "staleness_p99_ms": 250.0}, KNOWN, KNOWN),
    "clients wait": (
        {"useful": 24.0, "clients": 300, "staleness_p99_ms": 12_200.0},
        KNOWN,
        Latency(12_000.0, at_least=True),
    ),
    "clients wait, and no tick has arrived": (
        {"useful": 0.0, "clients": 300, "staleness_p99_ms": 12_200.0},
        None,
        Latency(12_000.0, at_least=True),
    ),
    "clients just began to wait": (
        {"useful": 24.0, "clients": 300, "staleness_p99_ms": 150.0},
        KNOWN,
        Latency(84.0, at_least=True),
    ),
    "before the first tick": ({"clients": 300}, None, None),
    "nothing is known": ({}, None, None),
}


@pytest.mark.parametrize(("row", "known", "expected"), SO_FAR.values(), ids=SO_FAR)
def test_while_clients_wait_the_effective_p99_is_a_lower_bound(
    row: dict[str, Any], known: Latency | None, expected: Latency | None
) -> None:
    assert effective_p99_so_far(row, known, period_ms=200.0) == expected


@given(
    useful=st.integers(0, 300),
    age_ms=st.floats(0, 1e6),
    known_ms=st.floats(0, 1e6) | st.none(),
    period_ms=st.floats(1, 1000),
)
def test_it_is_exact_only_where_enough_clients_are_served_and_never_below_what_is_known(
    useful: int, age_ms: float, known_ms: float | None, period_ms: float
) -> None:
    row = {"useful": float(useful), "clients": 300, "staleness_p99_ms": age_ms}
    found = effective_p99_so_far(row, None if known_ms is None else Latency(known_ms), period_ms)
    if useful / 300 >= SERVED_WELL:
        assert found == (None if known_ms is None else Latency(known_ms))
    else:
        assert found is not None
        assert found.at_least
        assert found.ms >= max(known_ms or 0.0, age_ms - period_ms)


def test_the_share_served_is_known_once_there_are_clients() -> None:
    assert served_share({"useful": 24.0, "clients": 300}) == 0.08
    assert served_share({"useful": 0.0, "clients": 0}) is None
    assert served_share({"clients": 300}) is None


LINES: dict[str, tuple[Progress, str]] = {
    "an outage": (
        Progress(
            phase="during",
            seconds_left=41,
            at_most=True,
            clients=300,
            connected=30,
            served=0.08,
            attempts_per_s=312,
            refusals_per_s=5,
            effective_p99=Latency(12_000.0, at_least=True),
            fanout_p99_ms=84.0,
            pod_cpu=0.48,
            pod_loop=0.97,
        ),
        "  during  at most 41 s left  served 8.0 %  connected 30/300  attempts 312/s  refused 5/s"
        "  effective p99 ≥ 12 s  fan-out p99 84 ms  pod CPU 48 %  pod loop 97 %",
    ),
    "the start, and an external target": (
        Progress(phase="start", seconds_left=73, clients=300),
        "  start   73 s left  served –  connected 0/300  attempts 0/s  refused 0/s"
        "  effective p99 –  fan-out p99 –",
    ),
}


@pytest.mark.parametrize(("progress", "line"), LINES.values(), ids=LINES)
def test_each_number_has_a_name_and_a_unit(progress: Progress, line: str) -> None:
    assert plain_line(progress) == line
