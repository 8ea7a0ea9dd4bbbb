"""A path that accepts connections and answers nothing holds a client for its connect timeout.

Of eight pods one is frozen for the whole run, and the proxy goes on sending clients to it: of a drop, 7 of 8
clients are back at once, and the others one connect timeout later, whatever the policy.
"""

from pathlib import Path

import pytest
from msgspec.structs import replace

from scenarios.scenario.loader import load
from scenarios.simulator.run import Prediction, simulate_in_memory

CLIENTS = 80
DROP_S = 3
WELL = 0.97
"""Of ten clients at the silent pod, one or two come to it again after their timeout."""
SILENT = (
    f"fleet.clients={CLIENTS}",
    "fleet.clients_per_ip=1",
    "fleet.rtt_ms=100",
    "fleet.stale_after_s=0",
    "gateway.pods=8",
    "gateway.balance=round_robin",
    "gateway.handshake_cpu_ms=0.1",
    "gateway.tick_cpu_us=0",
    "gateway.ping_interval_s=3600",
    "feed.rate_hz=1.1",
    f'event=[{{at_s={DROP_S}, do="drop_all"}}, {{at_s={DROP_S}, do="pause_pod", pod=0, for_s=3000}}]',
    "phases.during_s=1",
    "phases.recovery_window_s=1",
    "phases.rescue_at_s=0",
    "matrix={}",
)


def back_after_s(connect_timeout_s: int, policy: str) -> int:
    """Seconds from the drop until nearly all clients are served."""
    sets = (
        *SILENT,
        f"fleet.connect_timeout_s={connect_timeout_s}",
        f"fleet.policy={policy}",
        f"phases.duration_s={DROP_S + connect_timeout_s + 8}",
    )
    scenario = replace(load("mass-drop", sets), matrix={}, arms={})
    plan = Prediction(scenario=scenario, directory=Path(), arm="arm")
    served = {int(row["t_s"] or 0): row["useful"] or 0.0 for row in simulate_in_memory(plan).rows}
    return min(t_s for t_s in served if t_s > DROP_S and served[t_s] >= WELL * CLIENTS) - DROP_S


@pytest.mark.parametrize("connect_timeout_s", [1, 10, 20, 600])
def test_recovery_follows_the_connect_timeout(connect_timeout_s: int) -> None:
    found = back_after_s(connect_timeout_s, "naive")
    assert connect_timeout_s <= found <= connect_timeout_s + 3


@pytest.mark.parametrize("policy", ["naive", "full-jitter", "socketio-js", "grpc"])
def test_a_longer_timeout_is_a_later_recovery_by_as_much_whatever_the_policy(policy: str) -> None:
    shorter, longer = (back_after_s(connect_timeout_s, policy) for connect_timeout_s in (5, 15))
    assert longer - shorter == pytest.approx(10, abs=2)
