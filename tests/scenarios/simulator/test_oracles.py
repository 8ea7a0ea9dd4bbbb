"""The model against what is known without it: a hand calculation, a queue's mean, a plain event loop."""

import heapq
import random
from collections import Counter, deque
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest

from gateway_stub.protocol import UPGRADE_SHARE
from scenarios.scenario.validate import build
from scenarios.simulator.costs import Costs
from scenarios.simulator.engine import Engine

FREE = Costs(
    tick_cpu_s=0.0,
    upgrade_cpu_s=0.0,
    join_cpu_s=0.0,
    close_cpu_s=0.0,
    shed_cpu_s=0.0,
    close_1013_cpu_s=0.0,
    tls_ecdsa_cpu_s=0.0,
    tls_rsa_cpu_s=0.0,
    tls_resumed_cpu_s=0.0,
    nginx_request_cpu_s=0.0,
    nginx_tick_cpu_s=0.0,
    edge_delay_s=0.0,
    idle_cpu=0.0,
    nginx_idle_cpu=0.0,
)
"""Only what a scenario says costs anything."""


def engine(seconds: int = 60, costs: Costs = FREE, **tables: Any) -> Engine:
    table = {
        "fleet": {"clients": 1, "rtt_ms": 0, "stale_after_s": 0, **tables.pop("fleet", {})},
        "gateway": {"pods": 1, "cpu": "occupy", **tables.pop("gateway", {})},
        **tables,
    }
    scenario = build(table, source="test")
    due_s = np.arange(seconds * scenario.feed.rate_hz + 10) / scenario.feed.rate_hz
    made = Engine(
        scenario,
        costs,
        pods=scenario.gateway.pods,
        seconds=seconds,
        due=np.rint(due_s * 1e9).astype(np.int64),
    )
    made.settle(list(range(scenario.gateway.pods)))
    made.charge_handshakes(scenario.gateway.handshake_cpu_ms / 1000)
    return made


def run_until(made: Engine, t_s: float) -> Engine:
    made.run_until(t_s)
    return made


def joined_by(made: Engine, t_s: float) -> int:
    return int(run_until(made, t_s).joined.sum())


def outcomes(made: Engine) -> Counter[str]:
    """Of attempts, as nobody has taken them so far."""
    return made.said().outcomes


def occupied_s(made: Engine) -> float:
    """How long all pods together were busy, since the last call."""
    return float(made.take_pods()["busy"].sum()) / 1e9


def test_handshakes_are_worked_off_one_after_the_other_as_computed_by_hand() -> None:
    # Ten clients, 100 ms each, on one loop: one more is in every 100 ms, the last one after a second.
    made = run_until(
        engine(fleet={"clients": 10, "connect_timeout_s": 30}, gateway={"handshake_cpu_ms": 100}), 1
    )
    assert made.drop(1.0) == 10
    assert [joined_by(made, 1 + 0.1 * n + 0.045) for n in range(11)] == list(range(11))
    assert outcomes(made) == {"joined": 10}
    assert occupied_s(made) == pytest.approx(1.0, abs=0.01)


def test_who_gives_up_leaves_its_work_behind() -> None:
    # 70 ms of 100 are spent before anybody knows who is there. With a time-out of 150 ms, the second client
    # is gone by the time that its join would be paid for, and tries again behind its own dead work.
    fleet = {"clients": 4, "connect_timeout_s": 0.15, "policy": {"name": "grpc", "base_s": 4, "jitter": 0}}
    made = run_until(engine(fleet=fleet, gateway={"handshake_cpu_ms": 100}), 1)
    made.drop(1.0)
    run_until(made, 4.9)
    assert outcomes(made) == {}
    run_until(made, 6)
    assert outcomes(made) == {"joined": 1, "timeout": 3}
    assert made.pods["gone_early"].sum() >= 2
    assert occupied_s(made) == pytest.approx(4 * 0.07 + 0.03, abs=0.002)


class PlainPod:
    """One pod, one event at a time: joins come before newcomers, and nothing is interrupted."""

    def __init__(self, upgrade_s: float, join_s: float) -> None:
        self.upgrade_s, self.join_s = upgrade_s, join_s
        self.newcomers: deque[tuple[int, int]] = deque()
        self.joins: deque[tuple[int, int]] = deque()
        self.busy = False


