"""Quiet sockets of the model are cut when nginx cuts them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenarios.scenario.loader import load
from scenarios.simulator.edge.read_timeout import last_byte_s
from scenarios.simulator.run import Prediction, simulate_in_memory
from tests.e2e.command_line import SMALL_STORM
from tests.e2e.own_gateway import total
from tests.scenarios.simulator.test_oracles import engine, run_until

CLIENTS = 60
QUIET = (
    *SMALL_STORM,
    'event=[{at_s=3, do="feed_stall", for_s=4}]',
    "fleet.stale_after_s=0",
    "edge.nginx.proxy_read_timeout_s=2",
    "matrix={}",
)


def test_pings_of_a_session_count_from_its_beginning() -> None:
    joined_s, tick_s = np.array([10.0, 12.0, 30.0, 0.0]), np.array([11.0, 11.0, 11.0, 41.0])
    found = last_byte_s(joined_s, tick_s, np.full(4, 42.0), 25.0)
    assert found.tolist() == [35.0, 37.0, 30.0, 41.0]


def test_a_pod_that_stands_still_sends_no_pings() -> None:
    at = np.zeros(1)
    assert last_byte_s(at, at, np.full(1, 24.0), 25.0).tolist() == [0.0]


def simulated(*sets: str) -> Any:
    scenario = load("mass-drop", (*QUIET, *sets))
    return simulate_in_memory(Prediction(scenario=scenario, directory=Path(), arm="arm"))


def test_case_12_a_quiet_feed_is_cut_again_and_again_until_it_speaks() -> None:
    # The same counts as at the real nginx, in tests/e2e/test_edge_storms.py.
    run = simulated()
    assert total(run, "disconnects", 0, 4) == 0
    assert total(run, "disconnects", 4, 9) >= CLIENTS
    assert total(run, "disconnects", 9, 11) == 0


def test_case_12_pings_below_the_timeout_keep_quiet_sockets_open() -> None:
    assert total(simulated("gateway.ping_interval_s=1"), "disconnects", 0, 11) == 0


@pytest.mark.parametrize(("timeout_s", "left"), [(5.0, 0), (30.0, 4)])
def test_clients_of_a_pod_that_stands_still_are_cut(timeout_s: float, left: int) -> None:
    made = engine(
        0.05,
        fleet={"clients": 4, "policy": {"name": "grpc", "base_s": 60, "jitter": 0}},
        gateway={"ping_interval_s": 1, "ping_timeout_s": 60},
        edge={"nginx": {"proxy_read_timeout_s": timeout_s}},
    )
    run_until(made, 2)
    made.pause_pod(0)
    run_until(made, 8)
    assert made.sessions.joined.sum() == left
