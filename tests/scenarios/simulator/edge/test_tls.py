"""TLS of the model: who resumes, what a handshake costs, and when it is over."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.limits.registry import Limits
from scenarios.simulator.costs import Costs
from scenarios.simulator.edge.tls import keepers
from scenarios.simulator.loop import at
from tests.scenarios.simulator.test_oracles import FREE, engine, joined_by, outcomes, run_until
from tests.support.loop_parts import Parts

STEADY = {"name": "grpc", "base_s": 0.2, "factor": 1, "jitter": 0}


def sessions(proxy: str = "nginx", tls_resume: float | bool | None = None, **tls: Any) -> Parts:
    fleet = {} if tls_resume is None else {"tls_resume": tls_resume}
    return Parts.of(8, fleet=fleet, edge={"proxy": proxy, "tls": tls})


def resumed(parts: Parts) -> int:
    """How many of eight clients resume a session when they connect."""
    for client in range(8):
        parts.greet(client, 0.0)
    counts = parts.engine.edge.take_handshakes()
    assert sum(counts.values()) == 8
    return counts["tls_resumed"]


def test_who_keeps_a_session_resumes_it() -> None:
    parts = sessions(tls_resume=0.5)
    keeps = int((parts.engine.tables[at.TLS_MARKS] & at.KEEPS).sum())
    assert 0 < keeps < 8
    assert [resumed(parts) for _ in range(3)] == [0, keeps, keeps]


# As at the real proxies: tests/e2e/test_tls.py, and docs/edge.md.
@pytest.mark.parametrize(
    ("proxy", "tls", "after_reload"),
    [
        pytest.param("nginx", {}, 8, id="nginx"),
        pytest.param("nginx", {"session_cache": False}, 0, id="nginx without a cache"),
        pytest.param("nginx", {"session_tickets": False}, 8, id="nginx without tickets"),
        pytest.param("haproxy", {}, 0, id="haproxy"),
    ],
)
def test_a_reload_and_a_rotation_end_sessions(proxy: str, tls: dict[str, bool], after_reload: int) -> None:
    parts = sessions(proxy, **tls)
    assert [resumed(parts), resumed(parts)] == [0, 8]
    parts.engine.set_limits(Limits())
    assert resumed(parts) == after_reload
    parts.engine.edge.rotate_certificate()
    assert resumed(parts) == 0


def test_without_cache_and_tickets_nothing_is_resumed() -> None:
    parts = sessions(session_cache=False, session_tickets=False)
    assert [resumed(parts), resumed(parts)] == [0, 0]


def test_without_tls_there_are_no_handshakes() -> None:
    assert Parts.of(1).engine.edge.take_handshakes() == {}


def test_a_share_of_the_clients_keeps_sessions() -> None:
    assert keepers(None, 10, 1).all()
    assert not keepers(False, 10, 1).any()
    assert keepers(0.3, 10_000, 1).mean() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("key", ["rsa-2048", "ecdsa-p256"])
def test_a_full_handshake_costs_what_the_key_takes(key: str) -> None:
    costs = Costs()
    parts = sessions(key=key)
    full_s = costs.tls_rsa_cpu_s if key == "rsa-2048" else costs.tls_ecdsa_cpu_s
    for each_s in (full_s, costs.tls_resumed_cpu_s):
        parts.greet(0, 0.0)
        assert parts.engine.edge.take_tls_cpu_s() == pytest.approx(each_s)


@settings(deadline=None)
@given(pauses_s=st.lists(st.floats(0, 0.003), min_size=1, max_size=20))
def test_handshakes_are_made_one_after_the_other(pauses_s: list[float]) -> None:
    parts = handshakes()
    parts.engine.edge._tls.start_over()
    cost_s, now_s, through_s = Costs().tls_ecdsa_cpu_s, 0.0, 0.0
    for pause_s in pauses_s:
        now_s += pause_s
        through_s = max(now_s, through_s) + cost_s
        assert parts.greet(0, now_s) == pytest.approx(through_s, abs=1e-7)


@cache
def handshakes() -> Parts:
    """Nobody keeps a session."""
    return sessions(tls_resume=False)


def storm(costs: Costs, **tables: Any) -> Any:
    made = engine(
        costs=costs,
        fleet={"clients": 40, "policy": STEADY, "connect_timeout_s": 9, **tables.pop("fleet", {})},
        gateway={"handshake_cpu_ms": 1},
        edge={"tls": tables.pop("tls", {})},
    )
    run_until(made, 1)
    made.edge.take_handshakes()
    made.edge.take_tls_cpu_s()
    return made


def test_a_storm_with_sessions_resumes_them_and_one_after_a_rotation_does_not() -> None:
    made = storm(FREE)
    made.drop(1.0)
    assert joined_by(made, 2) == 40
    assert made.edge.take_handshakes() == {"tls_resumed": 40, "tls_full": 0}
    made.edge.rotate_certificate()
    made.drop(1.0)
    assert joined_by(made, 3) == 40
    assert made.edge.take_handshakes() == {"tls_resumed": 0, "tls_full": 40}


def test_clients_wait_for_the_proxy_to_get_to_their_handshakes() -> None:
    from msgspec.structs import replace

    made = storm(replace(FREE, tls_ecdsa_cpu_s=0.05), fleet={"tls_resume": False})
    made.drop(1.0)
    # After 0.2 s, one handshake of 50 ms after the other.
    assert joined_by(made, 1.2 + 10 * 0.05 + 0.03) == 10
    assert joined_by(made, 1.2 + 40 * 0.05 + 0.1) == 40
    assert made.edge.take_tls_cpu_s() == pytest.approx(40 * 0.05)
    assert outcomes(made) == {"joined": 40}


def test_who_gives_up_before_its_handshake_has_cost_it_all_the_same() -> None:
    from msgspec.structs import replace

    made = storm(
        replace(FREE, tls_ecdsa_cpu_s=0.05),
        fleet={"tls_resume": False, "connect_timeout_s": 1, "policy": {**STEADY, "base_s": 9}},
    )
    made.drop(1.0)
    run_until(made, 9.9)
    assert outcomes(made) == {}
    run_until(made, 13)
    assert outcomes(made)["timeout"] == pytest.approx(20, abs=1)
    assert outcomes(made).total() == 40
    assert made.edge.take_tls_cpu_s() == pytest.approx(40 * 0.05)
    assert made.edge.take_handshakes()["tls_full"] == outcomes(made)["joined"]