def plain_storm(
    *, clients: int, handshake_s: float, timeout_s: float, delay_s: float, until_s: float
) -> tuple[list[float], int]:
    """(when each client joined, tries in all) on one pod: a heap of events, nothing else."""
    pod = PlainPod(0.7 * handshake_s, 0.3 * handshake_s)
    numbers = count()
    heap: list[tuple[float, int, str, int, int]] = []
    attempt = dict.fromkeys(range(clients), 0)
    joined: dict[int, float] = {}
    tries = 0

    def at(t_s: float, what: str, client: int, number: int) -> None:
        heapq.heappush(heap, (t_s, next(numbers), what, client, number))

    def serve(t_s: float) -> None:
        if pod.busy:
            return
        if pod.joins:
            pod.busy = True
            at(t_s + pod.join_s, "joined", *pod.joins.popleft())
        elif pod.newcomers:
            pod.busy = True
            at(t_s + pod.upgrade_s, "upgraded", *pod.newcomers.popleft())

    for client in range(clients):
        at(delay_s, "try", client, 1)
    while heap and heap[0][0] <= until_s:
        t_s, _, what, client, number = heapq.heappop(heap)
        current = attempt[client] == number and client not in joined
        if what == "try":
            attempt[client] = number
            tries += 1
            pod.newcomers.append((client, number))
            at(t_s + timeout_s, "timeout", client, number)
        elif what == "timeout" and current:
            attempt[client] += 1
            at(t_s + delay_s, "try", client, number + 1)
        elif what == "upgraded":
            pod.busy = False
            if current:
                pod.joins.append((client, number))
        elif what == "joined":
            pod.busy = False
            if current:
                joined[client] = t_s
        serve(t_s)
    return sorted(joined.values()), tries


@pytest.mark.parametrize(
    ("clients", "handshake_s", "timeout_s", "delay_s"),
    [
        pytest.param(40, 0.0203, 2.0, 0.0, id="everybody gets in at the first try"),
        pytest.param(40, 0.05, 0.513, 0.731, id="most give up and come back"),
        pytest.param(40, 0.047, 0.613, 0.45, id="one in four is let in at a time"),
        pytest.param(25, 0.1, 1.033, 3.01, id="long waits"),
        pytest.param(60, 0.03, 0.777, 0.333, id="more are back than have left"),
        pytest.param(30, 0.05, 0.403, 0.301, id="nobody gets in any more"),
    ],
)
def test_a_small_storm_is_the_same_as_in_a_plain_event_loop(
    clients: int, handshake_s: float, timeout_s: float, delay_s: float
) -> None:
    theirs, their_tries = plain_storm(
        clients=clients, handshake_s=handshake_s, timeout_s=timeout_s, delay_s=delay_s, until_s=6.0
    )
    constant = {"name": "grpc", "base_s": delay_s, "factor": 1, "cap_s": delay_s, "jitter": 0}
    fleet = {"clients": clients, "connect_timeout_s": timeout_s, "policy": constant}
    gateway = {"handshake_cpu_ms": handshake_s * 1000, "backlog": 4096}
    made = run_until(engine(fleet=fleet, gateway=gateway), 1)
    made.drop(1.0)
    tenths = range(1, 61)
    assert [joined_by(made, 1 + tenth / 10) for tenth in tenths] == [
        sum(t_s <= tenth / 10 for t_s in theirs) for tenth in tenths
    ]
    assert made.recorder.attempts_by_slot[:70].sum() == their_tries


def memoryless(rng: random.Random, mean_s: float) -> Iterator[float]:
    """A policy whose attempts come as those of very many others."""
    while True:
        yield rng.expovariate(1 / mean_s)


def test_pods_keep_the_known_mean_queue_with_constant_service() -> None:
    # M/D/1: ρ² / (2·(1 − ρ)) wait on average. Source: Pollaczek–Khinchine with no variance of service.
    # Clients with an old protocol are refused when their upgrade has been paid for, and come again.
    service_s, load, pods, per_pod = 0.02, 0.6, 100, 200
    mean_s = per_pod * service_s / load - service_s
    made = engine(
        fleet={
            "clients": pods * per_pod,
            "group": [{"name": "old", "protocol": 3}, {"name": "new", "share": 0.001}],
            "policy": {"name": f"{__name__}:memoryless", "mean_s": mean_s},
            "connect_timeout_s": 1000,
        },
        gateway={
            "pods": pods,
            "balance": "hash",
            "handshake_cpu_ms": 1000 * service_s / UPGRADE_SHARE,
            "backlog": 4096,
        },
    )
    run_until(made, 3)
    before = made.pods["handshakes"].copy()
    waiting = []
    for step in range(4_000):
        run_until(made, 3 + step / 100)
        waiting.append(made.pods["queued"].sum())
    loads = (made.pods["handshakes"] - before) / 40 * service_s
    assert loads.mean() == pytest.approx(load, rel=0.02)
    assert np.mean(waiting) == pytest.approx((loads**2 / (2 * (1 - loads))).sum(), rel=0.05)
