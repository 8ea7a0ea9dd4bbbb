"""Connections of nginx's old workers on the modelled stack: they end together, some time after a reload."""

from pathlib import Path

import msgspec
import pytest

from reports.rundir.reader import Run
from scenarios.scenario.loader import load
from scenarios.simulator.run import Prediction, simulate_in_memory

CLIENTS = 60


def predicted(event: str, *sets: str, timeout_s: float = 3) -> Run:
    loaded = load(
        "mass-drop",
        [
            f"fleet.clients={CLIENTS}",
            "fleet.policy=naive",
            "gateway.handshake_cpu_ms=1",
            f"edge.nginx.worker_shutdown_timeout_s={timeout_s}",
            "phases.duration_s=24",
            "phases.during_s=4",
            "phases.recovery_window_s=4",
            "phases.rescue_at_s=0",
            f"event=[{event}]",
            *sets,
        ],
    )
    scenario = msgspec.structs.replace(loaded, matrix={}, arms={})
    return simulate_in_memory(Prediction(scenario=scenario, directory=Path(), arm="arm"))


def disconnects(run: Run) -> dict[int, float]:
    """By second, where there were any."""
    return {int(row["t_s"] or 0): row["disconnects"] for row in run.rows if row["disconnects"]}


def test_a_reload_cuts_what_was_connected_before_it_and_nothing_that_came_after() -> None:
    assert disconnects(predicted('{at_s=3, do="nginx_reload"}')) == {6: CLIENTS}


def test_without_a_timeout_a_reload_cuts_nothing() -> None:
    assert disconnects(predicted('{at_s=3, do="nginx_reload"}', timeout_s=0)) == {}


def test_reloads_that_follow_each_other_cut_each_connection_once_and_all_clients_again_and_again() -> None:
    found = disconnects(predicted('{at_s=3, do="nginx_reload", every_s=1, for_s=12, is_fault=true}'))
    # Every connection meets a reload within a second, and lives for three more.
    assert found == pytest.approx({6: CLIENTS, 10: CLIENTS, 14: CLIENTS}, abs=2)


@pytest.mark.parametrize("event", ['do="scale", pods=3', 'do="set_limit", limit="per-ip"'])
def test_whatever_changes_the_configuration_is_a_reload(event: str) -> None:
    assert sum(disconnects(predicted(f"{{at_s=3, {event}}}")).values()) == CLIENTS


def test_a_limit_that_is_in_force_from_the_start_cuts_nobody() -> None:
    found = predicted('{at_s=9, do="drop_share", share=0.1}', "edge.limit=per-ip")
    assert disconnects(found) == {9: CLIENTS / 10}
