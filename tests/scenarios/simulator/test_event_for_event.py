"""The loop and a plain one have every client and pod in the same state, at any moment of any small storm."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_stub.protocol import UPGRADE_SHARE, Admission
from scenarios.limits.registry import limit
from scenarios.policies.registry import policy
from scenarios.scenario.edge.nginx import NginxSettings
from scenarios.simulator.costs import Costs
from scenarios.simulator.engine import Engine
from scenarios.simulator.loop.at import DUE, JOINED
from tests.scenarios.simulator.test_oracles import FREE, engine, outcomes
from tests.support.plain_run import NS, PlainRun

SECONDS = 14

POLICIES: list[Any] = [
    "naive",
    {"name": "grpc", "base_s": 0.731, "factor": 1, "cap_s": 0.731, "jitter": 0},
    {"name": "grpc", "base_s": 0.2, "factor": 1.7, "cap_s": 3, "jitter": 0},
    {"name": "tests.support.plain_clients:listed", "waits_s": [0.1, 0.7, 0.0, 2.0]},
    {"name": "circuit-breaker", "reset_s": 1.1},
    {"name": "token-bucket", "capacity": 3},
    "tests.support.plain_clients:discouraged",
    {"name": "tests.support.plain_clients:listening", "patience": 4},
]
PER_IP = {"name": "per-ip", "rate_per_s": 3, "burst": 2}
RULES = [
    Admission(),
    Admission(handshake_slots=1),
    Admission(handshake_slots=2),
    limit({"name": "pod-window", "connections": 2, "window_s": 3}).admission,
    limit({"name": "pod-window", "connections": 1, "window_s": 2, "charge_refusals": True}).admission,
    limit({"name": "pod-window", "connections": 1, "window_s": 2, "close_1013": True}).admission,
]
NGINX: list[dict[str, Any]] = [
    {},
    {"max_fails": 1, "fail_timeout_s": 2},
    {"proxy_next_upstream": ["error"]},
    {"max_fails": 2, "fail_timeout_s": 3, "proxy_next_upstream": ["error", "http_429", "http_503"]},
]
SHORTEST_START_MS = 200
"""What a pod has sent before it ended has arrived by then."""

acts = st.tuples(
    st.integers(500, (SECONDS - 2) * 1000),
    st.one_of(
        st.tuples(st.just("drop"), st.sampled_from([0.3, 1.0])),
        st.tuples(st.just("push"), st.sampled_from(POLICIES)),
        st.tuples(st.sampled_from(["pause", "resume"]), st.integers(0, 2)),
        st.tuples(st.sampled_from(["down", "up"]), st.none()),
        st.tuples(st.sampled_from(["kill", "kill", "start"]), st.integers(0, 2)),
    ),
)


def steps_of(made: Engine) -> dict[str, Any]:
    """Where everybody stands."""
    states = np.array(["away", "trying", "joined", "gone"])[made.table.state]
    going = (states == "away") & made.table.booked & (made.table.started_s <= made.now_s)
    return {
        "states": np.where(going, "going", states).tolist(),
        "pods": made.table.pod.tolist(),
        "connections": made.pods["connections"].tolist(),
        "queued": made.pods["queued"].tolist(),
        "ticks": made.pods["last_tick"].tolist(),
        "outcomes": +outcomes(made),
        "disconnects": +made.said().disconnects,
        "gave up": +made.said().gave_up,
    }


def plain_steps_of(run: PlainRun) -> dict[str, Any]:
    return {
        "states": [client.state for client in run.clients],
        "pods": [-1 if client.pod is None else client.pod.number for client in run.clients],
        "connections": [pod.connections for pod in run.pods],
        "queued": [len(pod.queue) for pod in run.pods],
        "ticks": [pod.tick for pod in run.pods],
        "outcomes": +run.outcomes,
        "disconnects": +run.disconnects,
        "gave up": +run.gave_up,
    }


@settings(max_examples=150, deadline=None)
@given(
    clients=st.integers(1, 25),
    pods=st.integers(1, 3),
    first=st.sampled_from(POLICIES),
    handshake_ms=st.sampled_from([0.01, 7.0, 40.0, 110.0]),
    tick_us=st.sampled_from([0.0, 900.0, 8_000.0]),
    timeout_s=st.sampled_from([0.05, 0.6, 1.0, 2.5, 9.0]),
    stale_s=st.sampled_from([0.0, 0.5, 2.0]),
    backlog=st.sampled_from([1, 3, 4096]),
    rtt_ms=st.sampled_from([1, 40, 300]),
    per_ip=st.sampled_from([0, 1, 5]),
    edge_delay_s=st.sampled_from([0.0, 0.001, 0.03]),
    rules=st.sampled_from(RULES),
    nginx=st.sampled_from(NGINX),
    tls=st.booleans(),
    moments=st.lists(acts, min_size=1, max_size=6, unique_by=lambda act: act[0]),
    seed=st.integers(1, 9),
)
def test_every_client_and_pod_is_where_a_plain_loop_has_it(
    clients: int,
    pods: int,
    first: Any,
    handshake_ms: float,
    tick_us: float,
    timeout_s: float,
    stale_s: float,
    backlog: int,
    rtt_ms: int,
    per_ip: int,
    edge_delay_s: float,
    rules: Admission,
    nginx: dict[str, Any],
    tls: bool,
    moments: list[tuple[int, tuple[str, Any]]],
    seed: int,
) -> None:
    costs = {**{name: getattr(FREE, name) for name in FREE.__struct_fields__}, "close_cpu_s": 0.002}
    costs |= {
        "shed_cpu_s": 0.001,
        "close_1013_cpu_s": 0.001,
        "tls_ecdsa_cpu_s": 0.03,
        "tls_resumed_cpu_s": 0.01,
    }
    made = engine(
        SECONDS + 10,
        Costs(**{**costs, "edge_delay_s": edge_delay_s}),
        fleet={
            "clients": clients,
            "clients_per_ip": per_ip or 1,
            "policy": first,
            "connect_timeout_s": timeout_s,
            "stale_after_s": stale_s,
            "rtt_ms": rtt_ms,
            "seed": seed,
        },
        gateway={
            "pods": pods,
            "handshake_cpu_ms": handshake_ms,
            "tick_cpu_us": tick_us,
            "backlog": backlog,
            "ping_interval_s": 1000,
        },
        feed={"rate_hz": 1.7},
        edge={"nginx": nginx, **({"tls": {}} if tls else {})},
    )
    limits = limit(PER_IP)
    if per_ip:
        made.set_limits(limits)
    made.admission = rules
    plain = PlainRun(
        policy=policy(first),
        travel=made.table.records["travel"].tolist(),
        timeout=round(timeout_s * NS),
        stale=round(stale_s * NS),
        pods=pods,
        backlog=backlog,
        costs={
            "upgrade": round(UPGRADE_SHARE * handshake_ms * 1e6),
            "join": round((1 - UPGRADE_SHARE) * handshake_ms * 1e6),
            "close": 2_000_000,
            "tick": round(tick_us * 1000),
            "shed": 1_000_000,
            **({"tls": 30_000_000, "resumed": 10_000_000} if tls else {}),
        },
        edge_delay=round(edge_delay_s * NS),
        ticks=made.tables[DUE].tolist(),
        limit=limits.rules[0].bucket if per_ip else None,
        addresses=made.table.address.tolist(),
        rules=rules,
        nginx=NginxSettings(**nginx),
    )
    waiting = sorted(moments)
    for tenth in range(1, SECONDS * 10):
        now_ms = tenth * 100
        while waiting and waiting[0][0] <= now_ms:
            at_ms, act = waiting.pop(0)
            act_at(made, plain, at_ms, *act)
        made.run_until(now_ms / 1000)
        plain.run_until(now_ms * 1_000_000)
        assert steps_of(made) == plain_steps_of(plain), f"at {now_ms} ms"
    assert made.recorder.attempts_by_slot[: SECONDS * 10].sum() >= plain.attempts


def act_at(made: Engine, plain: PlainRun, at_ms: int, what: str, value: Any) -> None:
    """The same happens to both."""
    made.run_until(at_ms / 1000)
    plain.run_until(at_ms * 1_000_000)
    if what == "drop":
        before = made.table.state == JOINED
        made.drop(value)
        plain.drop(np.flatnonzero(before & (made.table.state != JOINED)).tolist())
    elif what == "push":
        made.push_policy(policy(value), 0)
        plain.push(policy(value))
    elif what == "pause" and value < len(plain.pods) and plain.pods[value].runs:
        made.pause_pod(value)
        plain.pause(value)
    elif what == "resume" and value < len(plain.pods):
        made.resume_pod(value)
        plain.pods[value].resume()
    elif what == "kill" and value < len(plain.pods) and plain.pods[value].alive:
        made.end_pod(value)
        plain.kill(value)
        plain.pods[value].died = at_ms
    elif what == "start" and value < len(plain.pods) and not plain.pods[value].alive:
        if at_ms - plain.pods[value].died > SHORTEST_START_MS:
            made.start_pod(value)
            plain.pods[value].start()
    elif what == "down" and plain.edge_is_up:
        made.end_edge()
        plain.end_edge()
    elif what == "up":
        made.edge_is_up = plain.edge_is_up = True
