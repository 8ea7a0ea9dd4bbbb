"""Estimates beside simulations of the same small storms; tests/bench/estimate_grid.py compares many more."""

import pytest

from scenarios.scenario.loader import load
from tests.support.estimate_comparison import compare

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
    "a window of eight seconds": ('fleet.policy="spread"',),
}


@pytest.mark.parametrize("settings", STORMS.values(), ids=STORMS)
def test_an_estimate_agrees_with_a_simulation(settings: tuple[str, ...]) -> None:
    """The same outcome; a time to recover within 2 s or 15 %; availability within 10 points."""
    found = compare(load("mass-drop", [*SMALL, *settings]))
    forecast = found.estimate.forecast
    assert forecast is not None, found.estimate.not_covered
    assert found.said_stuck == found.is_stuck
    assert (forecast.time_to_recover_s is None) == (found.time_to_recover_s is None)
    assert found.is_close in (None, True), (forecast.time_to_recover_s, found.time_to_recover_s)
    assert found.availability is not None
    assert forecast.availability == pytest.approx(found.availability, abs=0.1)


def test_behind_a_limit_the_last_clients_are_later_than_their_expected_number_says() -> None:
    """Six IPs of twenty clients: each has its own luck, and the chain knows only their mean."""
    settings = ('fleet.policy="incident"', "fleet.clients_per_ip=20", 'edge.limit="per-ip"')
    found = compare(load("mass-drop", [*SMALL, *settings]))
    assert (found.said_stuck, found.is_stuck) == (False, False)
    assert found.error_s is not None
    assert -6 <= found.error_s <= 2
