"""Quiet sockets of the model are cut when nginx cuts them."""

from pathlib import Path
from typing import Any

import pytest

from scenarios.scenario.loader import load
from scenarios.simulator.loop.at import AWAY
from scenarios.simulator.loop.pods.quiet import last_byte
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
    joined_s, tick_s = [10, 12, 30, 0], [11, 11, 11, 41]
    found = [last_byte(*both, 42, 25) for both in zip(joined_s, tick_s, strict=True)]
    assert found == [35, 37, 30, 41]


def test_a_pod_that_stands_still_sends_no_pings() -> None:
    assert last_byte(0, 0, 24, 25) == 0


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
        fleet={"clients": 4, "policy": {"name": "grpc", "base_s": 60, "jitter": 0}},
        gateway={"ping_interval_s": 1, "ping_timeout_s": 60},
        edge={"nginx": {"proxy_read_timeout_s": timeout_s}},
    )
    run_until(made, 2)
    made.pause_pod(0)
    run_until(made, 8)
    assert made.joined.sum() == left


@pytest.mark.parametrize("ping_interval_s", [1.5, 2.5, 7.0])
def test_each_session_is_cut_at_its_own_moment(ping_interval_s: float) -> None:
    # The feed stalls at 3 s; sessions are a tenth of a second apart, and have their pings at these moments.
    made = engine(
        fleet={"clients": 20, "policy": {"name": "grpc", "base_s": 60, "jitter": 0}},
        gateway={"ping_interval_s": ping_interval_s, "ping_timeout_s": 60},
        edge={"nginx": {"proxy_read_timeout_s": 2}},
        feed={"rate_hz": 4},
    )
    made.stall_feed(0)
    joined_s = made.table.records["joined"]
    joined_s[:] = [round(tenth * 1e8) for tenth in range(20)]
    run_until(made, 3)
    made.stall_feed(30)
    heard_s = float(made.pods["heard"][0]) / 1e9
    for hundredth in range(300, 900):
        now_s = hundredth / 100 + 0.005
        run_until(made, now_s)
        for client in range(20):
            is_cut = now_s >= cut_s(client / 10, heard_s, ping_interval_s)
            assert (made.table.state[client] == AWAY) == is_cut, (client, now_s)


def cut_s(joined_s: float, heard_s: float, ping_interval_s: float, timeout_s: float = 2.0) -> float:
    """When the proxy closes a session of a feed that has stalled for good: after the first long silence."""
    said_s = heard_s
    for ping in range(1, 60):
        next_s = joined_s + ping * ping_interval_s
        if next_s > said_s:
            if next_s - said_s > timeout_s:
                break
            said_s = next_s
    return said_s + timeout_s
