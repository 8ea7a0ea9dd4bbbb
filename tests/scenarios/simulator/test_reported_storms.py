"""A storm that people have reported, in the model: docs/reported-storms.md has its case."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

from msgspec.structs import replace

from scenarios.scenario.loader import load
from scenarios.simulator.run import Prediction, simulate_in_memory

CLIENTS = 300
DROP_S, END_S = 3, 60
POOL = (
    f"fleet.clients={CLIENTS}",
    "fleet.clients_per_ip=1",
    "fleet.connect_timeout_s=1",
    "gateway.pods=2",
    "gateway.cores=2",
    "gateway.handshake_cpu_ms=40",
    f'event=[{{at_s={DROP_S}, do="drop_all"}}]',
    f"phases.duration_s={END_S}",
    "phases.during_s=10",
    "phases.recovery_window_s=10",
    "phases.rescue_at_s=0",
    "matrix={}",
)
"""A pool that authenticates fifty clients per second, and goes on for those that have left."""


def uniform(rng: Random) -> Iterator[float]:
    """501 to 3,000 ms, however many attempts have failed."""
    while True:
        yield rng.uniform(0.501, 3.0)


def served_at_end(*sets: str) -> float:
    """The share of clients that are served in the last ten seconds."""
    scenario = replace(load("mass-drop", (*POOL, *sets)), matrix={}, arms={})
    run = simulate_in_memory(Prediction(scenario=scenario, directory=Path(), arm="arm"))
    last = [row["useful"] or 0.0 for row in run.rows if (row["t_s"] or 0) >= END_S - 10]
    return sum(last) / len(last) / CLIENTS


def test_case_2_even_delays_keep_a_pool_saturated_and_doubling_ones_with_a_floor_do_not() -> None:
    even = f"fleet.policy={__name__}:uniform"
    doubling = 'fleet.policy={name="full-jitter", base_s=3, cap_s=60, floor_s=0.5}'
    assert served_at_end(even) < 0.5
    assert served_at_end(doubling, "fleet.reset_backoff=stable", "fleet.stable_after_s=5") > 0.95
