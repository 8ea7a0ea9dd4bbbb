"""Pods of the model count a window as the pod does, and turn away before a handshake costs anything."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway_stub.admission import Admitter
from gateway_stub.protocol import Admission
from scenarios.limits.registry import limit
from tests.scenarios.simulator.test_oracles import FREE, engine, joined_by, occupied_s, outcomes, run_until
from tests.support.loop_parts import Parts

PODS, ADDRESSES = 2, 3
STEADY = {"name": "grpc", "base_s": 0.5, "factor": 1, "jitter": 0}


def admission(**parameters: Any) -> Admission:
    return limit({"name": "pod-window", **parameters}).admission


@cache
def asked() -> Parts:
    """Pods for all tests: compiled parts are asked faster than a new run is made."""
    return Parts.of(8, PODS)


def limited(rules: Admission) -> Parts:
    """The pods with that limit, and nothing counted."""
    parts = asked()
    for pod in range(PODS):
        parts.engine._windows.forget(pod)
    parts.engine.admission = rules
    return parts


@settings(deadline=None)
@given(
    charge=st.booleans(),
    source=st.sampled_from(["forwarded", "peer"]),
    connections=st.integers(1, 4),
    bursts=st.lists(
        st.tuples(
            st.integers(0, 4_000),
            st.lists(st.tuples(st.integers(0, PODS - 1), st.integers(0, ADDRESSES - 1)), max_size=9),
        ),
        max_size=9,
    ),
)
def test_a_window_decides_as_the_pod_does(
    charge: bool, source: str, connections: int, bursts: list[tuple[int, list[tuple[int, int]]]]
) -> None:
    rules = admission(connections=connections, window_s=5, charge_refusals=charge, source=source)
    parts, real = limited(rules), [Admitter(rules) for _ in range(PODS)]
    now_ms = 0
    for pause_ms, burst in bursts:
        now_ms += pause_ms
        for pod, address in burst:
            expected = real[pod].fits_window(f"10.0.0.{address}", "127.0.0.1", now_ms * 1_000_000)
            assert parts.admits(pod, address, now_ms) == expected


def test_a_pod_that_has_ended_has_counted_nothing() -> None:
    parts = limited(admission(connections=1))
    assert [parts.admits(pod, 7, 0) for pod in (0, 0, 1, 1)] == [True, False, True, False]
    parts.engine._windows.forget(0)
    assert [parts.admits(pod, 7, 0) for pod in (0, 0, 1)] == [True, False, False]


def test_any_number_of_addresses_is_counted() -> None:
    parts = limited(admission(connections=2, window_s=3_600))
    for _ in range(2):
        assert all(parts.admits(address % PODS, address, 0) for address in range(20_000))
    assert not any(parts.admits(address % PODS, address, 0) for address in range(20_000))
    assert all(parts.admits(1 - address % PODS, address, 0) for address in range(20_000))


def test_another_window_goes_on_with_what_was_counted() -> None:
    parts = limited(admission(connections=2, window_s=10))
    assert [parts.admits(0, 1, now_ms) for now_ms in (0, 1_000, 2_000)] == [True, True, False]
    parts.engine.admission = Admission()
    parts.engine.admission = admission(connections=3, window_s=10)
    assert [parts.admits(0, 1, now_ms) for now_ms in (3_000, 4_000)] == [True, False]
    parts.engine.admission = admission(connections=1, window_s=10)
    assert [parts.admits(0, 1, now_ms) for now_ms in (12_999, 13_000)] == [False, True]


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
        fleet={"clients": 30, "clients_per_ip": 10, "policy": STEADY},
        gateway={"pods": pods, "handshake_cpu_ms": 1},
    )
    made.admission = admission(**parameters)
    made.drop(1.0)
    assert joined_by(made, 10) == joined
    assert made.pods["shed"].sum() == outcomes(made)["limited"]


def test_whoever_is_refused_costs_a_refusal_and_no_handshake() -> None:
    made = engine(
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
    assert made.pods["shed"].sum() == 0, "nobody has come back yet"
    assert joined_by(made, 62) == 2
    assert made.pods["shed"].sum() == 48
    assert occupied_s(made) == pytest.approx(2 * 0.1 + 48 * 0.001, abs=0.002)


def test_who_honours_the_end_of_the_window_gets_in_and_who_asks_at_once_never_does() -> None:
    joined = {}
    for delay_s in (1, 4):
        made = engine(
            fleet={"clients": 3, "clients_per_ip": 3, "policy": {**STEADY, "base_s": delay_s}},
            gateway={"handshake_cpu_ms": 1},
        )
        made.admission = admission(connections=1, window_s=3, charge_refusals=True)
        made.drop(1.0)
        joined[delay_s] = joined_by(made, 30)
    assert joined == {1: 1, 4: 3}


def test_a_pod_that_is_late_sheds_and_a_full_window_refuses_first() -> None:
    made = engine(
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
    assert made.pods["shed"].sum() == 40 - made.pods["handshakes"].sum() - made.pods["queued"].sum()
