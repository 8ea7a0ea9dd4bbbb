"""Estimates beside simulations of the same small storms; tests/bench/estimate_grid.py compares many more."""

import pytest

from scenarios.scenario.loader import load
from tests.support.estimate_comparison import Compared, compare

SMALL = (
    "matrix={}",
    "fleet.clients=120",
    "fleet.clients_per_ip=1",
    "gateway.handshake_cpu_ms=25",
    "gateway.tick_cpu_us=300",
    "gateway.backlog=51",
    "phases.during_s=5",
    "phases.duration_s=46",
    "phases.recovery_window_s=8",
    "phases.rescue_at_s=0",
)
"""mass-drop with fewer and more costly clients: N·c/P = 3 s, three times the connect time-out."""

STORMS = {
    "immediate retries": (),
    "immediate retries, short queue": ("gateway.backlog=8",),
    "immediate retries, light load": ("gateway.handshake_cpu_ms=5",),
    "immediate retries, a third disconnected": ('event.0={at_s=6, do="drop_share", share=0.33}',),
    "immediate retries, patient clients": ("fleet.connect_timeout_s=5",),
    "immediate retries, pods that occupy": ('gateway.cpu="occupy"', "gateway.handshake_cpu_ms=60"),
    "the incident's back-off": ('fleet.policy="incident"',),
    "a stock client": ('fleet.policy="socketio-js"',),
    "full jitter": ('fleet.policy="full-jitter"',),
    "equal jitter": ('fleet.policy="equal-jitter"',),
    "decorrelated jitter": ('fleet.policy="decorrelated-jitter"',),
    "a window of eight seconds": ('fleet.policy="spread"',),
    "a limit and shared IPs": ('fleet.policy="incident"', "fleet.clients_per_ip=20", 'edge.limit="per-ip"'),
}


@pytest.fixture(scope="module")
def compared() -> dict[str, Compared]:
    """Every storm, estimated and simulated."""
    return {name: compare(load("mass-drop", [*SMALL, *settings])) for name, settings in STORMS.items()}


def test_the_outcome_is_right_in_every_storm(compared: dict[str, Compared]) -> None:
    assert [name for name, one in compared.items() if not one.is_right] == []
    assert 2 <= sum(bool(one.is_stuck) for one in compared.values()) < len(compared)
    for name, one in compared.items():
        assert one.estimate.forecast is not None
        never = one.estimate.forecast.time_to_recover_s is None
        assert never == (one.time_to_recover_s is None), name


def test_seven_of_ten_times_to_recover_are_close_and_none_is_off_by_more_than_its_luck(
    compared: dict[str, Compared],
) -> None:
    """Close: within 2 s or 15 %. 1 % of so few clients is one client, with a luck of its own.

    By its seed, the storm with decorrelated jitter is over after 12 to 19 s; the estimate says 24 s.
    """
    close = {name: one.is_close for name, one in compared.items() if one.is_close is not None}
    assert sum(close.values()) >= 0.7 * len(close), [name for name, is_close in close.items() if not is_close]
    for name, one in compared.items():
        assert one.error_s is None or abs(one.error_s) <= 12, (name, one.error_s)


def test_availability_is_within_ten_points(compared: dict[str, Compared]) -> None:
    for name, one in compared.items():
        assert one.estimate.forecast is not None
        assert one.estimate.forecast.availability == pytest.approx(one.availability, abs=0.1), name
