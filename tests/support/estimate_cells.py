"""Storms drawn at random, for comparing estimates with simulations: every number of a cell within a range.

The ranges are those of `scenarios/estimate/region.py`: what the estimate calls checked is what is drawn here.
"""

import math
import random
from collections.abc import Iterator
from typing import Any

from scenarios.scenario.loader import load
from scenarios.scenario.model import Scenario

POLICIES: tuple[dict[str, Any], ...] = (
    {"name": "naive"},
    {"name": "socketio-js"},
    {"name": "incident"},
    {"name": "full-jitter"},
    {"name": "full-jitter", "base_s": 2.0, "cap_s": 10.0},
    {"name": "equal-jitter", "base_s": 0.5},
    {"name": "decorrelated-jitter"},
    {"name": "grpc"},
    {"name": "spread", "window_s": 5.0},
    {"name": "spread", "window_s": 20.0, "cap_s": 10.0},
    {"name": "phoenix"},
    {"name": "signalr"},
    {"name": "reconnecting-websocket"},
    {"name": "rounds"},
)
LIMITS = ("none", "none", "none", "none", "none", "per-ip", "per-ip", "global")
SHARED_IPS: tuple[Any, ...] = (
    1,
    1,
    10,
    ({"share": 0.5, "clients_per_ip": 1}, {"share": 0.5, "clients_per_ip": 25}),
)
HORIZON_S = 70
WINDOW_S = 10
TRIGGER_S = 6


def cells(count: int, seed: int = 1) -> Iterator[Scenario]:
    """So many storms; the same ones for the same seed, whatever the count."""
    rng = random.Random(seed)
    for number in range(count):
        yield cell(rng, number)


def cell(rng: random.Random, number: int) -> Scenario:
    """One storm.

    What decides is drawn: how much work all clients are, and how long a full accept queue takes, both in
    connect time-outs. The costs follow from that.
    """
    pods = rng.choice((1, 2, 2, 3, 4, 6))
    occupy = rng.random() < 0.5
    cores = pods if occupy else rng.choice((1, 1, 2))
    capacity = pods if occupy else min(pods, cores)
    clients = round(_log(rng, 100, 1_500))
    timeout_s = _log(rng, 0.7, 6.0)
    utilisation = rng.choice((0.03, 0.1, 0.2, 0.4)) * rng.uniform(0.7, 1.3)
    rate_hz = rng.choice((2.0, 5.0, 10.0))
    share = rng.choice((1.0, 1.0, 0.7, 0.4))
    work = _log(rng, 0.4, 8.0)
    handshake_s = work * timeout_s * capacity * (1 - utilisation) / (clients * share)
    handshake_s = min(max(handshake_s, 2e-3), 0.1)
    queue = _log(rng, 0.2, 6.0)
    backlog = queue * timeout_s * capacity / pods / handshake_s
    tick_us = max(0.0, utilisation * capacity / (clients * rate_hz) * 1e6 - 16)
    overrides: dict[str, Any] = {
        "fleet.clients": clients,
        "fleet.clients_per_ip": rng.choice(SHARED_IPS),
        "fleet.policy": POLICIES[number % len(POLICIES)],
        "fleet.connect_timeout_s": round(timeout_s, 2),
        "fleet.stale_after_s": rng.choice((2.0, 3.0, 5.0)),
        "fleet.rtt_ms": rng.choice((10, 40, 100)),
        "fleet.seed": number + 1,
        "gateway.pods": pods,
        "gateway.cores": cores,
        "gateway.cpu": "occupy" if occupy else "burn",
        "gateway.handshake_cpu_ms": round(handshake_s * 1000, 2),
        "gateway.tick_cpu_us": round(tick_us, 1),
        "gateway.backlog": min(max(round(backlog), 8), 2_048),
        "edge.limit": rng.choice(LIMITS),
        "feed.rate_hz": rate_hz,
        "phases.during_s": 10,
        "phases.duration_s": TRIGGER_S + HORIZON_S + WINDOW_S,
        "phases.recovery_window_s": WINDOW_S,
        "phases.rescue_at_s": 0,
        "matrix": {},
        "event.0": {"at_s": TRIGGER_S, "do": "drop_share", "share": share},
    }
    return load("mass-drop", [f"{key}={_toml(value)}" for key, value in overrides.items()])


def _log(rng: random.Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)
