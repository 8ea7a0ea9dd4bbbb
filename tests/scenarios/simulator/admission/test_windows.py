"""Pods of the model count a window as the pod does, and turn away before a handshake costs anything."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway_stub.admission import Admitter
from gateway_stub.protocol import Admission
from scenarios.limits.registry import limit
from scenarios.simulator.admission.windows import PodWindows
from tests.scenarios.simulator.test_oracles import FREE, engine, joined_by, run_until

PODS, ADDRESSES = 2, 3
STEADY = {"name": "grpc", "base_s": 0.5, "factor": 1, "jitter": 0}


def admission(**parameters: Any) -> Admission:
    return limit({"name": "pod-window", **parameters}).admission


@given(
    charge=st.booleans(),
    source=st.sampled_from(["forwarded", "peer"]),
    bursts=st.lists(
        st.tuples(
            st.integers(0, 4_000),
            st.lists(st.tuples(st.integers(0, PODS - 1), st.integers(0, ADDRESSES - 1)), max_size=9),
        ),
        max_size=9,
    ),
)
def test_a_window_decides_as_the_pod_does(
    charge: bool, source: str, bursts: list[tuple[int, list[tuple[int, int]]]]
) -> None:
    rules = admission(connections=2, window_s=5, charge_refusals=charge, source=source)
    windows, real = PodWindows(PODS, 200), [Admitter(rules) for _ in range(PODS)]
    now_ms, client = 0, 0
    for pause_ms, asked in bursts:
        now_ms += pause_ms
        clients = client + np.arange(len(asked))
        client += len(asked)
        pods = np.array([pod for pod, _ in asked], np.int64)
        addresses = np.array([address for _, address in asked], np.int64)
        found = windows.refused(rules, pods, clients, np.ones(len(asked)), addresses, now_ms / 1000)
        expected = [
            not real[pod].fits_window(f"10.0.0.{address}", "127.0.0.1", now_ms * 1_000_000)
            for pod, address in asked
        ]
        assert found.tolist() == expected


def test_a_connection_is_counted_once_however_long_it_waits() -> None:
    windows, rules = PodWindows(1, 2), admission(connections=1)
    one, pod, address = np.array([0]), np.zeros(1, np.int64), np.zeros(1, np.int64)
    assert not windows.refused(rules, pod, one, np.array([1]), address, 0.0)[0]
    assert not windows.refused(rules, pod, one, np.array([1]), address, 1.0)[0]
    assert windows.refused(rules, pod, one, np.array([2]), address, 2.0)[0], "its next attempt is another one"
    windows.forget(0)
    assert not windows.refused(rules, pod, one, np.array([2]), address, 2.0)[0]


@pytest.mark.parametrize(
    ("parameters", "pods", "joined"),
    [
        pytest.param({"connections": 2}, 1, 6, id="two of each of three addresses"),
        pytest.param({"connections": 2}, 2, 12, id="and at each of two pods"),
        pytest.param({"connections": 2, "source": "peer"}, 1, 2, id="one address for everybody"),
        pytest.param({"connections": 20}, 1, 30, id="room for everybody"),
    ],
)
def test_a_storm_of_clients_that_ask_until_they_are_in(
    parameters: dict[str, Any], pods: int, joined: int
) -> None:
    made = engine(
        0.02,
        fleet={"clients": 30, "clients_per_ip": 10, "policy": STEADY},
        gateway={"pods": pods, "handshake_cpu_ms": 1},
    )
    made.admission = admission(**parameters)
    made.drop(1.0)
    assert joined_by(made, 10) == joined
    assert made.counted["shed"].sum() == made.recorder.outcomes["limited"]


def test_whoever_is_refused_costs_a_refusal_and_no_handshake() -> None:
    made = engine(
        0.01,
        costs=replace(FREE, shed_cpu_s=0.001),
        fleet={
            "clients": 50,
            "clients_per_ip": 50,
            "policy": {**STEADY, "base_s": 60},
            "connect_timeout_s": 9,
        },
        gateway={"handshake_cpu_ms": 100},
    )
    made.admission = admission(connections=2)
    made.drop(1.0)
    run_until(made, 59)
    assert made.counted["shed"].sum() == 0, "nobody has come back yet"
    assert joined_by(made, 62) == 2
    assert made.counted["shed"].sum() == 48
    assert made.pods.occupied_s.sum() == pytest.approx(2 * 0.1 + 48 * 0.001, abs=0.002)


def test_who_honours_the_end_of_the_window_gets_in_and_who_asks_at_once_never_does() -> None:
    joined = {}
    for delay_s in (1, 4):
        made = engine(
            0.02,
            fleet={"clients": 3, "clients_per_ip": 3, "policy": {**STEADY, "base_s": delay_s}},
            gateway={"handshake_cpu_ms": 1},
        )
        made.admission = admission(connections=1, window_s=3, charge_refusals=True)
        made.drop(1.0)
        joined[delay_s] = joined_by(made, 30)
    assert joined == {1: 1, 4: 3}


def test_a_pod_that_is_late_sheds_and_a_full_window_refuses_first() -> None:
    made = engine(
        0.01,
        fleet={
            "clients": 40,
            "clients_per_ip": 40,
            "policy": {**STEADY, "base_s": 1},
            "connect_timeout_s": 9,
        },
        gateway={"handshake_cpu_ms": 100},
    )
    made.admission = limit(
        {"name": "pod-window+lag-shed", "pod-window": {"connections": 5}, "lag-shed": {"above_lag_ms": 200}}
    ).admission
    made.drop(1.0)
    run_until(made, 2)
    assert made.counted["shed"].sum() == 40 - made.counted["handshakes"].sum() - made.pods.queued.sum()
