"""Estimates of scenarios: as the measured runs of docs/simulator.md, and as loads that nobody notices."""

import math

import pytest

from scenarios.estimate.estimate import estimate
from scenarios.scenario.arms import arms
from scenarios.scenario.loader import load
from scenarios.simulator.costs import Costs

PLAIN = ("matrix={}", "fleet.clients_per_ip=1")


def test_the_default_comparison_is_as_it_was_measured() -> None:
    """naive: metastable, 20 % served, with and without the limit; incident: recovered after 13 s."""
    found = {name: estimate(arm).forecast for name, arm in arms(load("mass-drop")).items()}
    for name, forecast in found.items():
        assert forecast is not None
        assert (forecast.chance_metastable >= 0.8) == name.startswith("naive"), name
        assert (forecast.chance_recovered == 1.0) == name.startswith("incident"), name
    for limit in ("none", "per-ip"):
        naive, incident = found[f"naive + {limit}"], found[f"incident + {limit}"]
        assert naive is not None
        assert naive.availability == pytest.approx(0.22, abs=0.05)
        assert incident is not None
        assert incident.time_to_recover_s == pytest.approx(13, abs=2)


def test_a_load_that_nobody_notices_recovers_at_once() -> None:
    found = estimate(load("mass-drop", [*PLAIN, "fleet.clients=30", "gateway.handshake_cpu_ms=2"]))
    assert found.forecast is not None
    assert (found.forecast.chance_metastable, found.forecast.chance_recovered) == (0.0, 1.0)
    assert found.forecast.time_to_recover_s is not None
    assert found.forecast.time_to_recover_s <= 1
    assert found.forecast.attempts_per_disconnect == pytest.approx(1, abs=0.05)


def test_stability_numbers_are_those_that_a_simulation_records() -> None:
    found = estimate(load("mass-drop", PLAIN), Costs(tick_cpu_s=1e-4))
    assert found.stability is not None
    assert found.stability.utilisation == pytest.approx(300 * (1e-4 + 140e-6) * 5)


def test_more_clients_never_make_a_metastable_outcome_less_likely() -> None:
    chances = []
    for clients in (60, 120, 180, 300, 600):
        forecast = estimate(load("mass-drop", [*PLAIN, f"fleet.clients={clients}"])).forecast
        assert forecast is not None
        chances.append(forecast.chance_metastable)
    assert chances == sorted(chances)
    assert (chances[0], chances[-1]) == (0.0, 1.0)


def test_the_same_scenario_has_the_same_estimate() -> None:
    arm = load("mass-drop", [*PLAIN, 'fleet.policy="decorrelated-jitter"'])
    assert estimate(arm) == estimate(arm)


def test_the_range_of_times_has_the_time_in_it() -> None:
    forecast = estimate(load("mass-drop", [*PLAIN, 'fleet.policy="incident"'])).forecast
    assert forecast is not None
    assert forecast.time_to_recover_from_s is not None
    assert forecast.time_to_recover_to_s is not None
    assert (
        0
        <= forecast.time_to_recover_from_s
        <= (forecast.time_to_recover_s or math.nan)
        <= forecast.time_to_recover_to_s
        <= forecast.horizon_s
    )
