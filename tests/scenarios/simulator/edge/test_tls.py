"""TLS of the model: who resumes, what a handshake costs, and when it is over."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.scenario.edge.tls import Tls
from scenarios.simulator.costs import Costs
from scenarios.simulator.edge.tls import Handshakes, TlsSessions, handshake_cpu_s, keepers
from tests.scenarios.simulator.test_oracles import FREE, engine, joined_by, run_until

EVERYBODY = np.arange(4)
STEADY = {"name": "grpc", "base_s": 0.2, "factor": 1, "jitter": 0}


def sessions(proxy: str = "nginx", **tls: Any) -> TlsSessions:
    made = TlsSessions(Tls(**tls), proxy, np.array([True, True, True, False]))
    made.connected(EVERYBODY)
    return made


def test_who_keeps_a_session_resumes_it() -> None:
    made = TlsSessions(Tls(), "nginx", np.array([True, True, True, False]))
    assert made.resumes(EVERYBODY).tolist() == [False] * 4
    made.connected(EVERYBODY)
    assert made.resumes(EVERYBODY).tolist() == [True, True, True, False]


# As at the real proxies: tests/e2e/test_tls.py, and docs/edge.md.
@pytest.mark.parametrize(
    ("proxy", "tls", "after_reload"),
    [
        pytest.param("nginx", {}, 3, id="nginx"),
        pytest.param("nginx", {"session_cache": False}, 0, id="nginx without a cache"),
        pytest.param("nginx", {"session_tickets": False}, 3, id="nginx without tickets"),
        pytest.param("haproxy", {}, 0, id="haproxy"),
    ],
)
def test_a_reload_and_a_rotation_end_sessions(proxy: str, tls: dict[str, bool], after_reload: int) -> None:
    made = sessions(proxy, **tls)
    assert made.resumes(EVERYBODY).sum() == 3
    made.reload()
    assert made.resumes(EVERYBODY).sum() == after_reload
    made.forget()
    assert made.resumes(EVERYBODY).sum() == 0


def test_without_cache_and_tickets_nothing_is_resumed() -> None:
    assert sessions(session_cache=False, session_tickets=False).resumes(EVERYBODY).sum() == 0


def test_a_share_of_the_clients_keeps_sessions() -> None:
    assert keepers(None, 10, 1).all()
    assert not keepers(False, 10, 1).any()
    assert keepers(0.3, 10_000, 1).mean() == pytest.approx(0.3, abs=0.02)


def test_a_full_handshake_costs_what_the_key_takes() -> None:
    resumed, costs = np.array([False, True]), Costs()
    rsa, ecdsa = (handshake_cpu_s(Tls(key=key), resumed, costs) for key in ("rsa-2048", "ecdsa-p256"))
    assert rsa.tolist() == [costs.tls_rsa_cpu_s, costs.tls_resumed_cpu_s]
    assert ecdsa.tolist() == [costs.tls_ecdsa_cpu_s, costs.tls_resumed_cpu_s]


@given(
    batches=st.lists(
        st.lists(st.tuples(st.floats(0, 1), st.floats(0.001, 0.5)), max_size=6), min_size=1, max_size=6
    ),
    speed=st.sampled_from([0.5, 1.0, 4.0]),
)
def test_handshakes_are_made_one_after_the_other(
    batches: list[list[tuple[float, float]]], speed: float
) -> None:
    made, through_s = Handshakes(), 0.0
    for number, batch in enumerate(batches):
        arrived_s = np.array([number + at_s for at_s, _ in batch])
        cost_s = np.array([cost_s for _, cost_s in batch])
        found = made.through_s(arrived_s, cost_s, speed)
        for place in np.argsort(arrived_s, kind="stable").tolist():
            through_s = max(through_s, arrived_s[place]) + cost_s[place] / speed
            assert found[place] == pytest.approx(through_s)


def storm(costs: Costs, **tables: Any) -> Any:
    made = engine(
        0.01,
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
    assert made._nginx_cpu_s == pytest.approx(40 * 0.05)
    assert made.recorder.outcomes == {"joined": 40}


def test_who_gives_up_before_its_handshake_has_cost_it_all_the_same() -> None:
    from msgspec.structs import replace

    made = storm(
        replace(FREE, tls_ecdsa_cpu_s=0.05),
        fleet={"tls_resume": False, "connect_timeout_s": 1, "policy": {**STEADY, "base_s": 9}},
    )
    made.drop(1.0)
    run_until(made, 9.9)
    assert made.recorder.outcomes == {}
    run_until(made, 13)
    assert made.recorder.outcomes["timeout"] == pytest.approx(20, abs=1)
    assert made.recorder.outcomes.total() == 40
    assert made._nginx_cpu_s == pytest.approx(40 * 0.05)
    assert made.edge.take_handshakes()["tls_full"] == made.recorder.outcomes["joined"]
